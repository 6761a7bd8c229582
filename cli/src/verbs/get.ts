import type { Command } from 'commander'
import type { GetOptions } from '../commands/get.ts'
import { amountOption } from '../arguments.ts'
import { contextOf } from '../context-of.ts'
import { UNITS_PER_IOEX } from '../output/amount.ts'

const EXAMPLES = `
Every range is checked against the slot's root before it counts. An interrupted get goes on
from its .part file. Reads are paid from the traffic locks of the file's rails. Where fewer than
the needed peers are left whose locks can pay, used-up ones are topped up from the wallet, within
--top-up; what is not used comes back when the contract closes.

Examples:
  $ ioex get holiday.mp4 -o holiday.mp4
  $ ioex get photos.tar -o first.bin --range 0-1048576
  $ ioex get photos.tar -o photos.tar --top-up 0      reads only what is paid already
`

/** get NAME: bring a file back. */
export function registerGet(program: Command): void {
  program
    .command('get')
    .description('restore a file from peers')
    .argument('<name>', 'its name in your storage (see "ioex ls")')
    .requiredOption('-o, --output <file>', 'where to write it')
    .option('--range <from-to>', 'only these bytes, from inclusive, to exclusive')
    .addOption(
      amountOption('--top-up <amount>', 'most IOEX to add to used-up locks', UNITS_PER_IOEX),
    )
    .addHelpText('after', EXAMPLES)
    .action(async (path: string, options: GetOptions, command: Command) => {
      const { get } = await import('../commands/get.ts')
      await get(await contextOf(command), path, options)
    })
}
