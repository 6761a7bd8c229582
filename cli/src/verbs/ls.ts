import type { Command } from 'commander'
import { contextOf } from '../context-of.ts'

const EXAMPLES = `
The list is rebuilt from the chain alone: your contracts, their labels, the manifests on peers.

Example:
  $ ioex ls --json
`

/** ls: the owner's files. */
export function registerLs(program: Command): void {
  program
    .command('ls')
    .description('list your files on the network')
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => {
      const { ls } = await import('../commands/ls.ts')
      await ls(await contextOf(command))
    })
}
