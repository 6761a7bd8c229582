import { presets } from '@ioex/genesis/presets'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { emptyRail } from './open-relay.ts'
import {
  billedLeaves,
  isDust,
  railNeed,
  railRests,
  railTotals,
  timeAmount,
  unitsAmount,
} from './settlement.ts'
import { actor, codeOf, payoutOf, TEST_PRICE, World } from './testing/world.ts'

const params = presets.main
const payer = actor('payer')
const node = actor('node')
const other = actor('other')

beforeAll(async () => {
  await installNativeCrypto()
})

describe('integers of a rail', () => {
  test('billing floor, time, units', () => {
    expect([0, 1, 256, 257].map(billedLeaves)).toEqual([0n, 256n, 256n, 257n])
    expect(timeAmount(1n << 22n, 300, 7)).toBe(2100n)
    expect(timeAmount(16383n, 1, 1)).toBe(0n)
    const rail = { ...emptyRail(1, 1), unitPrice: 3n << 20n, kib: 5, reservationPrice: 7n }
    expect(unitsAmount({ ...rail, reservations: 2 })).toBe(29n)
  })

  test('widths: the largest price, slot and term stay exact and fit the lock (case 17)', () => {
    const price = params.priceMax
    const exact = (price * (1n << 22n) * BigInt(params.termMaxEpochs)) >> 22n
    expect(timeAmount(price, 2 ** 22, params.termMaxEpochs)).toBe(exact)
    expect(railNeed(params, price, 2 ** 22)).toBe(3n * price)
    expect(railNeed(params, 0n, 2 ** 22)).toBe(3n * params.repairFloorPrice)
  })

  test('dust is refused where nothing would burn over the minimum charge (case 13)', () => {
    // 15 % of price x 256 leaves x 24 epochs / 2^22 reaches one unit at this price.
    const least = (10_000n * (1n << 22n) + 1500n * 256n * 24n - 1n) / (1500n * 256n * 24n)
    expect(isDust(params, least, 1)).toBe(false)
    expect(isDust(params, least - 1n, 1)).toBe(true)
    expect(isDust(params, 0n, 1)).toBe(false)
  })

  test('totals never fall, pay adds up, and the locks always suffice', () => {
    const counters = fc.record({ E: fc.nat(50), forfeited: fc.nat(50), kib: fc.nat(1 << 22) })
    fc.assert(
      fc.property(
        fc.bigInt(0n, 1n << 40n),
        fc.bigInt(0n, 1n << 40n),
        fc.bigInt(0n, 1n << 44n),
        fc.integer({ min: 1, max: 2 ** 22 }),
        fc.array(counters, { minLength: 1, maxLength: 12 }),
        (price, unitPrice, lockUnits, leaves, grows) => {
          let E = 0
          let elapsed = 0
          const term = grows.reduce((sum, step) => sum + step.E + step.forfeited, 0)
          let rail = {
            ...emptyRail(1, term),
            price,
            unitPrice,
            leaves,
            lockUnits,
            lockTime: timeAmount(price, leaves, term),
            need: railNeed(params, unitPrice, leaves),
          }
          for (const step of grows) {
            E += step.E
            elapsed += step.E + step.forfeited
            rail = { ...rail, kib: rail.kib + step.kib }
            const totals = railTotals(params, rail, { E, elapsed })
            rail = { ...rail, ...totals }
            const total = totals.paidTime + totals.paidUnits
            const phi = (total + 9n) / 10n
            expect(totals.net + totals.validators + phi).toBe(total)
            expect(totals.burned).toBeGreaterThanOrEqual(phi)
            expect(totals.held).toBeLessThanOrEqual(rail.need)
            const rests = railRests(rail)
            expect(rests.time >= 0n && rests.units >= 0n).toBe(true)
          }
        },
      ),
    )
  })
})

