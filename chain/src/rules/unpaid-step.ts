import { KIB_PER_GIB } from '../types/primitives.ts'
import type { Rail } from '../types/records.ts'
import { ceilDivide } from './settlement.ts'

/** How far a server goes ahead of the newest voucher at first, and at most, KiB (PROTOCOL 8). */
export const STEP_KIB_FIRST = 256
export const STEP_KIB_MAX = 4096

/** KiB that a server may have gone ahead of vouchers over so many KiB. */
export function stepKib(paidKib: number): number {
  return Math.min(STEP_KIB_MAX, STEP_KIB_FIRST + Math.floor(Math.max(0, paidKib) / 2))
}

/** How far a relay keeps a paid link ahead of the newest voucher at first, and at most, units. */
const STEP_RESERVATIONS_FIRST = 1
const STEP_RESERVATIONS_MAX = 16

/** Reservation units that a relay may have gone ahead of vouchers over so many units. */
export function stepReservations(paidUnits: number): number {
  const grown = STEP_RESERVATIONS_FIRST + Math.floor(Math.max(0, paidUnits) / 2)
  return Math.min(STEP_RESERVATIONS_MAX, grown)
}

/**
 * Units that a payer took at most without signing for them: what of its unit lock burns at the
 * close of a rail whose node says that the last step was never paid. It goes to nobody, so saying
 * so falsely earns nothing either.
 */
export function unpaidStep(
  rail: Pick<Rail, 'kib' | 'unitPrice' | 'reservations' | 'reservationPrice'>,
): bigint {
  const traffic = ceilDivide(rail.unitPrice * BigInt(stepKib(rail.kib)), KIB_PER_GIB)
  return traffic + rail.reservationPrice * BigInt(stepReservations(rail.reservations))
}
