import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Hex } from '../bytes/hex.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import type { Transaction } from '../types/transactions.ts'
import { POOL_LIMITS, REPLACEMENT_PERCENT } from './pool-limits.ts'
import { key, PoolWorld, transaction } from './testing/pool-world.ts'

const BYTES = 200n
const limits = {
  ...POOL_LIMITS,
  accountTransactionsMax: 7,
  accountBytesMax: 6 * 200 + 100,
  perAccountMax: 4,
  nonceWindow: 2,
}
/** Six fit by bytes before seven do by number. */
const ROOM = 6
const POISON = 666n
const SENDERS = 4

beforeAll(async () => {
  await installNativeCrypto()
})

type Body = Transaction['body']
interface Ready {
  readonly id: Hex
  readonly body: Body
}

/** The pool's rules once more, over a plain list and without regard to speed. */
class Reference {
  readonly world = new PoolWorld(limits)
  waiting: Ready[] = []
  readonly signed = new Set<Hex>()
  evictions = 0

  constructor() {
    this.world.verdictOf = ({ body }) =>
      body.payload.selector === 0 && body.payload.value.amount === POISON
  }

  account(body: Body) {
    const account = this.world.accounts.get(this.world.nameOf(body.sender))
    if (!account) throw new Error('only known senders')
    return account
  }

  own(body: Body): Ready[] {
    const name = this.world.nameOf(body.sender)
    return this.waiting
      .filter((each) => this.world.nameOf(each.body.sender) === name)
      .sort((a, b) => a.body.nonce - b.body.nonce)
  }

  /** First nonce that no run without a gap covers. */
  next(body: Body): number {
    let { nonce } = this.account(body)
    while (this.own(body).some((each) => each.body.nonce === nonce)) nonce++
    return nonce
  }

  isHeld(one: Ready): boolean {
    return one.body.nonce >= this.next(one.body)
  }

  worth(one: Ready): bigint {
    if (this.isHeld(one)) return -2n
    return one.body.maxBaseFee < this.world.baseFee ? -1n : one.body.tip
  }

  tailsOfOthers(body: Body): Ready[] {
    const name = this.world.nameOf(body.sender)
    const tails = new Map<Hex, Ready>()
    for (const one of this.waiting) {
      const sender = this.world.nameOf(one.body.sender)
      const tail = tails.get(sender)
      if (!tail || tail.body.nonce < one.body.nonce) tails.set(sender, one)
    }
    tails.delete(name)
    return [...tails.values()]
  }

  /** The verdict, but for room, price floor and the number of replacements. */
  expected(id: Hex, body: Body, isSigned: boolean): string {
    const { world } = this
    const account = this.account(body)
    if (this.waiting.some((each) => each.id === id)) return 'ALREADY_KNOWN'
    if (body.validUntil <= world.height) return 'TRANSACTION_EXPIRED'
    if (body.maxBaseFee < world.baseFee) return 'FEE_CAP_TOO_LOW'
    if (body.nonce < account.nonce) return 'NONCE_TOO_LOW'
    const next = this.next(body)
    if (body.nonce > next + limits.nonceWindow) return 'NONCE_GAP'
    const own = this.own(body)
    const old = own.find((each) => each.body.nonce === body.nonce)
    const better = (was: bigint, is: bigint) => is > was && is * 100n >= was * REPLACEMENT_PERCENT
    if (old) {
      const isBetter =
        better(old.body.maxBaseFee, body.maxBaseFee) && better(old.body.tip, body.tip)
      if (!isBetter) return 'NONCE_TAKEN'
    } else if (own.length >= limits.perAccountMax) {
      return 'POOL_ACCOUNT_FULL'
    }
    if (account.balance < this.needed(body)) return 'INSUFFICIENT_FUNDS'
    if (!isSigned) return 'SIGNATURE_INVALID'
    return body.nonce <= next && isPoison(body) ? 'REFUSED' : 'ok'
  }

  needed(body: Body): bigint {
    const others = this.own(body).filter((each) => each.body.nonce !== body.nonce)
    const nonces = [...others.map((each) => each.body.nonce), body.nonce]
    const first = this.account(body).nonce
    const missing = Math.max(...nonces) - first + 1 - nonces.length
    const fee = (each: Body) => (each.maxBaseFee + each.tip) * BYTES
    const all = [...others.map((each) => each.body), body]
    const costs = all.reduce((sum, each) => sum + fee(each) + amountOf(each), 0n)
    return costs + BigInt(missing) * fee(body)
  }

