import { stepReservations } from '@ioex/chain/rules'
import type { SignedVoucher } from '@ioex/chain/types'
import type { RailMeter } from './rail-meter.ts'
import type { ReservationEntry, ReservationLedger } from './reservation-ledger.ts'

/** What keeps a paid link from going on: a voucher that is late, or a lock that is used up. */
export type ReservationHindrance = 'VOUCHER_LATE' | 'LOCK_EXHAUSTED'

/**
 * The relay's side of a paid link: reservation units used against units paid (PROTOCOL 8). A unit is
 * an epoch that the link was kept in, however short a part of it; a link that breaks and comes back
 * in the same epoch, or after a restart of the relay, is not counted twice. What is used is never
 * more than a step ahead of the newest voucher, and never more than the lock pays.
 */
export class ReservationMeter {
  readonly #meter: RailMeter
  readonly #ledger: ReservationLedger
  /** Paid before this link: trust in a payer begins anew with each, as it does for traffic. */
  readonly #openedUnits: number
  #used: ReservationEntry

  private constructor(meter: RailMeter, ledger: ReservationLedger, used: ReservationEntry) {
    this.#meter = meter
    this.#ledger = ledger
    this.#used = used
    this.#openedUnits = this.paidUnits
  }

  /** Takes the rail's meter, which holds its vouchers; the caller releases it. */
  static async open(meter: RailMeter, ledger: ReservationLedger): Promise<ReservationMeter> {
    const used = await ledger.get(meter.terms)
    return new ReservationMeter(meter, ledger, used ?? { units: 0, epoch: 0 })
  }

  /** The rail's meter. */
  get railMeter(): RailMeter {
    return this.#meter
  }

  get usedUnits(): number {
    return this.#used.units
  }

  get paidUnits(): number {
    return this.#meter.newest?.voucher.reservations ?? 0
  }

  /** Units that the relay goes ahead of the newest voucher. */
  get stepUnits(): number {
    return stepReservations(this.paidUnits - this.#openedUnits)
  }

  /**
   * Counts the epoch in which a link begins or goes on after a pause, unless the rail has counted
   * it before. Gives what stands against it; then nothing is counted.
   */
  begin(epoch: number): Promise<ReservationHindrance | undefined> {
    return this.#count(epoch, 1)
  }

  /** The same for all epochs up to this one, through which the link was kept. */
  keep(epoch: number): Promise<ReservationHindrance | undefined> {
    return this.#count(epoch, epoch - this.#used.epoch)
  }

  /** Written down before the link is given: a restart must not forget what was used. */
  async #count(epoch: number, more: number): Promise<ReservationHindrance | undefined> {
    const isNew = epoch > this.#used.epoch
    const used = isNew ? { units: this.#used.units + more, epoch } : this.#used
    const { reservationPrice, lockUnits } = this.#meter.terms
    if (reservationPrice * BigInt(used.units) > lockUnits) return 'LOCK_EXHAUSTED'
    if (used.units > this.paidUnits + this.stepUnits) return 'VOUCHER_LATE'
    if (!isNew) return undefined
    this.#used = used
    await this.#ledger.put(this.#meter.terms, used)
    return undefined
  }

  /** Takes a voucher; one that adds nothing is no error. Throws VOUCHER_INVALID. */
  accept(signed: SignedVoucher): Promise<void> {
    return this.#meter.accept(signed)
  }
}
