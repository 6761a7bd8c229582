import type { Command } from 'commander'
import { contextOf } from '../context-of.ts'

const EXAMPLES = `
safe: more slots stand than repair waits for; degraded: "ioex repair NAME" is due; act-now: not
one more slot may be lost. Every record is proven against certified headers.

Examples:
  $ ioex status holiday.mp4
  $ ioex status documents/thesis.pdf --json
`

/** status NAME: what the chain knows of a file. */
export function registerStatus(program: Command): void {
  program
    .command('status')
    .description('a file: its health, slots, peers, and until when it is paid')
    .argument('<name>', 'its name in your storage (see "ioex ls")')
    .addHelpText('after', EXAMPLES)
    .action(async (path: string, _options, command: Command) => {
      const { status } = await import('../commands/status.ts')
      await status(await contextOf(command), path)
    })
}
