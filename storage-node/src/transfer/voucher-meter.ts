import { bytesEqual } from '@ioex/chain/bytes'
import { TransferError } from './transfer-error.ts'
import type { VoucherLedger } from './voucher-ledger.ts'
import { KIB, stepAfter } from './voucher-step.ts'

/** How long a session waits for the next voucher before it is cut (PROTOCOL 8). */
const VOUCHER_WAIT_MS = 10_000

/** A voucher of either kind: cumulative, and signed by who pays. */
export interface SignedCounter {
  readonly voucher: { readonly kib: number }
  readonly signature: Uint8Array
}

/** What a meter must know of the vouchers it counts; `Terms` are what the chain's state says. */
export interface MeterRules<Terms, Place, Signed> {
  placeOf(terms: Terms): Place
  /** Bytes that can be paid at most, with this voucher as the newest. */
  budgetBytes(terms: Terms, newest: Signed | undefined): number
  /** Says what is used up. */
  exhausted(terms: Terms): string
  /** Whether place and key are the expected ones. */
  isExpected(terms: Terms, signed: Signed): boolean
  isSigned(terms: Terms, signed: Signed): boolean
  /** Whether a voucher pays for more than the newest. */
  adds(signed: Signed, newest: Signed): boolean
}

export interface MeterOptions<Terms, Place, Signed> {
  readonly rules: MeterRules<Terms, Place, Signed>
  readonly ledger: VoucherLedger<Place, Signed>
  readonly waitMs?: number | undefined
}

/** The served side of a payment: bytes served at a place against bytes paid by its vouchers. */
export class VoucherMeter<Terms, Place, Signed extends SignedCounter> {
  #terms: Terms
  readonly #options: MeterOptions<Terms, Place, Signed>
  readonly #waiting = new Set<() => void>()
  #usedBytes: number
  /** Paid before this meter opened: trust in a payer begins anew with each run of sessions. */
  readonly #openedKib: number
  #newest: Signed | undefined

  private constructor(
    terms: Terms,
    options: MeterOptions<Terms, Place, Signed>,
    start: { readonly usedBytes: number; readonly newest: Signed | undefined },
  ) {
    this.#terms = terms
    this.#options = options
    this.#usedBytes = start.usedBytes
    this.#newest = start.newest
    this.#openedKib = start.newest?.voucher.kib ?? 0
  }

  static async open<Terms, Place, Signed extends SignedCounter>(
    terms: Terms,
    options: MeterOptions<Terms, Place, Signed>,
  ): Promise<VoucherMeter<Terms, Place, Signed>> {
    const entry = await options.ledger.get(options.rules.placeOf(terms))
    const start = { usedBytes: entry?.usedBytes ?? 0, newest: entry?.newest[0] }
    return new VoucherMeter(terms, options, start)
  }

  get terms(): Terms {
    return this.#terms
  }

  /** Takes newer terms of the same place: what stands behind it may have been topped up. */
  refresh(terms: Terms): void {
    this.#terms = terms
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  get paidKib(): number {
    return this.#newest?.voucher.kib ?? 0
  }

  get newest(): Signed | undefined {
    return this.#newest
  }

  get stepBytes(): number {
    return stepAfter((this.paidKib - this.#openedKib) * KIB)
  }

  /** Bytes that may be served now: up to one step beyond the newest voucher, inside the budget. */
  get creditBytes(): number {
    const ahead = this.paidKib * KIB + this.stepBytes
    return Math.min(ahead, this.#budgetBytes()) - this.#usedBytes
  }

  #budgetBytes(): number {
    return this.#options.rules.budgetBytes(this.#terms, this.#newest)
  }

  /**
   * Counts bytes about to be served; first waits for a voucher if they go beyond the credit.
   * Throws VOUCHER_LATE after ten seconds without one, LOCK_EXHAUSTED where the budget cannot pay
   * them, CHANNEL_CLOSED when `signal` ends the session.
   */
  async spend(bytes: number, signal: AbortSignal): Promise<void> {
    while (this.creditBytes < bytes) {
      if (this.#usedBytes + bytes > this.#budgetBytes()) {
        throw new TransferError('LOCK_EXHAUSTED', this.#options.rules.exhausted(this.#terms))
      }
      await this.#voucherArrives(signal)
    }
    this.#usedBytes += bytes
  }

  /**
   * Takes a voucher. One at or below the newest adds nothing and is no error. Throws
   * VOUCHER_INVALID where place, key or signature are wrong. Synced before it counts.
   */
  async accept(signed: Signed): Promise<void> {
    const { rules } = this.#options
    if (!rules.isExpected(this.#terms, signed)) {
      throw new TransferError('VOUCHER_INVALID', 'the voucher is not for what is served here')
    }
    if (this.#newest && bytesEqual(signed.signature, this.#newest.signature)) return
    if (!rules.isSigned(this.#terms, signed)) {
      throw new TransferError('VOUCHER_INVALID', 'the voucher is not signed by who pays')
    }
    if (!this.#isMore(signed)) return
    await this.#store(signed)
    // Another session may have brought a higher one meanwhile, and stored it after this.
    if (!this.#isMore(signed)) return
    this.#newest = signed
    for (const wake of this.#waiting) wake()
  }

  #isMore(signed: Signed): boolean {
    return this.#newest === undefined || this.#options.rules.adds(signed, this.#newest)
  }

  /** Writes down what was served beyond the newest voucher, at the end of a session. */
  save(): Promise<void> {
    return this.#store(this.#newest)
  }

  async #store(newest: Signed | undefined): Promise<void> {
    const { rules, ledger } = this.#options
    const entry = { usedBytes: this.#usedBytes, newest: newest ? [newest] : [] }
    await ledger.put(rules.placeOf(this.#terms), entry)
  }

  #voucherArrives(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const late = setTimeout(() => {
      reject(new TransferError('VOUCHER_LATE', 'no voucher came for what was served'))
    }, this.#options.waitMs ?? VOUCHER_WAIT_MS)
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
