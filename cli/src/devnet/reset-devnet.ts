import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

const OWN_FOLDERS = /^((validator|bootstrap|peer)-\d+|main-chain|consumer|audit|restored)$/
const OWN_LOGS = /^(validator|bootstrap|peer)-\d+\.log$/
/** The record last, so that an interrupted reset can be given again. */
const OWN_FILES = ['rpc-token', 'genesis.json', 'devnet.json']

/**
 * Deletes the network of a folder and what was stored in it; does nothing to a folder that is
 * none. Only what a network writes goes: the folder may be somebody's home. The wallet stays,
 * because its words may hold money elsewhere.
 */
export async function resetDevnet(data: string): Promise<void> {
  const names = await namesIn(data)
  if (!names.includes('devnet.json') && !names.includes('genesis.json')) return
  const logs = join(data, 'logs')
  const own = [
    ...(await namesIn(logs)).filter((name) => OWN_LOGS.test(name)).map((name) => join(logs, name)),
    ...names.filter((name) => OWN_FOLDERS.test(name)).map((name) => join(data, name)),
    ...OWN_FILES.map((name) => join(data, name)),
  ]
  for (const path of own) await rm(path, { recursive: true, force: true })
}

/** Empty where there is no such folder. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
