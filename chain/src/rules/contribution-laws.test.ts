import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { epochsOf } from './settle-rail.ts'
import { richWorld } from './testing/rich-world.ts'
import { type Actor, actor, codeOf, payoutOf, TEST_PRICE } from './testing/world.ts'

/** Laws of the ledger of contribution that hold whatever a node does, on the production rules. */
const payer = actor('payer')
const node = actor('node')

beforeAll(async () => {
  await installNativeCrypto()
})

describe('money', () => {
  /** A history of vouchers and proofs, and one way to redeem it. */
  const way = fc.record({
    vouchers: fc.array(fc.nat({ max: 5000 }), { minLength: 1, maxLength: 8 }),
    proofs: fc.integer({ min: 1, max: 4 }),
    splits: fc.array(fc.record({ rail: fc.nat(2), voucher: fc.nat(7), again: fc.boolean() }), {
      maxLength: 12,
    }),
  })

  test('however redeems are split, batched, replayed and reordered, the same is paid', () => {
    const met = { replayed: 0 }
    fc.assert(
      fc.property(way, ({ vouchers, proofs, splits }) => {
        const paid = [true, false].map((isSplit) => {
          const world = richWorld()
          const unitPrice = 3n << 19n
          const rails = [1, 2].map((size) =>
            world.rent(payer, node, {
              price: TEST_PRICE + BigInt(size),
              unitPrice,
              lockUnits: 9000n,
            }),
          )
          rails.push(world.relay(payer, node, 4000n, unitPrice + 1n))
          for (let i = 0; i < proofs; i++) {
            world.step()
            world.prove(node)
          }
          // All in one epoch: what an epoch's fees share out must be the same too.
          for (const { rail, voucher, again } of isSplit ? splits : []) {
            const index = rails[rail] as number
            const kib = vouchers[voucher % vouchers.length] as number
            const signed = world.voucher(payer, index, kib)
            const codes = [world.redeem(node, [index], [signed])]
            if (again) codes.push(world.redeem(node, [index, index], [signed, signed]))
            if (again) met.replayed += 1
            expect(codes.map(codeOf)).toEqual(codes.map(() => 'ok'))
          }
          const most = rails.map((rail) => world.voucher(payer, rail, Math.max(...vouchers)))
          expect(codeOf(world.redeem(node, [...rails].reverse(), most))).toBe('ok')
          const { fees, burned } = world.draft.epochs.get(world.epoch) as {
            fees: bigint
            burned: bigint
          }
          world.step()
          world.touch(node)
          world.audit()
          const totals = rails
            .map((rail) => world.rail(rail))
            .map(({ net, held, burned: b }) => [net, held, b])
          return { fees, burned, totals, wealth: world.balance(payoutOf(node)) }
        })
        expect(paid[0]).toEqual(paid[1])
      }),
      { numRuns: 25 },
    )
    expect(met.replayed).toBeGreaterThan(10)
  }, 30_000)

  test('rounding is never the node’s: any split of any fee burns and shares at least its part', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 40 }),
        (steps) => {
          const world = richWorld()
          world.rent(payer, node, { price: 0n })
          const rail = world.relay(payer, node, 200_000n, 1n << 20n)
          let kib = 0
          for (const step of steps) {
            kib += step
            world.redeem(node, [rail], [world.voucher(payer, rail, kib)])
            const { paidUnits, burned, validators, net } = world.rail(rail)
            expect(burned * 10n).toBeGreaterThanOrEqual(paidUnits)
            expect(burned * 10n).toBeLessThan(paidUnits + 10n)
            expect(validators).toBe((paidUnits * 5n) / 100n)
            expect(burned + validators + net).toBe(paidUnits)
          }
          expect(world.balance(payoutOf(node))).toBe(world.rail(rail).net)
        },
      ),
      { numRuns: 30 },
    )
  }, 30_000)
})

