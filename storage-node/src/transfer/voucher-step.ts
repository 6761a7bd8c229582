/**
 * How far a server goes ahead of the newest voucher (PROTOCOL 8): one step of 256 KiB at first,
 * half as much again with each voucher that raises the counter, 4 MiB at most. So a broken
 * session loses at most one step, and a proven payer is not slowed down.
 */
export const STEP_BYTES_FIRST = 256 * 1024
export const STEP_BYTES_MAX = 4 * 1024 * 1024

export function nextStepBytes(stepBytes: number): number {
  return Math.min(STEP_BYTES_MAX, Math.floor(stepBytes * 1.5))
}

export const KIB = 1024

/** Whole KiB that a byte count fills or begins: what a voucher names. */
export function kibOf(bytes: number): number {
  return Math.ceil(bytes / KIB)
}
