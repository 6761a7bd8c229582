import { stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { CommandContext } from '../command-context.ts'
import { CommandError, usageError } from '../output/failure.ts'
import { formatByteSize } from '../output/byte-size.ts'
import { topUpText } from '../storage/top-up-text.ts'
import { transferBar } from '../storage/transfer-progress.ts'

export interface GetOptions {
  readonly output: string
  readonly range?: string
  /** Units. */
  readonly topUp: bigint
}

/** Brings a file, or some of its bytes, back from peers. */
export async function get(
  context: CommandContext,
  path: string,
  options: GetOptions,
): Promise<void> {
  const target = resolve(context.io.folder, options.output)
  const range = options.range === undefined ? undefined : parseRange(options.range)
  await checkTarget(target)
  const { openStorage } = await import('../storage/open-storage.ts')
  const { client, close } = await openStorage(context)
  const bar = transferBar(context.output)
  try {
    const result = await client.get({
      path,
      target,
      ...(range && { range }),
      topUpMax: options.topUp,
      onProgress: bar.update,
    })
    bar.end()
    context.output.result({ ...result, target }, () => {
      const { bytes, peers, peersLost, toppedUpUnits, toppedUpRails } = result
      const lost = peersLost > 0 ? `, ${peersLost} failed and were replaced` : ''
      const restored = `Restored ${formatByteSize(bytes)} to ${target} from ${peers} peers${lost}`
      if (toppedUpUnits === 0n) return restored
      return `${restored}\n${topUpText(toppedUpUnits, options.topUp)} (${toppedUpRails} rails)`
    })
  } finally {
    bar.end()
    await close()
  }
}

/** Before anything is fetched and paid for. */
async function checkTarget(target: string): Promise<void> {
  const kindOf = (path: string) =>
    stat(path).then(
      (found) => (found.isDirectory() ? 'folder' : 'file'),
      () => undefined,
    )
  if ((await kindOf(target)) === 'folder') {
    throw new CommandError('NOT_A_FILE', `${target} is a folder: name the file to write with -o`)
  }
  if ((await kindOf(dirname(target))) !== 'folder') {
    throw new CommandError('FOLDER_MISSING', `there is no folder ${dirname(target)}: make it first`)
  }
}

function parseRange(text: string): { from: number; to: number } {
  const match = /^(\d{1,15})-(\d{1,15})$/.exec(text)
  const [from, to] = [Number(match?.[1]), Number(match?.[2])]
  if (!match || from >= to) throw usageError('a range is FROM-TO in bytes, e.g. 0-1048576')
  return { from, to }
}
