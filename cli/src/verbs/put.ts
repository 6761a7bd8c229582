import type { Command } from 'commander'
import type { PutOptions } from '../commands/put.ts'
import { amountOption, contextOf, countArgument } from '../command-context.ts'

const EXAMPLES = `
The file is encrypted here, cut into slots and spread over peers. An interrupted put goes on
where it stopped when you give the same command again.

Examples:
  $ ioex put holiday.mp4
  $ ioex put thesis.pdf --name documents/thesis.pdf
  $ ioex put photos.tar --data-shards 4 --total-shards 12 --term 720
  $ ioex put thesis.pdf --pot 0.5
`
/** Epochs that a file is paid for unless told otherwise. */
const DEFAULT_TERM = 1000

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
    .addOption(amountOption('--pot <amount>', 'IOEX that pay for rebuilding lost slots'))
    .option('--delegate <address>', 'who may have them rebuilt; default you')
    .option('--trust-delegate', 'it may spend the whole pot, not only what lost slots forfeited')
    .addOption(amountOption('--delegate-fee <amount>', 'what it earns with each', 0n))
    .addHelpText('after', EXAMPLES)
    .action(async (file: string, options: PutOptions, command: Command) => {
      const { put } = await import('../commands/put.ts')
      await put(await contextOf(command), file, options)
    })
}
