import type { Command } from 'commander'
import { contextOf } from '../context-of.ts'
import { addDevnetFlags, type DevnetFlags } from '../devnet/devnet-flags.ts'
import { interruption } from '../interruption.ts'
import { addExamples } from '../verb-examples.ts'

const EXAMPLES = `
Everything lies under the data folder and listens on loopback only. Ctrl-C stops the network; the
same command starts it again where it was.

Examples:
  $ ioex devnet
  $ ioex devnet --peers 12 --data /tmp/net --port-base 0
  $ ioex devnet --reset            forget the network and its files, keep the wallet
  $ ioex devnet status --json
`

/** devnet [status]: a whole local network in the foreground. */
export function registerDevnet(program: Command): void {
  const devnet = addDevnetFlags(
    program.command('devnet').description('run a whole local network'),
  ).action(async (flags: DevnetFlags, command: Command) => {
    const context = await contextOf(command)
    const { showNetwork, startDevnet, stopDevnet } = await import('../devnet/devnet-session.ts')
    const stop = interruption()
    const network = await startDevnet(context, flags, stop)
    showNetwork(context, network)
    await stop
    await stopDevnet(context, network)
  })
  devnet
    .command('status')
    .description("show the network's nodes and how far its chain is")
    .action(async (_options, command: Command) => {
      const { devnetStatus } = await import('../commands/devnet.ts')
      await devnetStatus(await contextOf(command))
    })
  addExamples(devnet, EXAMPLES)
}
