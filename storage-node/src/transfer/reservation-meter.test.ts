import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type MeteredRail, RailMeters } from './rail-meter.ts'
import { signVoucher } from './rail-payer.ts'
import { ReservationMeter } from './reservation-meter.ts'
import { CHAIN_ID } from './testing/channel-pair.ts'
import {
  type MeterLedgers,
  openMeterLedgers,
  OWNER,
  railTerms as railTermsOf,
} from './testing/meter-ledgers.ts'

const PRICE = 1000n
let ledgers: MeterLedgers

beforeAll(async () => {
  ledgers = await openMeterLedgers()
})
afterAll(() => ledgers.close())

const railTerms = (lockUnits = 1_000_000n): MeteredRail =>
  railTermsOf({ unitPrice: 0n, reservationPrice: PRICE, lockUnits })

/** As a relay that starts: from what is on its disk. */
async function started(terms: MeteredRail): Promise<ReservationMeter> {
  return ReservationMeter.open(
    await new RailMeters(ledgers.vouchers).acquire(terms),
    ledgers.reserved,
  )
}

const paid = ({ rail, generation }: MeteredRail, units: number) =>
  signVoucher({ chainId: CHAIN_ID, rail, generation, ownerKey: OWNER }, 0, units)

describe('reservation meter', () => {
  test('gives one epoch on credit, and the next ones as far as they are signed for', async () => {
    const terms = railTerms()
    const meter = await started(terms)
    expect(await meter.begin(7)).toBeUndefined()
    expect(meter.usedUnits).toBe(1)
    expect(await meter.keep(8)).toBe('VOUCHER_LATE')
    expect(meter.usedUnits).toBe(1)
    await meter.accept(paid(terms, 1))
    expect(await meter.keep(8)).toBeUndefined()
    expect(meter.usedUnits).toBe(2)
  })

  test('an epoch counts once, however often the link breaks in it', async () => {
    const meter = await started(railTerms())
    for (let link = 0; link < 3; link++) expect(await meter.begin(5)).toBeUndefined()
    expect(meter.usedUnits).toBe(1)
  })

  test('epochs in which the link was paused or away do not count', async () => {
    const terms = railTerms()
    const meter = await started(terms)
    await meter.accept(paid(terms, 5))
    await meter.begin(5)
    await meter.begin(90)
    expect(meter.usedUnits).toBe(2)
    await meter.keep(93)
    expect(meter.usedUnits).toBe(5)
  })

  test('a restart of the relay in the middle forgets neither use nor pay', async () => {
    const terms = railTerms()
    const before = await started(terms)
    await before.begin(10)
    await before.accept(paid(terms, 1))
    await before.keep(11)
    const after = await started(terms)
    expect([after.usedUnits, after.paidUnits]).toEqual([2, 1])
    expect(await after.begin(11)).toBeUndefined()
    expect(after.usedUnits).toBe(2)
    expect(await after.keep(12)).toBe('VOUCHER_LATE')
    await after.accept(paid(terms, 2))
    expect(await after.begin(12)).toBeUndefined()
    expect(after.usedUnits).toBe(3)
  })

  test('nothing is given that the lock cannot pay, until it is topped up', async () => {
    const terms = railTerms(2n * PRICE)
    const meter = await started(terms)
    await meter.accept(paid(terms, 9))
    await meter.begin(1)
    expect(await meter.keep(2)).toBeUndefined()
    expect(await meter.keep(3)).toBe('LOCK_EXHAUSTED')
    meter.railMeter.refresh({ ...terms, lockUnits: 3n * PRICE })
    expect(await meter.keep(3)).toBeUndefined()
    expect(meter.usedUnits).toBe(3)
  })

  test('a step is one unit at first, half as much as was paid more, sixteen at most', async () => {
    const terms = railTerms()
    const meter = await started(terms)
    const steps: number[] = []
    for (const units of [0, 1, 2, 4, 10, 30, 500]) {
      await meter.accept(paid(terms, units))
      steps.push(meter.stepUnits)
    }
    expect(steps).toEqual([1, 1, 2, 3, 6, 16, 16])
    expect((await started(terms)).stepUnits).toBe(1)
  })

  test('never more than a step unpaid, never more than the lock, whatever comes', async () => {
    const event = fc.oneof(
      fc.record({ kind: fc.constant('epochs' as const), by: fc.integer({ min: 0, max: 4 }) }),
      fc.record({ kind: fc.constant('pay' as const), by: fc.integer({ min: -3, max: 3 }) }),
      fc.record({ kind: fc.constant('again' as const), by: fc.integer({ min: 0, max: 3 }) }),
      fc.record({ kind: fc.constant('restart' as const), by: fc.constant(0) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 40 }), async (events) => {
        const terms = railTerms(20n * PRICE)
        let meter = await started(terms)
        let epoch = 1
        for (const { kind, by } of events) {
          const before = meter.usedUnits
          if (kind === 'pay') await meter.accept(paid(terms, Math.max(0, meter.usedUnits + by)))
          else if (kind === 'restart') meter = await started(terms)
          else {
            epoch += by
            await (kind === 'again' ? meter.begin(epoch) : meter.keep(epoch))
          }
          if (kind === 'restart') expect(meter.usedUnits).toBe(before)
          if (meter.usedUnits === before) continue
          expect(meter.usedUnits).toBeLessThanOrEqual(meter.paidUnits + meter.stepUnits)
          expect(BigInt(meter.usedUnits) * PRICE).toBeLessThanOrEqual(terms.lockUnits)
        }
        // What counts at the end is what the chain would pay for: the voucher, not the count.
        const stored = await ledgers.vouchers.voucher(terms)
        expect(stored?.voucher.reservations ?? 0).toBe(meter.paidUnits)
      }),
      { numRuns: 60 },
    )
  })
})