/** One history of two nodes; redeems are added by the caller between its steps. */
function history(world: World, redeem: (step: number) => void) {
  world.fund(payer, 10n ** 15n)
  world.fixBeacon()
  const terms = { price: TEST_PRICE + 12_345n, unitPrice: 1_000_003n, lockUnits: 50_000n }
  const rails = [world.rent(payer, node, terms), world.rent(payer, node, { ...terms, leaves: 2 })]
  const far = world.rent(payer, other, terms)
  const relay = world.relay(payer, node, 7_777n, 2_000_001n)
  for (let step = 0; step < 14; step++) {
    world.step()
    if (step % 5 !== 3) world.prove(node)
    world.prove(other)
    redeem(step)
  }
  return { rails: [...rails, relay], far }
}

const splits = fc.array(
  fc.record({
    step: fc.nat(13),
    rails: fc.uniqueArray(fc.nat(2), { minLength: 1 }),
    replay: fc.boolean(),
    order: fc.boolean(),
  }),
  { maxLength: 10 },
)

describe('redeem', () => {
  test('splitting, batching, replaying and reordering change nothing (cases 6, 10)', () => {
    /** Signed once: the same vouchers in every run. */
    const kibAt = (step: number, rail: number) => (step + 1) * 100_000 * (rail + 1)
    const run = (plan: typeof splits extends fc.Arbitrary<infer P> ? P : never) => {
      const world = new World()
      const indexes = [0, 1, 3]
      const redeemed = (step: number, which: readonly number[], isReversed: boolean) => {
        const rails = which.map((i) => indexes[i] as number)
        const vouchers = rails.map((rail) => world.voucher(payer, rail, kibAt(step, rail)))
        if (isReversed) {
          rails.reverse()
          // An older voucher of the same rail beside the newest adds nothing.
          vouchers.push(...rails.map((rail) => world.voucher(payer, rail, 1)))
        }
        const code = codeOf(world.redeem(node, rails, vouchers))
        expect(code).toBe('ok')
      }
      history(world, (step) => {
        for (const redeem of plan.filter((r) => r.step === step)) {
          redeemed(step, redeem.rails, redeem.order)
          if (redeem.replay) redeemed(Math.max(0, step - 3), redeem.rails, redeem.order)
        }
        if (step === 13) redeemed(step, [0, 1, 2], false)
      })
      world.audit()
      const rewards = world.receiptsOf('reward').reduce((sum, { amount }) => sum + amount, 0n)
      const totals = indexes.map((index) => {
        const { paidTime, paidUnits, burned, validators, net, held } = world.rail(index)
        return { paidTime, paidUnits, burned, validators, net, held }
      })
      return { totals, paid: world.balance(payoutOf(node)) - rewards, held: world.node(node).held }
    }
    const once = run([])
    expect(once.paid).toBeGreaterThan(0n)
    fc.assert(
      fc.property(splits, (plan) => {
        expect(run(plan)).toEqual(once)
      }),
      { numRuns: 40 },
    )
  }, 60_000)

  test('repeating one is refused once nothing is due and a byte fee is', () => {
    const world = new World({ baseFeePerByte: 1n })
    const { rails } = history(world, () => undefined)
    expect(codeOf(world.redeem(node, rails))).toBe('ok')
    expect(codeOf(world.redeem(node, rails))).toBe('PROCEEDS_BELOW_FEE')
    world.audit()
  })

  test('whoever repeats a redeem must bring as much again as its node asked for', () => {
    const FEE = 1000n
    const seen = { taken: 0, refused: 0 }
    const repeats = fc.array(fc.record({ step: fc.nat(13), times: fc.integer({ min: 1, max: 3 }) }))
    const run = (plan: readonly { step: number; times: number }[]) => {
      const world = new World({ baseFeePerByte: 1n })
      // Signed once, good as long as it is valid: what a hostile proposer has in hand.
      const least = 4n * FEE
      const { rails } = history(world, (step) => {
        for (const { times } of plan.filter((one) => one.step === step)) {
          for (let i = 0; i < times; i++) {
            const payouts = world.receiptsOf('payout').length
            const code = codeOf(world.redeem(node, [0, 1], [], least))
            const payout = world.receiptsOf('payout')[payouts]
            seen[code === 'ok' ? 'taken' : 'refused'] += 1
            if (code === 'ok') expect((payout?.proceeds ?? 0n) >= least).toBe(true)
            else expect(code).toMatch(/^PROCEEDS_BELOW_(FEE|LEAST)$/)
          }
        }
      })
      const ended = codeOf(world.redeem(node, rails))
      world.audit()
      const fees = world.receiptsOf('payout').reduce((sum, { byteFee }) => sum + byteFee, 0n)
      const proceeds = world.receiptsOf('payout').reduce((sum, one) => sum + one.proceeds, 0n)
      return { ended, fees, proceeds }
    }
    const honest = run([])
    fc.assert(
      fc.property(repeats, (plan) => {
        const { ended, fees, proceeds } = run(plan)
        // Never more than a quarter of what they brought, beside the last one's own fee.
        expect((fees - FEE) * 4n <= proceeds).toBe(true)
        if (ended === 'ok') expect(proceeds).toBe(honest.proceeds)
        else expect(honest.proceeds - proceeds < FEE).toBe(true)
      }),
      { numRuns: 40 },
    )
    for (const [what, times] of Object.entries(seen)) expect(times, what).toBeGreaterThan(0)
  })

  test('what a redeem asks for at least is no more than a condition', () => {
    const world = new World({ baseFeePerByte: 1n })
    const { rails } = history(world, () => undefined)
    expect(codeOf(world.redeem(node, rails, [], (1n << 64n) - 1n))).toBe('PROCEEDS_BELOW_LEAST')
    const trial = new World({ baseFeePerByte: 1n })
    history(trial, () => undefined)
    expect(codeOf(trial.redeem(node, rails))).toBe('ok')
    const [payout] = trial.receiptsOf('payout')
    const least = payout?.proceeds ?? 0n
    expect(codeOf(world.redeem(node, rails, [], least + 1n))).toBe('PROCEEDS_BELOW_LEAST')
    expect(codeOf(world.redeem(node, rails, [], least))).toBe('ok')
    expect(world.receiptsOf('payout')).toEqual([payout])
  })

  test('byte fee and proof debt come off the payout once and burn', () => {
    const world = new World({ baseFeePerByte: 1n })
    const { rails } = history(world, () => undefined)
    const { debt } = world.node(node)
    expect(debt).toBeGreaterThan(0n)
    const burned = world.draft.globals().burnedBaseFee
    expect(codeOf(world.redeem(node, rails))).toBe('ok')
    const [payout] = world.receiptsOf('payout')
    expect(payout).toMatchObject({ byteFee: 1000n, debtPaid: debt })
    expect(payout?.paid).toBe((payout?.proceeds ?? 0n) - 1000n - debt)
    expect(world.balance(payoutOf(node))).toBe(payout?.paid)
    expect(world.draft.globals().burnedBaseFee - burned).toBe(1000n + debt)
    expect(world.node(node).debt).toBe(0n)
    world.audit()
  })

  test('refuses what is not the node’s, and vouchers that are not for it', () => {
    const world = new World()
    const { rails, far } = history(world, () => undefined)
    const [rail] = rails as [number]
    const voucher = world.voucher(payer, rail, 10)
    const { signature } = world.voucher(payer, rail, 11)
    const stale = { ...voucher, voucher: { ...voucher.voucher, generation: 1 } }
    const cases: [string, number[], (typeof voucher)[]][] = [
      ['RAIL_UNKNOWN', [far], []],
      ['RAIL_UNKNOWN', [99], []],
      ['VOUCHER_OTHER_RAIL', [rails[1] as number], [voucher]],
      ['VOUCHER_OTHER_RAIL', [rail], [stale]],
      ['VOUCHER_PAYER', [rail], [world.voucher(other, rail, 10)]],
      ['VOUCHER_SIGNATURE', [rail], [{ ...voucher, signature }]],
    ]
    for (const [code, list, vouchers] of cases) {
      expect(codeOf(world.redeem(node, list, vouchers))).toBe(code)
    }
    expect(codeOf(world.redeem(actor('nobody'), [rail]))).toBe('NODE_UNKNOWN')
    const high = world.voucher(payer, rail, Number.MAX_SAFE_INTEGER)
    expect(codeOf(world.redeem(node, [rail], [high]))).toBe('ok')
    expect(world.rail(rail).paidUnits).toBe(50_000n)
    world.audit()
  })
})