  sync(): void {
    this.waiting = this.waiting.filter(({ id }) => this.world.pool.has(id))
  }
}

const amountOf = (body: Body) => (body.payload.selector === 0 ? body.payload.value.amount : 0n)
const isPoison = (body: Body) => amountOf(body) === POISON

/** What must hold whatever happened: limits, and that a block could take all it is handed. */
function check(model: Reference): void {
  const { world } = model
  expect(world.pool.size).toBe(model.waiting.length)
  expect(world.pool.size).toBeLessThanOrEqual(ROOM)
  expect(world.pool.bytes).toBe(200 * world.pool.size)
  const nonces = new Map<Hex, number>()
  const spent = new Map<Hex, bigint>()
  for (const { body } of world.pool.best(world.view())) {
    const name = world.nameOf(body.sender)
    const account = model.account(body)
    const next = nonces.get(name) ?? account.nonce
    expect(body.nonce).toBe(next)
    nonces.set(name, next + 1)
    const cost = (world.baseFee + body.tip) * BYTES + amountOf(body)
    spent.set(name, (spent.get(name) ?? 0n) + cost)
    expect(account.balance).toBeGreaterThanOrEqual(spent.get(name) ?? 0n)
    expect(body.maxBaseFee).toBeGreaterThanOrEqual(world.baseFee)
    expect(body.validUntil).toBeGreaterThan(world.height)
    expect(isPoison(body)).toBe(false)
    expect(model.signed.has(world.idOf({ body } as Transaction))).toBe(true)
  }
}

interface Offer {
  readonly sender: number
  readonly ahead: number
  readonly tip: bigint
  readonly cap: bigint
  readonly amount: bigint
  readonly life: number
  readonly isSigned: boolean
}

class Add implements fc.Command<Reference, PoolWorld> {
  readonly #offer: Offer
  constructor(offer: Offer) {
    this.#offer = offer
  }
  check = () => true
  run(model: Reference, world: PoolWorld): void {
    const { sender, ahead, tip, cap, amount, life, isSigned } = this.#offer
    const publicKey = key(sender)
    const account = world.accounts.get(world.nameOf(publicKey))
    const tx = transaction({
      sender: publicKey,
      nonce: Math.max(0, (account?.nonce ?? 0) + ahead),
      tip,
      maxBaseFee: cap,
      validUntil: world.height + life,
      payload: { selector: 0, value: { to: new Uint8Array(20), amount } },
    })
    const id = world.idOf(tx)
    const before = [...model.waiting]
    const tails = model.tailsOfOthers(tx.body)
    const expected = model.expected(id, tx.body, isSigned)
    const isHeld = tx.body.nonce > model.next(tx.body)
    const worths = new Map(before.map((one) => [one.id, model.worth(one)]))
    world.isSigned = isSigned
    const code = world.add(tx)
    if (code === 'POOL_FULL') {
      expect(before.length).toBe(ROOM)
      const cheaper = tails.filter((tail) => (worths.get(tail.id) ?? 0n) < tip)
      expect(isHeld || cheaper.length === 0).toBe(true)
    } else if (code === 'POOL_FEE_FLOOR') {
      expect(model.evictions).toBeGreaterThan(0)
    } else if (code !== 'REPLACED_TOO_OFTEN') {
      expect(code).toBe(expected)
    }
    const gone = before.filter((one) => !world.pool.has(one.id))
    if (code === 'ok') {
      model.signed.add(id)
      model.waiting.push({ id, body: tx.body })
      // One that is held takes nobody's place but its own.
      if (isHeld) expect(gone.filter(({ body }) => body.nonce !== tx.body.nonce)).toEqual([])
      this.#checkGone(gone, tx.body, { model, before, tails, worths })
    } else {
      expect(gone).toEqual([])
    }
    model.sync()
    check(model)
  }

