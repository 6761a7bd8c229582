import { assert } from '../../../chain/src/bytes/assert.ts'
import { railNeed } from '../../../chain/src/rules/settlement.ts'
import { type Actor, actor, payoutOf } from '../../../chain/src/rules/testing/world.ts'
import { type Attack, MEASURED } from './measure.ts'
import { Provider } from './provider.ts'
import { type Agent, known, type Scene, SLOT_PRICE, UNIT_PRICE } from './scene.ts'

/** How a slot changes hands: not at all, declared lost, with notice, or by an eviction. */
type Way = 'stays' | 'lost' | 'evicted' | 'left'

interface CrewPlan {
  readonly way: Way
  /** Pays for everything itself, or somebody else does, who trusted the delegate. */
  readonly payer: 'own' | 'customer'
}

const POT = 10_000_000n
const SLOT_LEAVES = 256
/** Epochs between two refills. */
const TURN = 24
/** Refills of a slot while a history runs, at most. */
const CREW = 12

/**
 * One owner of the nodes of both slots of a contract (1, 2) and of its repair delegate: gives a
 * slot up, signs vouchers on the pot for its other node, and refills with its next name. The bytes
 * never leave its disk, so it keeps two slots, whoever holds them.
 */
class Crew implements Agent {
  readonly name = MEASURED
  readonly tolls: Agent['tolls']
  readonly #plan: CrewPlan
  readonly #keeper = new Provider(`${MEASURED} keeper`, { slots: 0, clears: true })
  readonly #members: readonly Provider[]
  readonly #purse = known(actor(`${MEASURED} purse`))
  readonly #delegate = known(actor(`${MEASURED} delegate`))
  #contract = 0
  #keeperRail = 0
  #rail = 0
  #turn = 0
  #isQuitting = false

  constructor(plan: CrewPlan) {
    this.#plan = plan
    this.tolls = plan.payer === 'own' ? 'of its own payments' : undefined
    this.#members = Array.from(
      { length: CREW },
      (_, i) => new Provider(`${MEASURED} member ${i}`, { slots: 0, clears: true }),
    )
  }

  accounts(): Actor[] {
    const payouts = [this.#keeper, ...this.#members].map((one) => payoutOf(nodeOf(one)))
    return [this.#purse, this.#delegate, ...payouts]
  }

  setup(scene: Scene): void {
    const { world, setting } = scene
    const payer = this.#plan.payer === 'own' ? this.#purse : known(actor('customer'))
    scene.fund(payer)
    this.#contract = world.open(payer, {
      k: 1,
      n: 2,
      price: SLOT_PRICE,
      unitPrice: UNIT_PRICE,
      leaves: SLOT_LEAVES,
      term: setting.epochs + 200,
      pot: POT,
      delegate: this.#delegate,
      delegateFee: railNeed(world.params, UNIT_PRICE, SLOT_LEAVES),
    })
    const member = this.#member()
    this.#rail = world.fill(payer, nodeOf(member), [this.#contract, 0])
    this.#keeperRail = world.fill(payer, nodeOf(this.#keeper), [this.#contract, 1])
    member.take(nodeOf(member), this.#rail)
    this.#keeper.take(nodeOf(this.#keeper), this.#keeperRail)
  }

  perEpoch(scene: Scene): void {
    const { world, epoch } = scene
    for (const rail of [this.#rail, this.#keeperRail]) {
      if (world.rail(rail).live) scene.bookStorage(this.name, rail)
    }
    const mayTurn = this.#plan.way !== 'stays' && this.#turn + 1 < CREW && !scene.isClosing
    if (mayTurn && epoch % TURN === 0) this.#isQuitting = true
    const { way } = this.#plan
    if (this.#isQuitting && (way === 'lost' || way === 'left')) {
      world.leave(nodeOf(this.#member()), this.#rail, way === 'lost')
    }
    this.#keeper.perEpoch(scene)
    for (const [i, member] of this.#members.entries()) {
      const isSilent = this.#isQuitting && this.#plan.way === 'evicted' && i === this.#turn
      if (!isSilent) member.perEpoch(scene)
    }
    if (this.#isQuitting && !scene.isClosing) this.#succeed(scene)
  }

  /** Once the slot is open: vouchers on the pot for the other node, then the refill. */
  #succeed({ world }: Scene): void {
    world.evict(nodeOf(this.#member()))
    const { evicted } = world.node(nodeOf(this.#member()))
    if (!evicted && !world.rail(this.#rail).left) return
    const served = { slot: 0, rail: this.#keeperRail, kib: 2 ** 30 }
    const voucher = world.repairVoucher(this.#delegate, served)
    world.redeemRepair(nodeOf(this.#keeper), [voucher])
    this.#turn += 1
    const next = this.#member()
    this.#rail = world.fill(this.#delegate, nodeOf(next), [this.#contract, 0])
    next.take(nodeOf(next), this.#rail)
    this.#isQuitting = false
  }

  #member(): Provider {
    const member = this.#members[this.#turn]
    assert(member, 'a crew has a name for every turn')
    return member
  }
}

function nodeOf({ nodes: [node] }: Provider): Actor {
  assert(node, 'a provider has a node')
  return node
}

function crew(name: string, summary: string, plan: CrewPlan): Attack {
  const cheat = () => new Crew(plan)
  return { name, summary, cheat, honest: () => new Crew({ ...plan, way: 'stays' }) }
}

/** Cheats of nodes and the delegate that grants refills, with or without the payer. */
export const repairAttacks: readonly Attack[] = [
  crew('lose and refill, own money', 'payer, delegate and nodes are one; slots declared lost', {
    way: 'lost',
    payer: 'own',
  }),
  crew('evict and refill, own money', 'payer, delegate and nodes are one; nodes let be evicted', {
    way: 'evicted',
    payer: 'own',
  }),
  crew('drain the pot by losses', "the delegate's nodes lose a slot every day", {
    way: 'lost',
    payer: 'customer',
  }),
  crew('drain the pot by evictions', "the delegate's nodes let themselves be evicted", {
    way: 'evicted',
    payer: 'customer',
  }),
  crew('drain the pot by notice', 'one node of the delegate gives notice, the next one refills', {
    way: 'left',
    payer: 'customer',
  }),
]
