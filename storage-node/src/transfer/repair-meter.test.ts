import { publicKeyOf } from '@ioex/chain/bytes'
import type { SignedRepairVoucher } from '@ioex/chain/types'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openRepairMeter, type RepairTerms } from './repair-meter.ts'
import { RepairPayer } from './repair-payer.ts'
import { CHAIN_ID, secretKey } from './testing/channel-pair.ts'
import { type MeterLedgers, openMeterLedgers } from './testing/meter-ledgers.ts'
import { STEP_BYTES_FIRST } from './voucher-step.ts'

const DELEGATE = secretKey(7)
const running = new AbortController().signal
let ledgers: MeterLedgers
let nextRefill = 0

beforeAll(async () => {
  ledgers = await openMeterLedgers()
})
afterAll(() => ledgers.close())

function repairTerms(budgetKib = 10_000): RepairTerms {
  nextRefill += 1
  const place = { contract: 3, generation: 1, slot: 2, refill: nextRefill, rail: 5 }
  return { chainId: CHAIN_ID, place, delegateKey: publicKeyOf(DELEGATE), budgetKib }
}

/** A voucher for the first KiB of a reading. */
function voucherFor(terms: RepairTerms, kib: number, key = DELEGATE): SignedRepairVoucher {
  const payer = new RepairPayer(terms.chainId, terms.place, key)
  payer.begin({ usedBytes: 0, stepBytes: STEP_BYTES_FIRST, newest: undefined })
  const voucher = payer.owe(kib * 1024) ?? payer.end()
  if (!voucher) throw new Error('nothing is owed')
  return voucher
}

describe('repair meter', () => {
  test('serves one step for nothing and what its budget pays, no more', async () => {
    const terms = repairTerms(400)
    const meter = await openRepairMeter(terms, ledgers.repairs)
    await meter.spend(STEP_BYTES_FIRST, running)
    await meter.accept(voucherFor(terms, 256))
    await meter.spend(400 * 1024 - STEP_BYTES_FIRST, running)
    await expect(meter.spend(1, running)).rejects.toMatchObject({ code: 'LOCK_EXHAUSTED' })
  })

  test('takes no voucher of another slot, refill, delegate or chain', async () => {
    const terms = repairTerms()
    const meter = await openRepairMeter(terms, ledgers.repairs)
    const elsewhere = (changes: Partial<RepairTerms['place']>) =>
      voucherFor({ ...terms, place: { ...terms.place, ...changes } }, 100)
    const wrong = [
      elsewhere({ contract: 4 }),
      elsewhere({ generation: 0 }),
      elsewhere({ slot: 3 }),
      elsewhere({ refill: terms.place.refill + 1 }),
      elsewhere({ rail: 6 }),
      voucherFor(terms, 100, secretKey(8)),
      voucherFor({ ...terms, chainId: new Uint8Array(32) }, 100),
      { ...voucherFor(terms, 100, secretKey(8)), delegateKey: terms.delegateKey },
    ]
    for (const voucher of wrong) {
      await expect(meter.accept(voucher)).rejects.toMatchObject({ code: 'VOUCHER_INVALID' })
    }
    expect(meter.paidKib).toBe(0)
  })

  test('remembers each refill by itself, and forgets the one that is over', async () => {
    const [terms, other] = [repairTerms(), repairTerms()]
    const meter = await openRepairMeter(terms, ledgers.repairs)
    await meter.spend(100 * 1024, running)
    await meter.accept(voucherFor(terms, 90))
    await meter.accept(voucherFor(terms, 40))
    await meter.save()
    const again = await openRepairMeter(terms, ledgers.repairs)
    expect([again.usedBytes, again.paidKib]).toEqual([100 * 1024, 90])
    expect((await openRepairMeter(other, ledgers.repairs)).usedBytes).toBe(0)
    const kept = () =>
      ledgers.repairs.vouchers().then((all) => all.map(({ voucher }) => voucher.refill))
    expect(await kept()).toContain(terms.place.refill)
    await ledgers.repairs.delete(terms.place)
    expect(await kept()).not.toContain(terms.place.refill)
  })
})
