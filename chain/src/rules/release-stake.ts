import { assert } from '../bytes/assert.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { ReceiptKind, StakeAction } from '../types/receipts.ts'
import { AnchorState, DelegationKind } from '../types/records.ts'
import type { ReleaseStake } from '../types/transactions.ts'
import { credit } from './accounts.ts'
import type { TransactionContext } from './block-context.ts'
import { freeDelegation } from './delegation-records.ts'
import { burnedOnExit, burnSlash } from './slashing.ts'
import { validatorAt } from './validator-set.ts'

/** Stake asked back in epoch e has no weight from the set of e + 2 on: that of e + 1 is fixed. */
export const EXIT_EPOCHS = 2

/**
 * Whether stake without weight from `exitEpoch` on may be paid out: as many checkpoints that
 * commit to its exit as the network demands have FINAL anchors, and the waiting time after the
 * last of them is over (PROTOCOL 11). Never before: whoever can still sign for an old epoch
 * without losing stake can then only anchor later than the honest chain did (Invariant A).
 */
export function isReleased(draft: LedgerDraft, exitEpoch: number): boolean {
  const { lastFinalEpoch, epoch: now } = draft.globals()
  const { unbondingAnchors, unbondingEpochs } = draft.params
  let anchors = 0
  for (let epoch = exitEpoch; epoch <= lastFinalEpoch; epoch++) {
    const record = draft.epochs.get(epoch)
    assert(record !== undefined, 'an anchored epoch has its record')
    if (record.anchorState !== AnchorState.final) continue
    anchors++
    if (anchors === unbondingAnchors) return now >= record.anchorFinalEpoch + unbondingEpochs
  }
  return false
}

/** Pays out stake that has left, less what its validator was slashed meanwhile. Anyone sends it. */
export function applyReleaseStake(
  draft: LedgerDraft,
  { delegation: index }: ReleaseStake,
  context: TransactionContext,
): Result<undefined> {
  const exit = draft.delegations.get(index)
  if (exit?.kind !== DelegationKind.unbonding) {
    return fault('STAKE_UNKNOWN', 'no stake is on its way out under this index', { index })
  }
  const { exitEpoch, owner, validator: of, amount } = exit
  if (!isReleased(draft, exitEpoch)) {
    return fault(
      'STAKE_UNBONDING',
      'the anchors behind which stake is released are not final yet',
      {
        exitEpoch,
        lastFinalEpoch: draft.globals().lastFinalEpoch,
      },
    )
  }
  const burned = burnedOnExit(draft, exit)
  const validator = validatorAt(draft, of)
  draft.validators.set(of, { ...validator, unbonding: validator.unbonding - amount })
  freeDelegation(draft, index)
  burnSlash(draft, burned)
  credit(draft, owner, amount - burned)
  const action = StakeAction.release
  const value = { action, owner, validator: of, delegation: index, amount: amount - burned, burned }
  context.emit({ selector: ReceiptKind.stake, value })
  return ok()
}
