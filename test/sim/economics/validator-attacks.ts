import type { Actor } from '../../../chain/src/rules/testing/world.ts'
import { type Attack, MEASURED } from './measure.ts'
import { Provider } from './provider.ts'
import type { Agent, Scene } from './scene.ts'

interface StarvingPlan {
  /** Epochs of each window in which no proof of a rival gets into a block. */
  readonly proofs?: (window: number) => number
  /** No redeem of a rival gets in while payers have not asked for their money. */
  readonly redeems?: boolean
}

const RIVALS = ['neighbour 0 0', 'neighbour 1 0']

/**
 * A provider that is all validators too, and earns their share of every payment. Keeps what rivals
 * send out of its blocks; one honest proposer in a window would undo it.
 */
class Starver implements Agent {
  readonly name = MEASURED
  readonly tolls = 'of all payments'
  readonly #plan: StarvingPlan
  readonly #provider = new Provider(MEASURED)

  constructor(plan: StarvingPlan) {
    this.#plan = plan
  }

  accounts(): Actor[] {
    return this.#provider.accounts()
  }

  setup(scene: Scene): void {
    this.#provider.setup(scene)
  }

  perEpoch(scene: Scene): void {
    const { starved, epoch, world } = scene
    const { proofWindowEpochs: window } = world.params
    const starves = epoch % window < (this.#plan.proofs?.(window) ?? 0)
    for (const rival of RIVALS) {
      if (starves) starved.prove.add(rival)
      else starved.prove.delete(rival)
      if (this.#plan.redeems && !scene.isClosing) starved.redeem.add(rival)
      else starved.redeem.delete(rival)
    }
    this.#provider.perEpoch(scene)
  }
}

function starver(name: string, summary: string, plan: StarvingPlan): Attack {
  return { name, summary, cheat: () => new Starver(plan), honest: () => new Starver({}) }
}

/** Validators that keep the transactions of rivals out of blocks. */
export const validatorAttacks: readonly Attack[] = [
  starver('starve proofs', "lets rivals' proofs in at the end of each window only", {
    proofs: (window) => window - 1,
  }),
  starver('starve all proofs', 'lets no proof of a rival in at all, until it is evicted', {
    proofs: (window) => window,
  }),
  starver('starve receipts', 'lets no redeem of a rival in', { redeems: true }),
]
