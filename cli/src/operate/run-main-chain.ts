import { resolve } from 'node:path'
import { INSTANT_POW_LIMIT_BITS } from '@ioex/chain/elastos'
import { startBuiltInMainChain } from '@ioex/chain/main-chain'
import type { CommandContext } from '../command-context.ts'
import { mainChainFolder } from '../devnet/devnet-files.ts'
import { BURN_ADDRESS } from '../devnet/local-network.ts'
import { readGenesis } from '../nodes/genesis-of.ts'
import { CommandError } from '../output/failure.ts'
import { builtInMainGenesis } from './built-in-genesis.ts'
import { defaultPort } from './node-plan.ts'

/** Runs the built-in main chain that goes with a genesis file until `stop` resolves. */
export async function runMainChain(
  { settings, output, io }: CommandContext,
  flags: { readonly genesis: string; readonly port?: number; readonly p2pPort?: number },
  stop: Promise<unknown>,
): Promise<void> {
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
    p2p: { port: flags.p2pPort ?? defaultPort(params.network, 'mainChainP2p') },
    onProblem: (error) => output.note(`main chain: ${String(error)}`),
  })
  const p2pUrl = `elap2p://127.0.0.1:${chain.p2pPort}`
  output.result(
    { rpcUrl: chain.rpcUrl, p2pUrl },
    () => `Main chain at ${chain.rpcUrl} and ${p2pUrl}`,
  )
  await stop
  await chain.stop()
}
