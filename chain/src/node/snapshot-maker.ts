import type { Logger } from 'pino'
import type { ChainManager, FinalizedBlock } from '../manager/chain-manager.ts'
import { isCheckpointHeight } from '../params/network-params.ts'
import { stateRoots } from '../state/ledger.ts'
import { produceSnapshot } from '../sync/snapshot-producer.ts'
import type { SnapshotShelf } from '../sync/snapshot-shelf.ts'

export interface SnapshotMakerOptions {
  readonly manager: ChainManager
  readonly shelf: SnapshotShelf
  /** True while blocks are replayed: nobody wants the snapshots of long ago. */
  readonly isSyncing: () => boolean
  readonly logger: Logger
}

/** Makes a snapshot of each checkpoint's state in the background, one at a time. */
export class SnapshotMaker {
  readonly #options: SnapshotMakerOptions
  readonly #unsubscribe: () => void
  #busy: Promise<void> | undefined
  #stopped = false

  constructor(options: SnapshotMakerOptions) {
    this.#options = options
    const { manager } = options
    this.#unsubscribe = manager.onFinal((block) => {
      if (!isCheckpointHeight(manager.params, block.header.height)) return
      if (this.#busy || manager.final.hash !== block.hash || options.isSyncing()) return
      this.#busy = this.#make(block).finally(() => {
        this.#busy = undefined
      })
    })
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#unsubscribe()
    await this.#busy
  }

  async #make({ header }: FinalizedBlock): Promise<void> {
    const { manager, shelf, logger } = this.#options
    // Both at once, before anything else can be committed.
    const view = manager.store.stateView()
    const roots = stateRoots(manager.ledger)
    const startedMs = performance.now()
    try {
      const isCancelled = () => this.#stopped
      if (!(await produceSnapshot({ view, header, roots, shelf, isCancelled }))) return
      const ms = Math.round(performance.now() - startedMs)
      logger.info({ epoch: header.epoch, ms }, 'snapshot made')
    } catch (error) {
      logger.error({ epoch: header.epoch, error }, 'no snapshot of this epoch')
    } finally {
      await view.close()
    }
  }
}