  /** Replaced, or behind what no longer executes, or a cheaper tail of a full pool. */
  #checkGone(
    gone: readonly Ready[],
    body: Body,
    context: {
      model: Reference
      before: readonly Ready[]
      tails: readonly Ready[]
      worths: ReadonlyMap<Hex, bigint>
    },
  ): void {
    const { model, before, tails, worths } = context
    for (const one of gone) {
      if (model.world.nameOf(one.body.sender) === model.world.nameOf(body.sender)) {
        expect(one.body.nonce).toBeGreaterThanOrEqual(body.nonce)
        continue
      }
      expect(before.length).toBe(ROOM)
      expect(tails).toContain(one)
      const least = tails.reduce((a, b) =>
        (worths.get(b.id) ?? 0n) < (worths.get(a.id) ?? 0n) ? b : a,
      )
      expect(worths.get(one.id)).toBe(worths.get(least.id))
      expect(worths.get(one.id) ?? 0n).toBeLessThan(body.tip)
      model.evictions++
    }
  }

  toString = () =>
    `add(${Object.entries(this.#offer)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')})`
}

class Block implements fc.Command<Reference, PoolWorld> {
  readonly #takes: number
  readonly #strangers: number
  constructor(takes: number, strangers: number) {
    this.#takes = takes
    this.#strangers = strangers
  }
  check = () => true
  run(model: Reference, world: PoolWorld): void {
    const taken = [...world.pool.best(world.view())].slice(0, this.#takes)
    for (const { body } of taken) {
      model.account(body).balance -= (world.baseFee + body.tip) * BYTES + amountOf(body)
    }
    if (this.#strangers > 0) {
      // A block of another proposer: someone's next nonce went to a transaction unknown here.
      const sender = key(this.#strangers)
      const account = world.accounts.get(world.nameOf(sender))
      const isFree = taken.every(({ body }) => world.nameOf(body.sender) !== world.nameOf(sender))
      if (account && isFree) {
        account.balance /= 2n
        taken.push(transaction({ sender, nonce: account.nonce, tip: 12_345n }))
      }
    }
    world.height += 1
    world.include(...taken)
    model.sync()
    for (const { body } of model.waiting) {
      expect(body.nonce).toBeGreaterThanOrEqual(model.account(body).nonce)
      expect(body.validUntil).toBeGreaterThan(world.height)
    }
    check(model)
  }
  toString = () => `block(${this.#takes}, ${this.#strangers})`
}

class Price implements fc.Command<Reference, PoolWorld> {
  readonly #fee: bigint
  constructor(fee: bigint) {
    this.#fee = fee
  }
  check = () => true
  run(model: Reference, world: PoolWorld): void {
    world.baseFee = this.#fee
    check(model)
  }
  toString = () => `baseFee(${this.#fee})`
}

class Wait implements fc.Command<Reference, PoolWorld> {
  check = () => true
  run(model: Reference, world: PoolWorld): void {
    world.nowMs += 2 * 60 * 60 * 1000
    check(model)
  }
  toString = () => 'wait'
}

const offer = fc.record({
  sender: fc.integer({ min: 1, max: SENDERS }),
  ahead: fc.integer({ min: -1, max: 6 }),
  tip: fc.bigInt({ min: 0n, max: 30n }),
  cap: fc.bigInt({ min: 0n, max: 8n }),
  amount: fc.constantFrom(0n, 0n, 1n, 1000n, 50_000n, POISON),
  life: fc.constantFrom(0, 1, 2, 20, 20, 20),
  isSigned: fc.constantFrom(true, true, true, true, true, false),
})

describe('the pool against a plain reference', () => {
  test('hands out only what executes, within its limits, and loses nothing to a worse one', () => {
    const commands = [
      offer.map((one) => new Add(one)),
      offer.map((one) => new Add({ ...one, ahead: one.ahead % 3, cap: one.cap + 3n, life: 20 })),
      ...[0, 1, 0, 1, 2].map((ahead) =>
        offer.map((one) => new Add({ ...one, ahead, cap: 8n, amount: 0n, life: 20 })),
      ),
      fc.tuple(fc.nat(4), fc.nat(SENDERS)).map(([takes, who]) => new Block(takes, who)),
      fc.bigInt({ min: 1n, max: 6n }).map((fee) => new Price(fee)),
      fc.constant(new Wait()),
    ]
    let evictions = 0
    fc.assert(
      fc.property(fc.commands(commands, { maxCommands: 120, size: 'max' }), (sequence) => {
        const model = new Reference()
        for (const account of model.world.accounts.values()) account.balance = 200_000n
        fc.modelRun(() => ({ model, real: model.world }), sequence)
        evictions += model.evictions
      }),
      { numRuns: 60 },
    )
    expect(evictions).toBeGreaterThan(30)
  }, 60_000)
})
