import { CommandError, EXIT_USAGE } from '../output/failure.ts'

/**
 * Main-chain addresses whose withdrawals are not paid or of no use: what release 0.4.1.2 of the
 * Elastos Arbiter skips, and one whose coin the main chain's own rules freeze. Arbiters may skip
 * others: their list is no part of any chain, so no rule can know it.
 */
export const SKIPPED_ADDRESSES: ReadonlySet<string> = new Set([
  'Ef9kN3KvTLeGKLKwVCv9BsmJRp8gLx1p2s',
  'EbMowFp6TsoE9sLjvn3zTjVchExPj1SCrt',
  'EfduuvdDcAgif8njgXNJUfsBumQf9yYP72',
])

/** Throws CommandError WITHDRAW_SKIPPED, before anything is signed. */
export function refuseSkipped(to: string): void {
  if (!SKIPPED_ADDRESSES.has(to)) return
  throw new CommandError(
    'WITHDRAW_SKIPPED',
    `${to} is frozen: the arbiters of the main chain skip withdrawals to it. The money would leave ` +
      'your account here and arrive nowhere, and only a vote of the validators could bring it ' +
      'back. Give another address, or --force if you know that it is paid again',
    EXIT_USAGE,
  )
}
