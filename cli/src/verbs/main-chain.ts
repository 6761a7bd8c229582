import type { Command } from 'commander'
import { countArgument } from '../arguments.ts'
import { contextOf } from '../context-of.ts'
import { interruption } from '../interruption.ts'

const EXAMPLES = `
For trials with nodes on machines of their own, where no Elastos node is at hand: real Elastos
blocks, merge-mined at the lowest difficulty, over Elastos' JSON-RPC. Its genesis, with ELA for every
validator's anchors, follows from the network's genesis file, which must be of a local network.

Example:
  $ ioex main-chain --genesis genesis.json --data main
`

/** main-chain: the built-in main chain alone, for trials. */
export function registerMainChain(program: Command): void {
  program
    .command('main-chain')
    .description('run the built-in main chain of a local network alone (for trials)')
    .requiredOption('--genesis <file>', "the network's genesis file")
    .option(
      '--port <port>',
      'JSON-RPC port on loopback, default 22336; 0: a free one',
      countArgument,
    )
    .option(
      '--p2p-port <port>',
      'P2P port on loopback, default 22338; 0: a free one',
      countArgument,
    )
    .addHelpText('after', EXAMPLES)
    .action(
      async (flags: { genesis: string; port?: number; p2pPort?: number }, command: Command) => {
        const stop = interruption()
        const { runMainChain } = await import('../operate/run-main-chain.ts')
        await runMainChain(await contextOf(command), flags, stop)
      },
    )
}
