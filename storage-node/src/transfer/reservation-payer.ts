import { bytesEqual, publicKeyOf, signingDigest, verifySignature } from '@ioex/chain/bytes'
import { type SignedVoucher, VoucherType } from '@ioex/chain/types'
import { type PaidRail, signVoucher } from './rail-payer.ts'
import { TransferError } from './transfer-error.ts'

/** What a relay says about a paid link when it grants it. */
export interface ReservationReading {
  /** Units it counted on the rail so far, with the epoch of the grant. */
  readonly units: number
  /** Epoch from which both sides count on. */
  readonly epoch: number
  /** The newest voucher it holds. */
  readonly newest: SignedVoucher | undefined
}

/** What the payer itself counted on a rail, from its folder. */
export interface CountedReservation {
  readonly units: number
  readonly epoch: number
}

/** Epochs that may pass between two looks at a link that was there all the time. */
const EPOCHS_BETWEEN = 2
/** How far two honest views of the chain may be apart when a link is granted, epochs. */
const EPOCHS_APART = 2
/** Units beyond its own count that a payer believes: a link may end for one side an epoch later. */
const BELIEVED_UNITS = 1

/**
 * The paying side of a paid link. Both sides count the epochs from the grant on, so the relay has
 * nothing to claim: the payer signs for the epochs that it saw itself, at most one more on the
 * whole rail, whatever the relay says and however often it breaks the link.
 */
export class ReservationPayer {
  readonly #rail: PaidRail
  readonly #payerKey: Uint8Array
  #own: CountedReservation
  /** Units at the epoch of the grant; undefined until a grant. */
  #granted: CountedReservation | undefined
  #signedUnits = 0
  #kib = 0

  constructor(rail: PaidRail, own: CountedReservation | undefined) {
    this.#rail = rail
    this.#payerKey = publicKeyOf(rail.ownerKey)
    this.#own = own ?? { units: 0, epoch: 0 }
  }

  get rail(): PaidRail {
    return this.#rail
  }

  /** What it counted so far; kept in its folder, a restart goes on from it. */
  get own(): CountedReservation {
    return this.#own
  }

  get signedUnits(): number {
    return this.#signedUnits
  }

  /** Shows that the payer agrees, and pays what an earlier link left unpaid. */
  opening(): SignedVoucher {
    return signVoucher(this.#rail, 0, this.#own.units, this.#payerKey)
  }

  /**
   * Takes the relay's reading at a grant. Throws PEER_PROTOCOL where the shown voucher is not
   * ours or the relay counts from an epoch that is not now.
   */
  begin(reading: ReservationReading, nowEpoch: number): void {
    const { newest, epoch } = reading
    if (Math.abs(epoch - nowEpoch) > EPOCHS_APART) {
      throw new TransferError('PEER_PROTOCOL', `the relay counts from epoch ${epoch}, not now`)
    }
    if (newest && !this.#isOurs(newest)) {
      throw new TransferError('PEER_PROTOCOL', 'the relay shows a voucher that we did not sign')
    }
    const shown = newest?.voucher.reservations ?? 0
    // Beyond what this process may have signed: its folder was lost, or another one pays with the
    // same key. It was ours to pay all the same. Anything less must not raise our own count.
    const isElse = shown > this.#own.units + BELIEVED_UNITS
    const before = isElse ? { units: shown, epoch: 0 } : this.#own
    const counted = before.units + (epoch > before.epoch ? 1 : 0)
    this.#own = { units: counted, epoch: Math.max(epoch, before.epoch) }
    this.#granted = { units: Math.min(reading.units, counted + BELIEVED_UNITS), epoch }
    this.#signedUnits = shown
    this.#kib = newest?.voucher.kib ?? 0
  }

  /**
   * Counts the epochs up to this one; true if there is something new to be written down. A device
   * that slept was not there to be reached: of a longer gap only the epoch that runs counts.
   */
  keep(epoch: number): boolean {
    if (!this.#granted || epoch <= this.#own.epoch) return false
    const passed = epoch - this.#own.epoch
    const more = passed <= EPOCHS_BETWEEN ? passed : 1
    this.#own = { units: this.#own.units + more, epoch }
    return true
  }

  /** The voucher for all epochs kept up to this one; undefined where they are signed for. */
  pay(epoch: number): SignedVoucher | undefined {
    if (!this.#granted) return undefined
    const since = this.#granted.units + Math.max(0, epoch - this.#granted.epoch)
    const units = Math.min(since, this.#own.units + BELIEVED_UNITS)
    if (units <= this.#signedUnits) return undefined
    this.#signedUnits = units
    return signVoucher(this.#rail, this.#kib, units, this.#payerKey)
  }

  #isOurs(signed: SignedVoucher): boolean {
    const { rail, generation, chainId } = this.#rail
    const { voucher, signature, payerKey } = signed
    if (voucher.rail !== rail || voucher.generation !== generation) return false
    if (!bytesEqual(payerKey, this.#payerKey)) return false
    const digest = signingDigest('voucher', chainId, VoucherType.hashTreeRoot(voucher))
    return verifySignature(signature, digest, this.#payerKey)
  }
}
