import { bytesEqual, signingDigest, verifySignature } from '@ioex/chain/bytes'
import { KIB_PER_GIB, type SignedVoucher, VoucherType } from '@ioex/chain/types'
import { type PaidRailPlace, type RailLedger, railKey } from './voucher-ledger.ts'
import { type MeterRules, VoucherMeter } from './voucher-meter.ts'
import { KIB } from './voucher-step.ts'

/** More KiB than any rail can carry. */
const KIB_MAX = Math.floor(Number.MAX_SAFE_INTEGER / KIB)

/** What a rail pays for, from chain state. */
export interface MeteredRail extends PaidRailPlace {
  readonly chainId: Uint8Array
  /** 33-byte public key whose address is the rail's payer. */
  readonly payerKey: Uint8Array
  /** Units per GiB moved. */
  readonly unitPrice: bigint
  /** Units per reservation-hour. */
  readonly reservationPrice: bigint
  /** Traffic budget of the rail, units. */
  readonly lockUnits: bigint
}

/**
 * The served side of a rail. All sessions of a rail share one meter, so that opening more
 * sessions gives no more credit.
 */
export type RailMeter = VoucherMeter<MeteredRail, PaidRailPlace, SignedVoucher>

const RAIL_RULES: MeterRules<MeteredRail, PaidRailPlace, SignedVoucher> = {
  placeOf: (terms) => terms,
  budgetBytes: lockBytes,
  exhausted: ({ rail }) => `the traffic lock of rail ${rail} is used up: top it up`,
  isExpected: ({ rail, generation, payerKey }, signed) => {
    const { voucher } = signed
    const isForRail = voucher.rail === rail && voucher.generation === generation
    return isForRail && bytesEqual(signed.payerKey, payerKey)
  },
  isSigned: ({ chainId, payerKey }, { voucher, signature }) => {
    const digest = signingDigest('voucher', chainId, VoucherType.hashTreeRoot(voucher))
    return verifySignature(signature, digest, payerKey)
  },
  // Both counters only grow (PROTOCOL 7); one that raises reservations alone is money too.
  adds: ({ voucher }, { voucher: { kib, reservations } }) => {
    const falls = voucher.kib < kib || voucher.reservations < reservations
    return !falls && (voucher.kib > kib || voucher.reservations > reservations)
  },
}

/** Bytes that the rail's lock can pay at most. */
function lockBytes(terms: MeteredRail, newest: SignedVoucher | undefined): number {
  const { unitPrice, lockUnits, reservationPrice } = terms
  if (unitPrice === 0n) return Number.MAX_SAFE_INTEGER
  const reserved = reservationPrice * BigInt(newest?.voucher.reservations ?? 0)
  const left = lockUnits > reserved ? lockUnits - reserved : 0n
  const kib = (left * KIB_PER_GIB) / unitPrice
  return kib > BigInt(KIB_MAX) ? Number.MAX_SAFE_INTEGER : Number(kib) * KIB
}

/**
 * The meters of one node, one per rail and generation while in use. The first session of a rail
 * loads it, the last one saves it.
 */
export class RailMeters {
  readonly #ledger: RailLedger
  readonly #waitMs: number | undefined
  readonly #open = new Map<string, { meter: Promise<RailMeter>; sessions: number }>()

  constructor(ledger: RailLedger, waitMs?: number) {
    this.#ledger = ledger
    this.#waitMs = waitMs
  }

  async acquire(terms: MeteredRail): Promise<RailMeter> {
    const key = railKey(terms)
    const options = { rules: RAIL_RULES, ledger: this.#ledger, waitMs: this.#waitMs }
    const entry = this.#open.get(key) ?? { meter: VoucherMeter.open(terms, options), sessions: 0 }
    this.#open.set(key, entry)
    entry.sessions += 1
    try {
      const meter = await entry.meter
      meter.refresh(terms)
      return meter
    } catch (error) {
      this.#open.delete(key)
      throw error
    }
  }

  async release(meter: RailMeter): Promise<void> {
    const key = railKey(meter.terms)
    const entry = this.#open.get(key)
    if (!entry) return
    await meter.save()
    entry.sessions -= 1
    if (entry.sessions === 0) this.#open.delete(key)
  }
}
