import { join } from 'node:path'
import type { Logger } from 'pino'
import type { MainChainFollower } from '../follower/follower.ts'
import type { FinalBlock } from '../consensus/machine-interface.ts'
import { FullNodeNetwork } from '../net/full-node-network.ts'
import type { Genesis } from '../rules/genesis-state.ts'
import type { Ledger } from '../state/ledger.ts'
import { LevelStore } from '../store/level-store.ts'
import type { SnapshotDatabase } from '../store/snapshot-database.ts'
import { SYNC_REQUEST_BYTES_MAX } from '../sync/sync-messages.ts'
import { SyncServer } from '../sync/sync-server.ts'
import { anchoredCheckpoints } from './anchored-checkpoints.ts'
import { joinBySnapshot, type JoinOptions } from './join-network.ts'
import { openChain } from './open-chain.ts'
import { openShelf } from './open-shelf.ts'
import { syncPeersOf } from './sync-wire.ts'

/** How a node with an empty folder gets to the tip: from a recent state, or from genesis. */
export type SyncMode = 'snapshot' | 'full'

export interface OpenNodeOptions {
  readonly genesis: Genesis
  readonly folder: string
  readonly nodeKey: Uint8Array
  readonly listen: readonly string[]
  readonly peers: readonly string[]
  readonly sync?: SyncMode | undefined
  readonly onJoining?: JoinOptions['onJoining']
  readonly operatorTrust?: JoinOptions['operatorTrust']
  readonly logger: Logger
}

export interface OpenedNode {
  readonly store: LevelStore
  readonly shelf: SnapshotDatabase
  readonly network: FullNodeNetwork
  readonly ledger: Ledger
  readonly head: FinalBlock
  /** Heights of damaged blocks that peers have. */
  readonly damaged: readonly number[]
  /** The chain was fetched just now as a snapshot. */
  readonly joined: boolean
  /** From now on peers' questions are answered by this server. */
  readonly serve: (server: SyncServer) => void
}

/**
 * Opens what lies in the folder and connects to peers. Where the chain is empty and peers are far
 * ahead, a snapshot becomes the chain first.
 */
export async function openNode(
  options: OpenNodeOptions,
  /** Reads the main chain from what genesis knows of it. */
  followerFrom: (ledger: Ledger) => MainChainFollower,
): Promise<OpenedNode> {
  const { genesis, folder, logger } = options
  const chainFolder = join(folder, 'chain')
  const store = await LevelStore.open(chainFolder)
  const chain = await openChain(store, genesis)
  logger.info({ height: chain.head.header.height }, 'chain opened, state root proven')
  if (chain.damaged.length > 0) {
    logger.error({ heights: chain.damaged }, 'blocks on disk are damaged: peers are asked for them')
  }
  const shelf = await openShelf(join(folder, 'snapshots'), logger)
  const network = await FullNodeNetwork.start({ ...options, chainId: genesis.chainId })
  const atGenesis = { chainId: genesis.chainId, height: 0, hash: genesis.hash, epoch: 0 }
  let server = new SyncServer({ store, status: () => atGenesis })
  await network.serveSync((request) => server.answer(request), SYNC_REQUEST_BYTES_MAX)
  const serve = (next: SyncServer) => {
    server = next
  }
  const opened = { store, shelf, network, serve, ...chain, joined: false }
  if (options.sync === 'full' || chain.head.header.height > 0) return opened
  await store.close()
  const joined = await joinBySnapshot({
    genesis,
    folder,
    peers: syncPeersOf(network),
    peersExpected: options.peers.length,
    shelf,
    onJoining: options.onJoining,
    operatorTrust: options.operatorTrust,
    anchors: async () => {
      const follower = followerFrom(chain.ledger)
      try {
        return await anchoredCheckpoints(follower, genesis.params.anchorConfirmedMainBlocks)
      } finally {
        await follower.stop()
      }
    },
    logger,
  })
  const reopened = await LevelStore.open(chainFolder)
  return { ...opened, store: reopened, ...(await openChain(reopened, genesis)), joined }
}
