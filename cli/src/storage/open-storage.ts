import { join } from 'node:path'
import { installNativeCrypto } from '@ioex/chain/native'
import { createStorageClient, type StorageClient } from '@ioex/storage-node/scheduler'
import pino from 'pino'
import type { CommandContext } from '../command-context.ts'
import { genesisPath, readDevnet, rpcUrlsOf } from '../devnet/devnet-files.ts'
import { readGenesis } from '../nodes/genesis-of.ts'
import { readOrCreateKey } from '../nodes/key-file.ts'
import { openLightChain } from '../nodes/light-chain.ts'
import { CommandError } from '../output/failure.ts'
import { readWallet } from '../wallet/wallet-file.ts'

/** The owner's files, as the storage verbs use them. */
export interface OpenStorage {
  readonly client: StorageClient
  close(): Promise<void>
}

/**
 * Opens the owner's storage: wallet and genesis from the data folder, the chain over the full
 * nodes of the network whose folder it is.
 */
export async function openStorage({ settings }: CommandContext): Promise<OpenStorage> {
  const { data } = settings
  await installNativeCrypto()
  const { owner } = await readWallet(data)
  const record = await readDevnet(data)
  if (!record) {
    throw new CommandError(
      'NETWORK_MISSING',
      `${data} holds no network: start one with "npm start", or name its folder with --data`,
    )
  }
  const genesis = await readGenesis(genesisPath(data))
  const chain = await openLightChain(genesis, rpcUrlsOf(record), (message) => {
    throw new CommandError('FORK', message)
  })
  const folder = join(data, 'consumer')
  const client = await createStorageClient({
    dataDir: folder,
    ownerKey: owner.secretKey,
    nodeKey: await readOrCreateKey(join(folder, 'node.key')),
    chain,
    bootstrap: record.bootstrap,
    logger: pino({ level: process.env.IOEX_DEBUG ? 'debug' : 'silent' }, process.stderr),
  })
  return {
    client,
    async close() {
      await client.close()
      await chain.close()
    },
  }
}
