import { STEP_KIB_FIRST, STEP_KIB_MAX } from '@ioex/chain/rules'

/**
 * How far a server goes ahead of the newest voucher (PROTOCOL 8): one step of 256 KiB at first,
 * half as much again with each step paid, 4 MiB at most. So a broken session loses at most one
 * step, and a proven payer is not slowed down.
 */
export const STEP_BYTES_FIRST = STEP_KIB_FIRST * 1024
export const STEP_BYTES_MAX = STEP_KIB_MAX * 1024

/**
 * The step after so many bytes were paid since the meter opened. A function of what is paid, not
 * of how many vouchers came: sessions share a rail, so vouchers overtake each other or are never
 * counted, and a payer whose step had grown beyond the server's would sign too late for ever.
 */
export function stepAfter(paidBytes: number): number {
  return Math.min(STEP_BYTES_MAX, STEP_BYTES_FIRST + Math.floor(Math.max(0, paidBytes) / 2))
}

export const KIB = 1024

/** Whole KiB that a byte count fills or begins: what a voucher names. */
export function kibOf(bytes: number): number {
  return Math.ceil(bytes / KIB)
}
