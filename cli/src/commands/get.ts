import { stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Command } from 'commander'
import { contextOf } from '../command-context.ts'
import { CommandError, usageError } from '../output/failure.ts'
import { formatByteSize } from '../output/byte-size.ts'
import { transferBar } from '../storage/transfer-progress.ts'

const EXAMPLES = `
Every range is checked against the slot's root before it counts. An interrupted get goes on
from its .part file.

Examples:
  $ ioex get holiday.mp4 -o holiday.mp4
  $ ioex get photos.tar -o first.bin --range 0-1048576
`

/** get NAME: bring a file back. */
export function registerGet(program: Command): void {
  program
    .command('get')
    .description('restore a file from peers')
    .argument('<name>', 'its name in your storage (see "ioex ls")')
    .requiredOption('-o, --output <file>', 'where to write it')
    .option('--range <from-to>', 'only these bytes, from inclusive, to exclusive')
    .addHelpText('after', EXAMPLES)
    .action(async (path: string, options: { output: string; range?: string }, command: Command) => {
      const context = await contextOf(command)
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
          onProgress: bar.update,
        })
        bar.end()
        context.output.result({ ...result, target }, () => {
          const { bytes, peers, peersLost } = result
          const lost = peersLost > 0 ? `, ${peersLost} failed and were replaced` : ''
          return `Restored ${formatByteSize(bytes)} to ${target} from ${peers} peers${lost}`
        })
      } finally {
        bar.end()
        await close()
      }
    })
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
