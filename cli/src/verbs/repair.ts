import type { Command } from 'commander'
import type { RepairFlags } from '../commands/repair.ts'
import { amountOption } from '../arguments.ts'
import { contextOf } from '../context-of.ts'
import { UNITS_PER_IOEX } from '../output/amount.ts'

const EXAMPLES = `
A slot is lost when its peer says so, gave notice, or missed so many proofs that it is evicted. It
is rebuilt from any k others and stored by another peer, paid by what the lost one can no longer
earn. A slot that only misses proofs may come back and is left alone.

Examples:
  $ ioex repair holiday.mp4
  $ ioex repair                     every file
  $ ioex repair --watch             every epoch, where repair is due
  $ ioex repair holiday.mp4 --export-keys for-bob.json
  $ ioex repair --keys for-bob.json --watch      on the delegate's machine: rebuilds, reads nothing
`

/** repair [NAME]: rebuild lost slots. */
export function registerRepair(program: Command): void {
  program
    .command('repair')
    .description('rebuild lost slots on other peers')
    .argument('[name]', 'only this file (see "ioex ls")')
    .option('--due', 'only where no more than (n+k)/2 slots stand')
    .option('--watch', 'stay, and repair in every epoch what is due')
    .option('--export-keys <file>', "write what the delegate of the file's contracts needs")
    .addOption(
      amountOption(
        '--top-up <amount>',
        'most IOEX to add to used-up traffic locks, with --watch each time',
        UNITS_PER_IOEX,
      ),
    )
    .option('--keys <file>', "repair somebody else's contracts as their delegate")
    .addHelpText('after', EXAMPLES)
    .action(async (path: string | undefined, options: RepairFlags, command: Command) => {
      const { repair } = await import('../commands/repair.ts')
      await repair(await contextOf(command), path, options)
    })
}
