import { assert } from '../bytes/assert.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { DepositState, PegPauseCause } from '../types/records.ts'
import { ReceiptKind } from '../types/receipts.ts'
import type { TransactionContext } from './block-context.ts'
import { bookPeg, pegOfDay } from './peg-account.ts'

/**
 * Main headers above `forkHeight`, of which the lowest was recorded at side height `since`, give
 * way to others. Deposits credited from them keep their coin, since final blocks are never
 * undone, but lose their backing: the peg stops at once, and the reserve counts them no more
 * until they are proven again.
 */
export function orphanDeposits(
  draft: LedgerDraft,
  forkHeight: number,
  since: number,
  context: TransactionContext,
): void {
  let lost = 0n
  let orphaned = 0
  // Records stand in the order of crediting, and none is credited before its header is known.
  for (let index = draft.deposits.count - 1; index >= 0; index--) {
    const record = draft.deposits.get(index)
    assert(record !== undefined, 'deposits are dense')
    if (record.height < since) break
    if (record.state !== DepositState.credited || record.mainHeight <= forkHeight) continue
    draft.deposits.set(index, { ...record, state: DepositState.orphaned })
    lost += record.amount
    orphaned++
  }
  if (orphaned === 0) return
  const peg = pegOfDay(draft, context.epoch)
  const unbacked = peg.unbacked + lost
  const cause = PegPauseCause.reorganisation
  // Votes given before did not know of this: resuming needs new ones.
  bookPeg(draft, { ...peg, unbacked, paused: true, pauseCause: cause, pauseVotes: [] })
  context.emit({ selector: ReceiptKind.peg, value: { paused: true, cause, orphaned, unbacked } })
}
