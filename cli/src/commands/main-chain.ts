import { resolve } from 'node:path'
import { startBuiltInMainChain } from '@ioex/chain/anchor'
import { INSTANT_POW_LIMIT_BITS } from '@ioex/chain/elastos'
import type { Command } from 'commander'
import { contextOf, countArgument } from '../command-context.ts'
import { mainChainFolder } from '../devnet/devnet-files.ts'
import { BURN_ADDRESS } from '../devnet/local-network.ts'
import { interruption } from '../interruption.ts'
import { readGenesis } from '../nodes/genesis-of.ts'
import { builtInMainGenesis } from '../operate/built-in-genesis.ts'
import { defaultPort } from '../operate/node-plan.ts'
import { CommandError } from '../output/failure.ts'

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
    .addHelpText('after', EXAMPLES)
    .action(async (flags: { genesis: string; port?: number }, command: Command) => {
      const { settings, output, io } = await contextOf(command)
      const stop = interruption()
      const { params, ledger, block } = await readGenesis(resolve(io.folder, flags.genesis))
      if (params.mainChain.powLimitBits !== INSTANT_POW_LIMIT_BITS) {
        throw new CommandError('MAIN_CHAIN', `a ${params.network} network follows Elastos itself`)
      }
      const keys = Array.from(
        { length: ledger.validators.count },
        (_, index) => ledger.validators.get(index)?.mainKey as Uint8Array,
      )
      const chain = await startBuiltInMainChain({
        dataDir: mainChainFolder(settings.data),
        genesis: builtInMainGenesis(keys, block.header.timeMs),
        minerAddress: BURN_ADDRESS,
        blockIntervalMs: params.mainBlockMs,
        rpc: { port: flags.port ?? defaultPort(params.network, 'mainChain') },
        onProblem: (error) => output.note(`main chain: ${String(error)}`),
      })
      output.result({ rpcUrl: chain.rpcUrl }, () => `Main chain at ${chain.rpcUrl}`)
      await stop
      await chain.stop()
    })
}
