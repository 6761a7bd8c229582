import { publicKeyOf } from '@ioex/chain/bytes'
import type { SignedVoucher } from '@ioex/chain/types'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type MeteredRail, RailMeters } from './rail-meter.ts'
import { RailPayer, signVoucher } from './rail-payer.ts'
import { CHAIN_ID, secretKey } from './testing/channel-pair.ts'
import { type MeterLedgers, openMeterLedgers, OWNER, railTerms } from './testing/meter-ledgers.ts'
import { STEP_BYTES_FIRST, STEP_BYTES_MAX } from './voucher-step.ts'

const running = new AbortController().signal
let ledgers: MeterLedgers

beforeAll(async () => {
  ledgers = await openMeterLedgers()
})
afterAll(() => ledgers.close())

const payerOf = ({ rail, generation }: MeteredRail) =>
  new RailPayer({ chainId: CHAIN_ID, rail, generation, ownerKey: OWNER })
const readingOf = (meter: { usedBytes: number; stepBytes: number; newest?: SignedVoucher }) => ({
  usedBytes: meter.usedBytes,
  stepBytes: meter.stepBytes,
  newest: meter.newest,
})

describe('rail meter', () => {
  test('serves one step for nothing, waits, and goes on with a voucher', async () => {
    const terms = railTerms()
    const meter = await new RailMeters(ledgers.vouchers, 200).acquire(terms)
    await meter.spend(STEP_BYTES_FIRST, running)
    const late = meter.spend(1, running)
    await expect(late).rejects.toMatchObject({ code: 'VOUCHER_LATE' })
    const waiting = meter.spend(1000, running)
    await meter.accept(signVoucher({ ...terms, ownerKey: OWNER }, 1))
    await waiting
    expect(meter.usedBytes).toBe(STEP_BYTES_FIRST + 1000)
  })

  test('serves nothing beyond the lock of the rail', async () => {
    // 1,000,000 units per GiB and 1,000 units: 1,048 KiB.
    const terms = railTerms({ lockUnits: 1000n })
    const meter = await new RailMeters(ledgers.vouchers, 200).acquire(terms)
    await meter.accept(signVoucher({ ...terms, ownerKey: OWNER }, 1_000_000))
    await meter.spend(1048 * 1024, running)
    await expect(meter.spend(1, running)).rejects.toMatchObject({ code: 'LOCK_EXHAUSTED' })
  })

  test('a voucher that raises reservations alone counts; one that lowers either does not', async () => {
    const terms = railTerms({ reservationPrice: 10n, lockUnits: 1000n })
    const meters = new RailMeters(ledgers.vouchers)
    const meter = await meters.acquire(terms)
    const rail = { ...terms, ownerKey: OWNER }
    const counters = async (kib: number, reservations: number) => {
      await meter.accept(signVoucher(rail, kib, reservations))
      const { voucher } = meter.newest as SignedVoucher
      return [voucher.kib, voucher.reservations]
    }
    expect(await counters(5, 0)).toEqual([5, 0])
    expect(await counters(5, 3)).toEqual([5, 3])
    expect(await counters(6, 2)).toEqual([5, 3])
    expect(await counters(4, 9)).toEqual([5, 3])
    expect(await counters(7, 3)).toEqual([7, 3])
    await meters.release(meter)
    const stored = await ledgers.vouchers.voucher(terms)
    expect(stored?.voucher).toMatchObject({ kib: 7, reservations: 3 })
  })

  test('takes no voucher of another rail, payer or generation', async () => {
    const terms = railTerms()
    const meter = await new RailMeters(ledgers.vouchers).acquire(terms)
    const wrong = [
      signVoucher({ ...terms, ownerKey: secretKey(8) }, 100),
      signVoucher({ ...terms, generation: 1, ownerKey: OWNER }, 100),
      signVoucher({ ...terms, rail: terms.rail + 1, ownerKey: OWNER }, 100),
      signVoucher({ ...terms, chainId: new Uint8Array(32), ownerKey: OWNER }, 100),
      { ...signVoucher({ ...terms, ownerKey: OWNER }, 100), payerKey: publicKeyOf(secretKey(8)) },
    ]
    for (const voucher of wrong) {
      await expect(meter.accept(voucher)).rejects.toMatchObject({ code: 'VOUCHER_INVALID' })
    }
    expect(meter.paidKib).toBe(0)
  })

  test('a lower voucher adds nothing and is no error', async () => {
    const terms = railTerms()
    const meter = await new RailMeters(ledgers.vouchers).acquire(terms)
    await meter.accept(signVoucher({ ...terms, ownerKey: OWNER }, 100))
    await meter.accept(signVoucher({ ...terms, ownerKey: OWNER }, 50))
    await meter.accept(signVoucher({ ...terms, ownerKey: OWNER }, 100))
    expect(meter.paidKib).toBe(100)
  })

  test('remembers what it served and was paid', async () => {
    const terms = railTerms()
    const meters = new RailMeters(ledgers.vouchers)
    const meter = await meters.acquire(terms)
    await meter.accept(signVoucher({ ...terms, ownerKey: OWNER }, 300))
    await meter.spend(400 * 1024, running)
    await meters.release(meter)
    const again = await new RailMeters(ledgers.vouchers).acquire(terms)
    expect(again.paidKib).toBe(300)
    expect(again.usedBytes).toBe(400 * 1024)
  })

  test('all sessions of a rail share one credit', async () => {
    const terms = railTerms()
    const meters = new RailMeters(ledgers.vouchers, 100)
    const [one, other] = await Promise.all([meters.acquire(terms), meters.acquire(terms)])
    expect(one).toBe(other)
    await one.spend(200 * 1024, running)
    await expect(other.spend(100 * 1024, running)).rejects.toMatchObject({ code: 'VOUCHER_LATE' })
  })
})

