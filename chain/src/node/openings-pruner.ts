import type { Logger } from 'pino'
import type { ChainManager } from '../manager/chain-manager.ts'
import {
  checkpointHeight,
  isCheckpointHeight,
  type NetworkParams,
} from '../params/network-params.ts'

/** What a node keeps of proofs once their epoch can no longer change. */
export type OpeningsKept = 'all' | 'recent'

/** Blocks that a start and peers that lag behind still read whole. */
const BLOCKS_WHOLE_MIN = 256
/** Blocks in one step: under 100 MB where all of them are full. */
const STEP_BLOCKS = 64

export interface OpeningsPrunerOptions {
  readonly manager: Pick<ChainManager, 'onFinal' | 'ledger' | 'final' | 'params' | 'store'>
  readonly logger: Logger
}

/**
 * Up to which height openings may go (PROTOCOL 11): that of the newest checkpoint whose anchor is
 * FINAL, and as many blocks and epochs below the tip as running challenges and lagging peers need.
 */
export function prunableHeight(
  params: NetworkParams,
  { lastFinalEpoch, tip }: { readonly lastFinalEpoch: number; readonly tip: number },
): number {
  const window = (params.proofWindowEpochs + 2) * params.epochBlocks
  const whole = Math.max(BLOCKS_WHOLE_MIN, window)
  return Math.max(0, Math.min(checkpointHeight(params, lastFinalEpoch), tip - whole))
}

/** Forgets openings in the background, in steps, at each checkpoint. */
export class OpeningsPruner {
  readonly #options: OpeningsPrunerOptions
  readonly #unsubscribe: () => void
  #busy: Promise<void> | undefined
  #stopped = false

  constructor(options: OpeningsPrunerOptions) {
    this.#options = options
    this.#unsubscribe = options.manager.onFinal(({ header }) => {
      if (isCheckpointHeight(options.manager.params, header.height)) this.#wake()
    })
    this.#wake()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#unsubscribe()
    await this.#busy
  }

  /** When everything is forgotten that may be at the moment. */
  async idle(): Promise<void> {
    await this.#busy
  }

  #wake(): void {
    this.#busy ??= this.#prune()
      .catch((error: unknown) => {
        this.#options.logger.error({ error }, 'old openings could not be forgotten')
      })
      .finally(() => {
        this.#busy = undefined
      })
  }

  async #prune(): Promise<void> {
    const { manager, logger } = this.#options
    const { lastFinalEpoch } = manager.ledger.globals()
    const tip = manager.final.header.height
    const to = prunableHeight(manager.params, { lastFinalEpoch, tip })
    let freed = 0
    while (!this.#stopped && (await manager.store.prunedTo()) < to) {
      freed += await manager.store.pruneOpenings(to, STEP_BLOCKS)
    }
    if (freed > 0) logger.info({ to, bytes: freed }, 'old openings forgotten')
  }
}
