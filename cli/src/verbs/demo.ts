import type { Command } from 'commander'
import { contextOf } from '../context-of.ts'
import { addDevnetFlags, type DemoFlags } from '../devnet/devnet-flags.ts'

const EXAMPLES = `
A local network, then the main job on a real file: backup over peers, a delivery over a relay,
proofs, pay, an anchor in the main chain, restore after most of the file's peers were killed, and
an audit of it all. Takes a few minutes: epochs of the local network last 20 seconds.

Examples:
  $ npm run demo
  $ npm run demo -- ~/holiday.mp4
  $ npm run demo -- --once --json
`

/** demo [FILE]: the whole story on this machine. */
export function registerDemo(program: Command): void {
  addDevnetFlags(
    program
      .command('demo')
      .description('show everything on a real file')
      .argument('[file]', 'default: a large file of the installation')
      .option('--once', 'stop the network at the end, exit 0 or 1')
      .addHelpText('after', EXAMPLES),
  ).action(async (path: string | undefined, flags: DemoFlags, command: Command) => {
    const { demoSession } = await import('../demo/demo-session.ts')
    await demoSession(await contextOf(command), path, flags)
  })
}