describe('challenges', () => {
  /** Epoch-rails proven less 0.8 of the epoch-rails kept: profit at pay 1, cost 0.8. */
  function profit(strategy: {
    readonly rails: number
    readonly drop: number
    readonly delay: number
    readonly salt: string
  }): number {
    const { rails, drop, delay, salt } = strategy
    const world = richWorld({ proofWindowEpochs: 4, strikesToEvict: 5 })
    const indexes = Array.from({ length: rails }, () => world.rent(payer, node, { term: 400 }))
    for (const rail of indexes.slice(0, drop)) world.dropped.add(rail)
    let kept = 0
    for (let i = 0; i < 60; i++) {
      world.nextEpoch()
      world.fixBeacon(salt)
      world.touch(node)
      const { evicted, challenge } = world.node(node)
      if (evicted) break
      kept += rails - drop
      // It may look at the draw as long as the window lasts and answer when it likes.
      if (world.isChallenged(node) && world.epoch >= challenge + delay) world.tryProve(node)
    }
    const proven = indexes.map((rail) => epochsOf(world.draft, world.rail(rail), world.epoch).E)
    return proven.reduce((sum, E) => sum + E, 0) - 0.8 * kept
  }

  test('no share dropped, answered at once or late, beats keeping everything', () => {
    const honest = Math.min(
      ...['a', 'b'].map((salt) => profit({ rails: 4, drop: 0, delay: 0, salt })),
    )
    expect(honest).toBeGreaterThan(0)
    const strategy = fc.record({
      drop: fc.integer({ min: 1, max: 4 }),
      delay: fc.integer({ min: 0, max: 3 }),
      salt: fc.string({ minLength: 1, maxLength: 6 }),
    })
    fc.assert(
      fc.property(strategy, (one) => {
        expect(profit({ rails: 4, ...one })).toBeLessThan(honest)
      }),
      { numRuns: 40 },
    )
  }, 30_000)

  test('answering late is never better than at once: what is proven ends at the challenge', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3 }), fc.string({ maxLength: 4 }), (delay, salt) => {
        const now = profit({ rails: 2, drop: 0, delay: 0, salt })
        expect(profit({ rails: 2, drop: 0, delay, salt })).toBeLessThanOrEqual(now)
      }),
      { numRuns: 10 },
    )
  }, 20_000)

  /** q and the challenges of an honest node of class 1 beside so many others. */
  function detection(fakes: { readonly price: bigint; readonly leaves: number }[], salt: string) {
    const world = richWorld({ class1Bytes: 1024, proofBudgetBytes: 10_000, proofWindowEpochs: 2 })
    world.rent(payer, node, { leaves: 4 })
    for (const [i, terms] of fakes.entries()) world.rent(payer, actor(`fake ${i}`), terms)
    const rates: bigint[] = []
    const challenged: number[] = []
    for (let i = 0; i < 12; i++) {
      world.nextEpoch()
      world.fixBeacon(salt)
      rates.push(world.draft.epochs.get(world.epoch)?.q1 as bigint)
      if (!world.isChallenged(node)) continue
      challenged.push(world.epoch)
      world.prove(node)
    }
    return { rates, challenged }
  }

  test('nodes that hold little, or nothing that pays, do not lower an honest one’s detection', () => {
    const fake = fc.record({
      price: fc.constantFrom(0n, 0n, TEST_PRICE),
      leaves: fc.constantFrom(1, 3, 3),
    })
    const gift = { price: 0n, leaves: 40 }
    fc.assert(
      fc.property(fc.array(fake, { maxLength: 12 }), fc.string({ maxLength: 4 }), (fakes, salt) => {
        const alone = detection([], salt)
        expect(detection([...fakes, gift], salt)).toEqual(alone)
      }),
      { numRuns: 12 },
    )
    // The bound is real: others as large do share the budget of their class.
    const large = Array.from({ length: 12 }, () => ({ price: TEST_PRICE, leaves: 4 }))
    expect(detection(large, '').rates.at(-1)).toBeLessThan(detection([], '').rates.at(-1) as bigint)
  }, 30_000)

  test('case 3: debt does not take a node out of its class, so q cannot run away', () => {
    const world = richWorld({ proofBudgetBytes: 200_000, baseFeePerByte: 1n, debtProofsMax: 1 })
    const nodes = Array.from({ length: 10 }, (_, i) => actor(`indebted ${i}`))
    for (const one of nodes) world.rent(payer, one)
    world.nextEpoch()
    const before = world.draft.epochs.get(world.epoch)?.q2
    for (let i = 0; i < 10; i++) {
      world.step()
      for (const one of nodes) if (world.isChallenged(one)) world.tryProve(one)
    }
    const indebted = nodes.filter((one) => world.node(one).debt > 1000n)
    expect(indebted.length).toBeGreaterThan(0)
    expect(world.draft.globals().nodesClass2).toBe(
      nodes.filter((one) => !world.node(one).evicted).length,
    )
    expect(world.draft.epochs.get(world.epoch)?.q2).toBeLessThanOrEqual(before as bigint)
  })
})

