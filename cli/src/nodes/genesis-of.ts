import { readFile } from 'node:fs/promises'
import type { Genesis } from '@ioex/chain/rules'
import { readGenesisFile } from '@ioex/genesis/builder'
import { ConfigError } from './node-config.ts'

/** Genesis from a file on disk; throws ConfigError with what to do. */
export async function readGenesis(path: string): Promise<Genesis> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch {
    throw new ConfigError(`no genesis file at ${path}: copy the network's genesis.json there`)
  }
  const genesis = readGenesisFile(text)
  if (!genesis.ok) {
    const { message } = genesis.fault
    throw new ConfigError(`${path} is damaged (${message}): restore it, every export holds a copy`)
  }
  return genesis.value
}
