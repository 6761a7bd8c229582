import { stat } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import type { Command } from 'commander'
import { contextOf, countArgument } from '../command-context.ts'
import { CommandError, usageError } from '../output/failure.ts'
import { formatIoex } from '../output/amount.ts'
import { formatByteSize } from '../output/byte-size.ts'
import { transferBar } from '../storage/transfer-progress.ts'

const EXAMPLES = `
The file is encrypted here, cut into slots and spread over peers. An interrupted put goes on
where it stopped when you give the same command again.

Examples:
  $ ioex put holiday.mp4
  $ ioex put thesis.pdf --name documents/thesis.pdf
  $ ioex put photos.tar --data-shards 4 --total-shards 12 --term 720
`
/** Epochs that a file is paid for unless told otherwise. */
const DEFAULT_TERM = 1000

interface PutOptions {
  readonly name?: string
  readonly dataShards?: number
  readonly totalShards?: number
  readonly term: number
}

/** put FILE: back a file up. */
export function registerPut(program: Command): void {
  program
    .command('put')
    .description('back up a file over peers')
    .argument('<file>', 'file to back up')
    .option('--name <name>', 'its name in your storage; default its file name')
    .option('--data-shards <k>', 'slots that suffice to restore it', countArgument)
    .option('--total-shards <n>', 'slots stored, each on another peer', countArgument)
    .option('--term <epochs>', 'epochs to pay for', countArgument, DEFAULT_TERM)
    .addHelpText('after', EXAMPLES)
    .action(async (file: string, options: PutOptions, command: Command) => {
      const context = await contextOf(command)
      const source = resolve(context.io.folder, file)
      const info = await stat(source)
      if (!info.isFile()) throw new CommandError('NOT_A_FILE', `${source} is not a file`)
      const redundancy = redundancyOf(options)
      const { openStorage } = await import('../storage/open-storage.ts')
      const { client, close } = await openStorage(context)
      const bar = transferBar(context.output)
      try {
        const result = await client.put({
          files: [{ source, path: options.name ?? basename(source) }],
          ...(redundancy && { redundancy }),
          termEpochs: options.term,
          onProgress: bar.update,
        })
        bar.end()
        const json = { ...result, lockedUnits: result.lockedUnits.toString() }
        context.output.result(json, () => {
          const { bytes, n, k, contracts, lockedUnits } = result
          return (
            `Stored ${formatByteSize(bytes)} in ${n} slots, any ${k} restore it: contract ` +
            `${contracts.join(', ')}, ${formatIoex(lockedUnits)} locked`
          )
        })
      } finally {
        bar.end()
        await close()
      }
    })
}

function redundancyOf({ dataShards: k, totalShards: n }: PutOptions) {
  if (k === undefined && n === undefined) return undefined
  if (k === undefined || n === undefined || k < 1 || n < k) {
    throw usageError('give both --data-shards K and --total-shards N, with 1 <= K <= N')
  }
  return { k, n }
}