describe('case 22: attacks that must go on losing', () => {
  const sybil = (i: number): Actor => actor(`sybil ${i}`)

  test('identity grinding: a new name every time earns nothing before its first own challenge', () => {
    const world = richWorld()
    const rails: [Actor, number][] = []
    for (let i = 0; i < 8; i++) {
      world.step()
      const rail = world.rent(payer, sybil(i), { term: 50 })
      world.dropped.add(rail)
      rails.push([sybil(i), rail])
    }
    for (let i = 0; i < 25; i++) world.step()
    for (const [who, rail] of rails) {
      world.redeem(who, [rail])
      expect(world.rail(rail).paidTime).toBe(0n)
      expect(world.rail(rail).burned).toBeGreaterThan(0n)
      expect(world.node(who).evicted).toBe(true)
    }
    world.audit()
  })

  test('filled before the snapshot and closed after it, the bytes dropped: nothing is paid', () => {
    const world = richWorld()
    const rail = world.rent(payer, node, { term: 50 })
    world.dropped.add(rail)
    expect(codeOf(world.close(payer, rail))).toBe('ok')
    // It settles once no challenge can draw it any more: here, when its node is evicted.
    while (codeOf(world.close(payer, rail)) !== 'ok') {
      world.step()
      if (world.isChallenged(node)) expect(world.tryProve(node)).toBeUndefined()
      if (world.epoch > 30) throw new Error('never settled')
    }
    expect(world.rail(rail)).toMatchObject({ live: false, paidTime: 0n, net: 0n })
    world.audit()
  })

  test('a payer that closes just before a proof still owes every epoch up to its asking', () => {
    const world = richWorld()
    const rail = world.rent(payer, node, { term: 50 })
    world.step()
    world.prove(node)
    for (let i = 0; i < 3; i++) world.nextEpoch({ q1: 0n, q2: 0n })
    world.height += 1
    expect(codeOf(world.close(payer, rail))).toBe('ok')
    world.step()
    world.prove(node, [])
    world.step()
    world.prove(node)
    while (codeOf(world.close(payer, rail)) !== 'ok') {
      world.step()
      if (world.isChallenged(node)) world.prove(node)
      if (world.epoch > 20) throw new Error('never settled')
    }
    // Base 2, asked in 5.
    expect(world.rail(rail).paidTime).toBe((256n * TEST_PRICE * 3n) >> 22n)
    world.audit()
  })

  test('nobody evicts a node that answers', () => {
    const world = richWorld()
    world.rent(payer, node)
    for (let i = 0; i < 8; i++) {
      world.step()
      expect(codeOf(world.evict(node))).toBe('STRIKES_TOO_FEW')
      world.prove(node)
    }
  })
})
