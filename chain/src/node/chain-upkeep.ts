import type { Logger } from 'pino'
import { createConsensusCrypto } from '../driver/consensus-crypto.ts'
import type { ChainManager } from '../manager/chain-manager.ts'
import type { FullNodeNetwork } from '../net/full-node-network.ts'
import { BlockScrubber, type ScrubStatus } from '../sync/block-scrubber.ts'
import type { SnapshotShelf } from '../sync/snapshot-shelf.ts'
import { type OpeningsKept, OpeningsPruner } from './openings-pruner.ts'
import { SnapshotMaker } from './snapshot-maker.ts'
import { syncPeersOf } from './sync-wire.ts'

export interface ChainUpkeepOptions {
  readonly manager: ChainManager
  readonly network: FullNodeNetwork
  readonly shelf: SnapshotShelf
  /** Heights of blocks that were found damaged when the chain was opened. */
  readonly damaged: readonly number[]
  readonly openings: OpeningsKept | undefined
  readonly isSyncing: () => boolean
  readonly logger: Logger
}

/**
 * What is done in the background for the chain on disk: snapshots of checkpoints, damaged blocks
 * found and replaced, openings forgotten that nobody needs any more.
 */
export class ChainUpkeep {
  readonly #snapshots: SnapshotMaker
  readonly #scrubber: BlockScrubber
  readonly #pruner: OpeningsPruner | undefined

  constructor(options: ChainUpkeepOptions) {
    const { manager, network, shelf, damaged, openings, isSyncing, logger } = options
    this.#snapshots = new SnapshotMaker({ manager, shelf, isSyncing, logger })
    this.#scrubber = new BlockScrubber({
      store: manager.store,
      params: manager.params,
      crypto: createConsensusCrypto(manager.chainId, undefined),
      peers: syncPeersOf(network),
      validatorsOf: (epoch) => manager.validators(epoch),
      final: () => manager.final,
      isBusy: isSyncing,
      logger,
    })
    this.#scrubber.start(damaged)
    if (openings === 'recent') this.#pruner = new OpeningsPruner({ manager, logger })
  }

  /** What reading the chain on disk again found so far. */
  get scrub(): ScrubStatus {
    return this.#scrubber.status
  }

  /** Waits for what is being written. */
  async stop(): Promise<void> {
    await this.#snapshots.stop()
    await this.#scrubber.stop()
    await this.#pruner?.stop()
  }
}
