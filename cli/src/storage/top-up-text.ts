import { formatIoex } from '../output/amount.ts'

/** What a read added to traffic locks, beside what it was allowed to. */
export function topUpText(units: bigint, limit: bigint): string {
  return (
    `Added ${formatIoex(units)} to used-up traffic locks (limit ${formatIoex(limit)}, --top-up); ` +
    'what is not used comes back when they close'
  )
}
