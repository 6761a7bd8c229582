import type { SignedRepairVoucher } from '@ioex/chain/types'
import type { RepairLedger } from './repair-ledger.ts'
import { checkRepairVoucher, type RepairedFrom } from './repair-payer.ts'
import { TransferError } from './transfer-error.ts'
import { KIB, stepAfter } from './voucher-step.ts'

/** How long a session waits for the next voucher before it is cut (PROTOCOL 8). */
const VOUCHER_WAIT_MS = 10_000

export interface RepairTerms {
  readonly chainId: Uint8Array
  readonly place: RepairedFrom
  /** 33-byte public key of the contract's delegate. */
  readonly delegateKey: Uint8Array
  /** What pot and budget pay this rail for the refill at most, KiB in all. */
  readonly budgetKib: number
}

/** The serving side of one reading for a repair: bytes served against repair vouchers. */
export class RepairMeter {
  readonly #terms: RepairTerms
  readonly #ledger: RepairLedger
  readonly #waitMs: number
  readonly #openedKib: number
  #usedBytes: number
  #newest: SignedRepairVoucher | undefined
  #arrived = Promise.withResolvers<void>()

  private constructor(
    terms: RepairTerms,
    ledger: RepairLedger,
    start: { usedBytes: number; newest: SignedRepairVoucher | undefined; waitMs: number },
  ) {
    this.#terms = terms
    this.#ledger = ledger
    this.#usedBytes = start.usedBytes
    this.#newest = start.newest
    this.#openedKib = start.newest?.voucher.kib ?? 0
    this.#waitMs = start.waitMs
  }

  static async open(
    terms: RepairTerms,
    ledger: RepairLedger,
    waitMs = VOUCHER_WAIT_MS,
  ): Promise<RepairMeter> {
    const entry = await ledger.get(terms.place)
    const start = { usedBytes: entry?.usedBytes ?? 0, newest: entry?.newest[0], waitMs }
    return new RepairMeter(terms, ledger, start)
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  get newest(): SignedRepairVoucher | undefined {
    return this.#newest
  }

  get stepBytes(): number {
    return stepAfter((this.#paidKib - this.#openedKib) * KIB)
  }

  get #paidKib(): number {
    return this.#newest?.voucher.kib ?? 0
  }

  /**
   * Counts bytes about to be served; first waits for a voucher if they go a step beyond the
   * newest. Throws LOCK_EXHAUSTED where pot or budget cannot pay them, VOUCHER_LATE after ten
   * seconds, CHANNEL_CLOSED when `signal` ends the session.
   */
  async spend(bytes: number, signal: AbortSignal): Promise<void> {
    if (this.#usedBytes + bytes > this.#terms.budgetKib * KIB) {
      const message = 'the pot, or its budget for this refill, pays no more of this slot'
      throw new TransferError('LOCK_EXHAUSTED', message)
    }
    while (this.#usedBytes + bytes > this.#paidKib * KIB + this.stepBytes) {
      await this.#voucherArrives(signal)
    }
    this.#usedBytes += bytes
  }

  /** Takes a voucher; one at or below the newest adds nothing. Synced before it counts. */
  async accept(signed: SignedRepairVoucher): Promise<void> {
    checkRepairVoucher(this.#terms.chainId, signed, this.#terms)
    if (signed.voucher.kib <= this.#paidKib) return
    await this.#store(signed)
    this.#newest = signed
    this.#arrived.resolve()
    this.#arrived = Promise.withResolvers()
  }

  /** Writes down what was served, at the end of the session. */
  save(): Promise<void> {
    return this.#store(this.#newest)
  }

  #store(newest: SignedRepairVoucher | undefined): Promise<void> {
    const entry = { usedBytes: this.#usedBytes, newest: newest ? [newest] : [] }
    return this.#ledger.put(this.#terms.place, entry)
  }

  async #voucherArrives(signal: AbortSignal): Promise<void> {
    const { promise, reject } = Promise.withResolvers<never>()
    const late = setTimeout(() => {
      reject(new TransferError('VOUCHER_LATE', 'no voucher came for what was served'))
    }, this.#waitMs)
    const ended = () => reject(new TransferError('CHANNEL_CLOSED', 'the session ended'))
    if (signal.aborted) ended()
    signal.addEventListener('abort', ended, { once: true })
    await Promise.race([this.#arrived.promise, promise]).finally(() => {
      clearTimeout(late)
      signal.removeEventListener('abort', ended)
    })
  }
}
