import { type Actor, actor } from '../../../chain/src/rules/testing/world.ts'
import { signingDigest, sign } from '../../../chain/src/bytes/signature.ts'
import { VoucherType } from '../../../chain/src/types/transactions.ts'
import { type Attack, MEASURED } from './measure.ts'
import { Provider } from './provider.ts'
import { type Agent, known, type Scene, SLOT_PRICE } from './scene.ts'

/** Does nothing: what a coalition that only deals with itself earns honestly. */
const idle = (): Agent => new Provider(MEASURED, { slots: 0 })

/** Units that go in a circle per epoch. */
const WASHED = 1_000_000n

/** A relay: one node, and what it does with the vouchers of its payer. */
class Relay implements Agent {
  readonly name = MEASURED
  readonly tolls: Agent['tolls']
  readonly #node = known(actor(`${MEASURED} relay`))
  readonly #payer: Actor
  readonly #purse = known(actor(`${MEASURED} purse`))
  readonly #overclaims: boolean
  #rail = 0
  #kib = 0

  constructor(plan: { readonly washes?: boolean; readonly overclaims?: boolean }) {
    this.tolls = plan.washes ? 'of its own payments' : undefined
    this.#overclaims = plan.overclaims ?? false
    this.#payer = plan.washes ? this.#purse : known(actor('customer'))
  }

  accounts(): Actor[] {
    return [this.#purse, actor(`${this.#node.name} payout`)]
  }

  setup(scene: Scene): void {
    const { world, setting } = scene
    scene.fund(this.#payer)
    world.rent(this.#payer, this.#node, { price: 0n, leaves: 1, term: setting.epochs + 100 })
    const lock = WASHED * BigInt(setting.epochs + 100)
    this.#rail = world.relay(this.#payer, this.#node, lock, WASHED << 10n)
  }

  perEpoch(scene: Scene): void {
    if (scene.isClosing) return
    const { world } = scene
    this.#kib += 1024
    const voucher = world.voucher(this.#payer, this.#rail, this.#kib)
    if (this.#overclaims) this.#overclaim(scene)
    world.redeem(this.#node, [this.#rail], [voucher])
    // The same again, and an older one: neither adds anything.
    if (this.#overclaims) world.redeem(this.#node, [this.#rail], [voucher, voucher])
  }

  /** Vouchers over more than was relayed: signed by itself, altered, and of an earlier rail. */
  #overclaim({ world }: Scene): void {
    const honest = world.voucher(this.#payer, this.#rail, this.#kib)
    const voucher = { ...honest.voucher, kib: this.#kib * 2 }
    const digest = signingDigest('voucher', world.draft.chainId, VoucherType.hashTreeRoot(voucher))
    const own = { voucher, payerKey: this.#node.key, signature: sign(digest, this.#node.secret) }
    const altered = { ...honest, voucher }
    const other = { ...honest, voucher: { ...honest.voucher, generation: 1 } }
    const claimed = { ...own, payerKey: honest.payerKey }
    for (const forged of [own, altered, other, claimed]) {
      world.redeem(this.#node, [this.#rail], [forged])
    }
  }
}

/** Cheats of payers, nodes, delegates and validators together. */
export const coalitionAttacks: readonly Attack[] = [
  {
    name: 'wash through relay',
    summary: 'pays its own relay, holds all validators, hopes for the subsidy',
    cheat: () => new Relay({ washes: true }),
    honest: idle,
  },
  {
    name: 'wash through storage',
    summary: 'pays itself for bytes that follow from a seed, holds all validators',
    cheat: () =>
      new Provider(MEASURED, {
        slots: 0,
        filler: { count: 10, price: SLOT_PRICE },
        tolls: 'of its own payments',
      }),
    honest: idle,
  },
  {
    name: 'over-claiming relay',
    summary: 'forges, alters, repeats and mixes up vouchers',
    cheat: () => new Relay({ overclaims: true }),
    honest: () => new Relay({}),
  },
]
