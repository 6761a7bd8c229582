import { join } from 'node:path'
import { installNativeCrypto } from '@ioex/chain/native'
import { createRpcClient } from '@ioex/rpc/client'
import type { ChainClient } from '@ioex/storage-node/node'
import type { StorageClient } from '@ioex/storage-node/scheduler'
import pino from 'pino'
import type { CommandContext } from '../command-context.ts'
import { genesisPath, readDevnet, rpcUrlsOf } from '../devnet/devnet-files.ts'
import { readGenesis } from '../nodes/genesis-of.ts'
import { readOrCreateKey } from '../nodes/key-file.ts'
import { openLightChain } from '../nodes/light-chain.ts'
import { CommandError } from '../output/failure.ts'
import { readWallet } from '../wallet/wallet-file.ts'

const ANSWER_DEADLINE_MS = 10_000
const HEAD_DEADLINE_MS = 30_000

/** The owner's files, as the storage verbs use them. */
export interface OpenStorage {
  readonly client: StorageClient
  readonly chain: ChainClient
  /** Address of the owner's key. */
  readonly owner: Uint8Array
  close(): Promise<void>
}

/**
 * Opens the owner's storage: wallet and genesis from the data folder, the chain over the full
 * nodes of the network whose folder it is.
 */
export async function openStorage({ settings, passphrase }: CommandContext): Promise<OpenStorage> {
  const { data } = settings
  await installNativeCrypto()
  const { owner } = await readWallet(data, passphrase)
  const record = await readDevnet(data)
  if (!record) {
    throw new CommandError(
      'NETWORK_MISSING',
      `${data} holds no network: start one with "npm start", or name its folder with --data`,
    )
  }
  const genesis = await readGenesis(genesisPath(data))
  const folder = join(data, 'consumer')
  const nodeKey = await readOrCreateKey(join(folder, 'node.key'))
  const urls = rpcUrlsOf(record)
  await reachAny(data, urls)
  // The peer network is much to load: only when there is one to talk to.
  const [{ ChainRefusal }, { createStorageClient }] = await Promise.all([
    import('@ioex/storage-node/node'),
    import('@ioex/storage-node/scheduler'),
  ])
  const chain = await openLightChain(
    {
      genesis,
      trustFile: join(folder, 'light-trust.json'),
      refusal: (code, message) => new ChainRefusal(code, message),
    },
    urls,
    (message) => {
      throw new CommandError('FORK', message)
    },
    HEAD_DEADLINE_MS,
  )
  const client = await createStorageClient({
    dataDir: folder,
    ownerKey: owner.secretKey,
    nodeKey,
    chain,
    bootstrap: record.bootstrap,
    logger: pino({ level: process.env.IOEX_DEBUG ? 'debug' : 'silent' }, process.stderr),
  })
  return {
    client,
    chain,
    owner: owner.address,
    async close() {
      await client.close()
      await chain.close()
    },
  }
}

/** A node waits for the chain as long as it takes; a person wants to know at once. */
async function reachAny(data: string, urls: readonly string[]): Promise<void> {
  const ask = (url: string) =>
    createRpcClient({ url, timeoutMs: ANSWER_DEADLINE_MS }).call('chain_getStatus', {})
  try {
    await Promise.any(urls.map(ask))
  } catch {
    throw new CommandError(
      'UNREACHABLE',
      `no full node of the network in ${data} answers: start it with "npm start", or name ` +
        'another network with --data',
    )
  }
}
