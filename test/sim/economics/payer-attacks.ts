import { assert } from '../../../chain/src/bytes/assert.ts'
import { bytesEqual } from '../../../chain/src/bytes/hex.ts'
import { askOf } from '../../../chain/src/rules/rail-terms.ts'
import { timeAmount } from '../../../chain/src/rules/settlement.ts'
import { type Actor, actor } from '../../../chain/src/rules/testing/world.ts'
import { STEP_KIB_FIRST, STEP_KIB_MAX } from '../../../chain/src/rules/unpaid-step.ts'
import { type Attack, MEASURED } from './measure.ts'
import { Provider } from './provider.ts'
import { type Agent, known, type Scene, SLOT_PRICE } from './scene.ts'

/** What one that buys from honest hosts does in an epoch. */
type Habit = (shop: Shop) => void

/**
 * Somebody who buys from honest hosts. Service that it got is booked as a benefit at its price,
 * so that an honest payer, who pays for what it gets, ends near 0.
 */
class Shop implements Agent {
  readonly name = MEASURED
  readonly purse: Actor = known(actor(`${MEASURED} purse`))
  readonly hosts: Provider
  readonly #habit: Habit
  /** Generations by rail. */
  readonly #rails = new Map<number, number>()
  #scene: Scene | undefined

  constructor(habit: Habit, hosts = HOSTS) {
    this.#habit = habit
    const plan = { slots: 0, identities: hosts, clears: true }
    this.hosts = new Provider('host', plan)
  }

  get scene(): Scene {
    assert(this.#scene, 'a shop opens with its scene')
    return this.#scene
  }

  accounts(): Actor[] {
    return [this.purse]
  }

  setup(scene: Scene): void {
    this.#scene = scene
    scene.fund(this.purse)
    this.#habit(this)
  }

  perEpoch(scene: Scene): void {
    for (const rail of this.#rails.keys()) if (this.#isServed(rail)) this.#enjoy(rail)
    if (!scene.isClosing) this.#habit(this)
    this.hosts.perEpoch(scene)
  }

  /** Has hosts fill a contract's first slots; each then keeps its bytes as the rules ask. */
  fill(contract: number, slots: number): void {
    for (let slot = 0; slot < slots; slot++) {
      const node = this.hosts.nodes[slot] as Actor
      const rail = this.scene.world.fill(this.purse, node, [contract, slot])
      this.hosts.take(node, rail)
      this.own(rail)
    }
  }

  /** From its fill to its end or the ask of its close, a rail's bytes are there to be read. */
  #isServed(index: number): boolean {
    const { world, epoch } = this.scene
    const rail = world.rail(index)
    if (!this.#isOwn(index) || epoch > rail.end) return false
    const ask = askOf(world.draft, rail, epoch)
    return !ask || epoch <= ask.epoch
  }

  /** Freed indexes are used again. */
  #isOwn(index: number): boolean {
    const { live, generation } = this.scene.world.rail(index)
    return live && this.#rails.get(index) === generation
  }

  #enjoy(rail: number): void {
    const { price, leaves } = this.scene.world.rail(rail)
    this.scene.book(this.name, -timeAmount(price, leaves, 1))
  }

  /** Remembers a relay rail, to settle it. */
  own(rail: number): void {
    this.#rails.set(rail, this.scene.world.rail(rail).generation)
  }

