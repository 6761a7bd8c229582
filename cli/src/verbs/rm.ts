import type { Command } from 'commander'
import { contextOf } from '../context-of.ts'

const EXAMPLES = `
A contract that holds nothing else is closed: its peers are paid to the end of what they proved,
and the rest of its locks comes back some epochs later, with --wait, or with any later "ioex put".
Where other files lie in the same pack, it stays, and a small new pack says that NAME is removed.

Examples:
  $ ioex rm holiday.mp4
  $ ioex rm holiday.mp4 --wait
`

/** rm NAME: remove a file and get the rest of its locks back. */
export function registerRm(program: Command): void {
  program
    .command('rm')
    .description('remove a file; what is left of its locks comes back')
    .argument('<name>', 'its name in your storage (see "ioex ls")')
    .option('--wait', 'until its contracts are settled and refunded')
    .addHelpText('after', EXAMPLES)
    .action(async (path: string, options: { wait?: boolean }, command: Command) => {
      const { rm } = await import('../commands/rm.ts')
      await rm(await contextOf(command), path, options)
    })
}
