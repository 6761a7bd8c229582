import { type Actor, actor, codeOf } from '../../../chain/src/rules/testing/world.ts'
import { NONE } from '../../../chain/src/types/records.ts'
import { type Attack, MEASURED } from './measure.ts'
import { Provider } from './provider.ts'
import { type Agent, known, type Scene, SLOT_PRICE, UNIT_PRICE } from './scene.ts'

interface LotteryPlan {
  /** Names that take part in each draw. */
  readonly identities: number
  /** Gives up slots of its own, to draw them again under another name. */
  readonly losesOwn?: boolean
}

/** Slots that are lost in a history, one after the other. */
const LOSSES = 3

/**
 * A provider that claims, in the lottery of last resort, the slots that others lost and nobody
 * granted anew.
 */
class Claimant implements Agent {
  readonly name = MEASURED
  readonly #plan: LotteryPlan
  readonly #provider: Provider
  readonly #stable = new Provider('stable host', { slots: 0, clears: true })
  readonly #losers = Array.from(
    { length: LOSSES },
    (_, i) => new Provider(`loser ${i}`, { slots: 0, clears: true }),
  )
  readonly #contracts: number[] = []

  constructor(plan: LotteryPlan) {
    this.#plan = plan
    this.#provider = new Provider(MEASURED, { identities: plan.identities, clears: true })
  }

  accounts(): Actor[] {
    return this.#provider.accounts()
  }

  setup(scene: Scene): void {
    this.#provider.setup(scene)
    const { world, setting } = scene
    const customer = known(actor('customer'))
    const term = setting.epochs + 200
    for (const [i, loser] of this.#losers.entries()) {
      const shape = { k: 1, n: 2, leaves: 1, price: SLOT_PRICE, unitPrice: UNIT_PRICE, term }
      const contract = world.open(customer, shape)
      this.#contracts.push(contract)
      const holders = [this.#losesOwn(i) ? this.#provider : loser, this.#stable]
      for (const [slot, holder] of holders.entries()) {
        const node = holder.nodes[slot === 0 ? i % holder.nodes.length : 0] as Actor
        holder.take(node, world.fill(customer, node, [contract, slot]))
      }
    }
  }

  #losesOwn(i: number): boolean {
    return this.#plan.losesOwn === true && i === 0
  }

  perEpoch(scene: Scene): void {
    this.#provider.perEpoch(scene)
    this.#stable.perEpoch(scene)
    for (const [i, loser] of this.#losers.entries()) {
      if (!this.#losesOwn(i)) loser.perEpoch(scene)
      if (scene.isClosing) continue
      this.#lose(scene, i)
      this.#claim(scene, i)
    }
  }

  /** The slot of contract i is lost a third, half, ... of the way into the history. */
  #lose({ world, epoch, setting }: Scene, i: number): void {
    const { rail } = world.contract(this.#contracts[i] as number).rails[0] as { rail: number }
    const when = Math.floor((setting.epochs * (i + 2)) / (LOSSES + 4))
    if (epoch !== when || world.rail(rail).lostEpoch !== NONE) return
    const loser = this.#losesOwn(i)
      ? (this.#provider.nodes[i % this.#provider.nodes.length] as Actor)
      : (this.#losers[i]?.nodes[0] as Actor)
    world.leave(loser, rail, true)
  }

  #claim({ world, epoch }: Scene, i: number): void {
    const contract = this.#contracts[i] as number
    const { rail } = world.contract(contract).rails[0] as { rail: number }
    const { lostEpoch, live } = world.rail(rail)
    if (!live || lostEpoch === NONE || epoch <= lostEpoch) return
    for (const node of this.#provider.nodes) {
      if (codeOf(world.claimSlot(node, [contract, 0])) !== 'ok') continue
      const { rail: won } = world.contract(contract).rails[0] as { rail: number }
      this.#provider.take(node, won)
      return
    }
  }
}

const honest = () => new Claimant({ identities: 1 })

/** Gaming of the lottery for slots that nobody refilled. */
export const lotteryAttacks: readonly Attack[] = [
  {
    name: 'lottery, ten names',
    summary: 'takes part in each draw under ten names',
    cheat: () => new Claimant({ identities: 10 }),
    honest,
  },
  {
    name: 'lottery for its own loss',
    summary: 'gives a slot up to draw it again under another of two names',
    cheat: () => new Claimant({ identities: 2, losesOwn: true }),
    honest: () => new Claimant({ identities: 2 }),
  },
]