describe('payer and meter', () => {
  const sessions = fc.array(
    fc.record({
      pieces: fc.array(fc.integer({ min: 1, max: 64 * 1024 }), { maxLength: 60 }),
      /** Pieces after which the session breaks without its last voucher. */
      breaksAt: fc.option(fc.integer({ min: 0, max: 60 }), { nil: undefined }),
    }),
    { minLength: 1, maxLength: 4 },
  )

  test('never wait for each other, and a broken session loses at most one step', async () => {
    await fc.assert(
      fc.asyncProperty(sessions, async (plan) => {
        const terms = railTerms()
        const payer = payerOf(terms)
        // A stall would end in VOUCHER_LATE and fail the property.
        const meters = new RailMeters(ledgers.vouchers, 50)
        let moved = 0
        for (const { pieces, breaksAt } of plan) {
          const meter = await meters.acquire(terms)
          const owed = payer.begin(readingOf(meter))
          if (owed) await meter.accept(owed)
          for (const [i, piece] of pieces.entries()) {
            await meter.spend(piece, running)
            moved += piece
            if (i === breaksAt) break
            const voucher = payer.owe(piece)
            if (voucher) await meter.accept(voucher)
          }
          const last = payer.end()
          if (last && breaksAt === undefined) await meter.accept(last)
          expect(meter.usedBytes).toBe(moved)
          const unpaid = meter.usedBytes - meter.paidKib * 1024
          expect(unpaid).toBeLessThanOrEqual(STEP_BYTES_MAX)
          // Nothing is paid that did not move, but for rounding to a KiB.
          expect(unpaid).toBeGreaterThan(-1024)
          await meters.release(meter)
        }
      }),
      { numRuns: 40 },
    )
  })

  test('a payer believes a claim beyond its own voucher up to one step only', () => {
    const terms = railTerms()
    const payer = payerOf(terms)
    const voucher = payer.begin({
      usedBytes: 1e12,
      stepBytes: STEP_BYTES_MAX,
      newest: signVoucher({ ...terms, ownerKey: OWNER }, 1000),
    })
    expect(voucher?.voucher.kib).toBe(1000 + STEP_BYTES_MAX / 1024)
    const forged = signVoucher({ ...terms, ownerKey: secretKey(8) }, 1_000_000)
    const reading = { usedBytes: 0, stepBytes: STEP_BYTES_FIRST, newest: forged }
    expect(() => payerOf(terms).begin(reading)).toThrow(/did not sign/)
  })
})
