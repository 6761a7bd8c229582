import { bytesEqual, signingDigest, verifySignature } from '@ioex/chain/bytes'
import { KIB_PER_GIB, type SignedVoucher, VoucherType } from '@ioex/chain/types'
import { TransferError } from './transfer-error.ts'
import type { VoucherLedger } from './voucher-ledger.ts'
import { KIB, stepAfter } from './voucher-step.ts'

/** More KiB than any rail can carry. */
const KIB_MAX = Math.floor(Number.MAX_SAFE_INTEGER / KIB)
/** How long a session waits for the next voucher before it is cut (PROTOCOL 8). */
const VOUCHER_WAIT_MS = 10_000

/** What a rail pays for, from chain state. */
export interface MeteredRail {
  readonly chainId: Uint8Array
  readonly rail: number
  readonly generation: number
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
 * The served side of a rail: bytes served against bytes paid. All sessions of a rail share one
 * meter, so that opening more sessions gives no more credit.
 */
export class RailMeter {
  #terms: MeteredRail
  readonly #ledger: VoucherLedger
  readonly #waitMs: number
  readonly #waiting = new Set<() => void>()
  #usedBytes: number
  /** Paid before this meter opened: trust in a payer begins anew with each run of sessions. */
  readonly #openedKib: number
  #newest: SignedVoucher | undefined

  private constructor(
    terms: MeteredRail,
    ledger: VoucherLedger,
    start: { usedBytes: number; newest: SignedVoucher | undefined; waitMs: number },
  ) {
    this.#terms = terms
    this.#ledger = ledger
    this.#usedBytes = start.usedBytes
    this.#newest = start.newest
    this.#openedKib = start.newest?.voucher.kib ?? 0
    this.#waitMs = start.waitMs
  }

  static async open(
    terms: MeteredRail,
    ledger: VoucherLedger,
    waitMs = VOUCHER_WAIT_MS,
  ): Promise<RailMeter> {
    const entry = await ledger.get(terms.rail, terms.generation)
    const start = { usedBytes: entry?.usedBytes ?? 0, newest: entry?.newest[0], waitMs }
    return new RailMeter(terms, ledger, start)
  }

  get terms(): MeteredRail {
    return this.#terms
  }

