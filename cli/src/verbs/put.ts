import { type Command, InvalidArgumentError } from 'commander'
import type { PutOptions } from '../commands/put.ts'
import { amountOption, countArgument, epochsOption } from '../arguments.ts'
import { contextOf } from '../context-of.ts'

const EXAMPLES = `
The file is encrypted here, cut into slots and spread over peers. An interrupted put goes on
where it stopped when you give the same command again.

Examples:
  $ ioex put holiday.mp4
  $ ioex put thesis.pdf --name documents/thesis.pdf
  $ ioex put photos.tar --data-shards 4 --total-shards 12 --term 720
  $ ioex put thesis.pdf --pot 0.5 --term 90d
  $ ioex put thesis.pdf --region eu,us --not-asn 64500

What peers say of their place is not checked: it only leaves peers out, and a peer that says nothing
is in no region and in no network.
`
/** Epochs that a file is paid for unless told otherwise. */
const DEFAULT_TERM = 1000

/** Names with commas between them, of an option that may be given several times. */
function addRegions(text: string, before: readonly string[] = []): string[] {
  const names = text.split(',').map((name) => name.trim())
  if (names.includes('')) throw new InvalidArgumentError('give names such as eu,us')
  return [...before, ...names]
}

function addNetworks(text: string, before: readonly number[] = []): number[] {
  return [...before, ...text.split(',').map((part) => countArgument(part.trim()))]
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
    .addOption(epochsOption('--term <epochs>', 'epochs to pay for', DEFAULT_TERM))
    .option('--region <list>', 'only peers that say they are in one of these', addRegions)
    .option('--not-asn <list>', 'no peers that say they are in these networks', addNetworks)
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