  /** Settles what was asked before and may be settled now. */
  settle(): void {
    const { world } = this.scene
    for (const rail of this.#rails.keys()) if (this.#isOwn(rail)) world.close(this.purse, rail)
  }
}

/** Hosts that it fills at once: one short of making (4, 12) active. */
const HOSTS = 7
const SHAPE = { price: SLOT_PRICE, leaves: 1, pot: 0n }

function storesHonestly(shop: Shop): void {
  const { world, setting, epoch } = shop.scene
  if (epoch !== 1) return
  const term = setting.epochs + 100
  shop.fill(world.open(shop.purse, { ...SHAPE, k: 1, n: HOSTS, term }), HOSTS)
}

function neverActivates(shop: Shop): void {
  const { world, setting, epoch } = shop.scene
  shop.settle()
  if ((epoch - 1) % world.params.fillDeadlineEpochs !== 0) return
  const term = setting.epochs + 100
  shop.fill(world.open(shop.purse, { ...SHAPE, k: 4, n: 12, term }), HOSTS)
}

/** Stores for so many epochs, asks for everything back, and begins anew. */
function comesAndGoes(period: number): Habit {
  return (shop) => {
    const { world, setting, epoch } = shop.scene
    shop.settle()
    if ((epoch - 1) % period !== 0) return
    for (const contract of liveContracts(shop)) world.closeContract(shop.purse, contract)
    const term = setting.epochs + 100
    shop.fill(world.open(shop.purse, { ...SHAPE, k: 1, n: HOSTS, term }), HOSTS)
  }
}

function liveContracts({ purse, scene }: Shop): number[] {
  const { world } = scene
  return Array.from({ length: world.draft.contracts.count }, (_, i) => i).filter((i) => {
    const { live, payer } = world.contract(i)
    return live && bytesEqual(payer, purse.address)
  })
}

/** Units per GiB at which relays offer by default, and what goes over a rail of one epoch. */
const RELAY_PRICE = 10_000_000n
const RELAYED_KIB = 64 * 1024
const RELAY_LOCK = 10n ** 9n
/** Opening and closing a rail: two transactions that the payer sends, bytes. */
const OWNER_BYTES = 500n
/** A redeem of one voucher. */
const REDEEM_BYTES = 400

/** Uses a new relay rail in each epoch and signs for all but so many KiB that it got. */
function relays(kib: number, unsignedKib: number): Habit {
  return (shop) => {
    const { world, epoch, setting } = shop.scene
    shop.settle()
    const node = shop.hosts.nodes[0] as Actor
    if (epoch === 1) {
      const gift = { price: 0n, leaves: 1, term: setting.epochs + 100 }
      world.rent(shop.purse, node, gift)
    }
    const rail = world.relay(shop.purse, node, RELAY_LOCK, RELAY_PRICE)
    shop.own(rail)
    shop.scene.book(shop.name, OWNER_BYTES - (RELAY_PRICE * BigInt(kib)) / 2n ** 20n)
    if (kib > unsignedKib) {
      const { bytes } = world
      world.bytes = REDEEM_BYTES
      world.redeem(node, [rail], [world.voucher(shop.purse, rail, kib - unsignedKib)])
      world.bytes = bytes
    }
    world.close(shop.purse, rail)
    // A relay says what it was not paid for; nobody pays it for saying so.
    if (unsignedKib > 0) world.sayUnpaid(node, rail)
  }
}

function payer(name: string, summary: string, cheat: Habit, honest: Habit): Attack {
  return { name, summary, cheat: () => new Shop(cheat), honest: () => new Shop(honest) }
}

/** Cheats of those who pay. */
export const payerAttacks: readonly Attack[] = [
  payer(
    'never activate',
    'grants 7 of 8 needed fills of (4, 12), reads, lets it lapse, repeats',
    neverActivates,
    storesHonestly,
  ),
  payer(
    'close at once',
    'asks for its money back an epoch after each fill',
    comesAndGoes(1),
    storesHonestly,
  ),
  payer('come and go', 'a new contract every three epochs', comesAndGoes(3), storesHonestly),
  payer(
    'close after the minimum charge',
    'asks for its money back right before a proof, begins anew',
    (shop) => comesAndGoes(shop.scene.world.params.minimumChargeEpochs + 1)(shop),
    storesHonestly,
  ),
  payer(
    'stop signing',
    'takes 64 MiB over each new relay rail, signs for all but the last step of 4 MiB',
    relays(RELAYED_KIB, STEP_KIB_MAX),
    relays(RELAYED_KIB, 0),
  ),
  payer(
    'never sign',
    'takes the first step of a new relay rail in every epoch',
    relays(STEP_KIB_FIRST, STEP_KIB_FIRST),
    relays(STEP_KIB_FIRST, 0),
  ),
]
