import { type DriverClock, systemClock } from '../driver/driver-clock.ts'
import type { Genesis } from '../rules/genesis-state.ts'
import type { BlockSync } from '../sync/block-sync.ts'
import type { Header } from '../types/consensus-objects.ts'
import { type BranchChoice, epochsSince, LEAD_EPOCHS } from './branch-choice.ts'

export interface BranchGateOptions {
  readonly genesis: Pick<Genesis, 'params'>
  readonly choice: Pick<BranchChoice, 'checkpointAfter'>
  /** Header of the node's newest final block. */
  readonly final: () => Header
  /** Default the machine's own. */
  readonly clock?: DriverClock | undefined
}

/**
 * A node whose head is epochs old hears no consensus until it has passed all checkpoints that fork
 * choice knows: old keys could lead it astray there too.
 */
export class BranchGate {
  readonly #options: BranchGateOptions
  #isHeld: boolean

  constructor(options: BranchGateOptions) {
    const { genesis, final, clock = systemClock } = options
    this.#options = options
    this.#isHeld = epochsSince(genesis, final().timeMs, clock.now()) > LEAD_EPOCHS
  }

  /** Consensus is not heard yet. */
  get isHeld(): boolean {
    return this.#isHeld
  }

  /**
   * Catches up with peers that are ahead, by `leastLead` blocks once consensus is heard. Throws
   * where there is no branch to follow, as BranchChoice does.
   */
  async catchUp(sync: Pick<BlockSync, 'catchUp'>, leastLead: number): Promise<void> {
    await sync.catchUp(this.#isHeld ? 1 : leastLead)
    if (!this.#isHeld) return
    const { choice, final } = this.#options
    this.#isHeld = (await choice.checkpointAfter(final())) !== undefined
  }
}
