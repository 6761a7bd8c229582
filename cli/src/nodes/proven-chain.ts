import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { installNativeCrypto } from '@ioex/chain/native'
import { createRpcClient, type LightChainClient } from '@ioex/rpc/client'
import { genesisPath, readDevnet, rpcUrlsOf } from '../devnet/devnet-files.ts'
import { CommandError } from '../output/failure.ts'
import type { Settings } from '../settings.ts'
import { readGenesis } from './genesis-of.ts'
import { openLightChain, rpcRefusal } from './light-chain.ts'

const HEAD_DEADLINE_MS = 30_000
const ANSWER_DEADLINE_MS = 10_000
const QUESTION = ['chain_getStatus', {}] as const

/**
 * Runs a command's questions over the chain by proof, where the data folder holds the network's
 * genesis; without one there is nothing to prove by, and `use` gets undefined. Asks the node that
 * --rpc names and, in the folder of a network, its other full nodes.
 */
export async function withProvenChain<T>(
  { data, rpc }: Pick<Settings, 'data' | 'rpc'>,
  use: (chain: LightChainClient | undefined) => Promise<T>,
): Promise<T> {
  const path = genesisPath(data)
  if (!existsSync(path)) return use(undefined)
  await installNativeCrypto()
  const genesis = await readGenesis(path)
  const record = await readDevnet(data)
  const urls = [...new Set([rpc, ...(record ? rpcUrlsOf(record) : [])])]
  await reachAny(urls)
  const chain = await openLightChain(
    { genesis, trustFile: join(data, 'consumer', 'light-trust.json'), refusal: rpcRefusal },
    urls,
    (message) => {
      throw new CommandError('FORK', message)
    },
    HEAD_DEADLINE_MS,
    urls.length < 2,
  )
  try {
    return await use(chain)
  } finally {
    await chain.close()
  }
}

/** A light client waits for its nodes; a person wants to know at once that there are none. */
async function reachAny(urls: readonly string[]): Promise<void> {
  const answers = await Promise.allSettled(
    urls.map((url) => createRpcClient({ url, timeoutMs: ANSWER_DEADLINE_MS }).call(...QUESTION)),
  )
  const [first] = answers
  if (first?.status === 'rejected' && answers.every(({ status }) => status === 'rejected')) {
    throw first.reason
  }
}