  /** Takes newer terms of the same rail: its lock may have been topped up. */
  refresh(terms: MeteredRail): void {
    this.#terms = terms
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  get paidKib(): number {
    return this.#newest?.voucher.kib ?? 0
  }

  get newest(): SignedVoucher | undefined {
    return this.#newest
  }

  get stepBytes(): number {
    return stepAfter((this.paidKib - this.#openedKib) * KIB)
  }

  /** Bytes that may be served now: up to one step beyond the newest voucher, inside the lock. */
  get creditBytes(): number {
    const ahead = this.paidKib * KIB + this.stepBytes
    return Math.min(ahead, this.#budgetBytes()) - this.#usedBytes
  }

  /** Bytes that the rail's lock can pay at most. */
  #budgetBytes(): number {
    const { unitPrice, lockUnits, reservationPrice } = this.terms
    if (unitPrice === 0n) return Number.MAX_SAFE_INTEGER
    const reserved = reservationPrice * BigInt(this.#newest?.voucher.reservations ?? 0)
    const left = lockUnits > reserved ? lockUnits - reserved : 0n
    const kib = (left * KIB_PER_GIB) / unitPrice
    return kib > BigInt(KIB_MAX) ? Number.MAX_SAFE_INTEGER : Number(kib) * KIB
  }

  /**
   * Counts bytes about to be served; first waits for a voucher if they go beyond the credit.
   * Throws VOUCHER_LATE after ten seconds without one, LOCK_EXHAUSTED where the rail's lock
   * cannot pay them, CHANNEL_CLOSED when `signal` ends the session.
   */
  async spend(bytes: number, signal: AbortSignal): Promise<void> {
    while (this.creditBytes < bytes) {
      if (this.#usedBytes + bytes > this.#budgetBytes()) {
        const message = `the traffic lock of rail ${this.terms.rail} is used up: top it up`
        throw new TransferError('LOCK_EXHAUSTED', message)
      }
      await this.#voucherArrives(signal)
    }
    this.#usedBytes += bytes
  }

  /**
   * Takes a voucher. One at or below the newest adds nothing and is no error. Throws
   * VOUCHER_INVALID where rail, generation or signature are wrong. Synced before it counts.
   */
  async accept(signed: SignedVoucher): Promise<void> {
    const { rail, generation, payerKey, chainId } = this.terms
    const { voucher, signature } = signed
    const isForRail = voucher.rail === rail && voucher.generation === generation
    if (!isForRail || !bytesEqual(signed.payerKey, payerKey)) {
      throw new TransferError('VOUCHER_INVALID', `the voucher is not for rail ${rail}`)
    }
    if (this.#newest && bytesEqual(signature, this.#newest.signature)) return
    const digest = signingDigest('voucher', chainId, VoucherType.hashTreeRoot(voucher))
    if (!verifySignature(signature, digest, payerKey)) {
      throw new TransferError('VOUCHER_INVALID', 'the voucher is not signed by the payer')
    }
    // Both counters only grow (PROTOCOL 7); one that raises reservations alone is money too.
    const adds = (newest: SignedVoucher | undefined) => {
      if (newest === undefined) return true
      const { kib, reservations } = newest.voucher
      const falls = voucher.kib < kib || voucher.reservations < reservations
      return !falls && (voucher.kib > kib || voucher.reservations > reservations)
    }
    if (!adds(this.#newest)) return
    await this.#store(signed)
    // Another session may have brought a higher one meanwhile, and stored it after this.
    if (!adds(this.#newest)) return
    this.#newest = signed
    for (const wake of this.#waiting) wake()
  }

  /** Writes down what was served beyond the newest voucher, at the end of a session. */
  save(): Promise<void> {
    return this.#store(this.#newest)
  }

  async #store(newest: SignedVoucher | undefined): Promise<void> {
    const { rail, generation } = this.terms
    const entry = { usedBytes: this.#usedBytes, newest: newest ? [newest] : [] }
    await this.#ledger.put(rail, generation, entry)
  }

  #voucherArrives(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const late = setTimeout(() => {
      reject(new TransferError('VOUCHER_LATE', 'no voucher came for what was served'))
    }, this.#waitMs)
    const ended = () => reject(new TransferError('CHANNEL_CLOSED', 'the session ended'))
    if (signal.aborted) ended()
    signal.addEventListener('abort', ended, { once: true })
    this.#waiting.add(resolve)
    return promise.finally(() => {
      clearTimeout(late)
      signal.removeEventListener('abort', ended)
      this.#waiting.delete(resolve)
    })
  }
}

/**
 * The meters of one node, one per rail and generation while in use. The first session of a rail
 * loads it, the last one saves it.
 */
export class RailMeters {
  readonly #ledger: VoucherLedger
  readonly #waitMs: number | undefined
  readonly #open = new Map<string, { meter: Promise<RailMeter>; sessions: number }>()

  constructor(ledger: VoucherLedger, waitMs?: number) {
    this.#ledger = ledger
    this.#waitMs = waitMs
  }

  async acquire(terms: MeteredRail): Promise<RailMeter> {
    const key = `${terms.rail}-${terms.generation}`
    const entry = this.#open.get(key) ?? {
      meter: RailMeter.open(terms, this.#ledger, this.#waitMs),
      sessions: 0,
    }
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
    const key = `${meter.terms.rail}-${meter.terms.generation}`
    const entry = this.#open.get(key)
    if (!entry) return
    await meter.save()
    entry.sessions -= 1
    if (entry.sessions === 0) this.#open.delete(key)
  }
}
