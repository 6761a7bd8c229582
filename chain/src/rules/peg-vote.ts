import { assert } from '../bytes/assert.ts'
import { bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { type Peg, PegPauseCause, type SetMember, WithdrawalState } from '../types/records.ts'
import { ReceiptKind } from '../types/receipts.ts'
import { type PegVote, PegVoteKind } from '../types/transactions.ts'
import { credit } from './accounts.ts'
import type { TransactionContext } from './block-context.ts'
import { bookPeg, pegOfDay } from './peg-account.ts'
import { setMembers, validatorAt } from './validator-set.ts'

/**
 * A validator's owner votes on the peg; the last vote of each counts, and what more than 2/3 of
 * the weight want happens at once: withdrawals stop, go on, or one of them comes back to its
 * sender because the main chain will never pay it (PROTOCOL 7).
 */
export function applyPegVote(
  draft: LedgerDraft,
  vote: PegVote,
  context: TransactionContext,
): Result<undefined> {
  const able = checkVoter(draft, vote.validator, context)
  if (!able.ok) return able
  switch (vote.kind) {
    case PegVoteKind.pause:
      return votePause(draft, vote.validator, true, context)
    case PegVoteKind.resume:
      return votePause(draft, vote.validator, false, context)
    case PegVoteKind.returnWithdrawal:
      return voteReturn(draft, vote, context)
    default:
      return fault('PEG_VOTE_KIND', 'a vote on the peg pauses, resumes or returns a withdrawal')
  }
}

function checkVoter(
  draft: LedgerDraft,
  index: number,
  { epoch, senderAddress }: TransactionContext,
): Result<undefined> {
  if (weightOf(draft, epoch, index) === 0) {
    return fault('PEG_VOTE_VALIDATOR', 'only active validators vote on the peg', { index })
  }
  return bytesEqual(validatorAt(draft, index).owner, senderAddress)
    ? ok()
    : fault('PEG_VOTE_OWNER', "a vote on the peg is signed by the validator's owner")
}

function votePause(
  draft: LedgerDraft,
  validator: number,
  pause: boolean,
  context: TransactionContext,
): Result<undefined> {
  const { epoch } = context
  const peg = draft.peg()
  // Votes of those that left the set lapse here, so that the list is never longer than a set.
  const others = peg.pauseVotes.filter(
    (voter) => voter !== validator && weightOf(draft, epoch, voter) > 0,
  )
  // Whoever is content with the present state takes an earlier vote against it back.
  if (pause === peg.paused) {
    draft.setPeg({ ...peg, pauseVotes: others })
    return ok()
  }
  const pauseVotes = [...others, validator]
  if (!isDecided(draft, epoch, pauseVotes)) {
    draft.setPeg({ ...peg, pauseVotes })
    return ok()
  }
  const cause = PegPauseCause.vote
  draft.setPeg({
    ...peg,
    paused: pause,
    pauseVotes: [],
    pauseCause: pause ? cause : peg.pauseCause,
  })
  context.emit({
    selector: ReceiptKind.peg,
    value: { paused: pause, cause, orphaned: 0, unbacked: peg.unbacked },
  })
  return ok()
}

function voteReturn(
  draft: LedgerDraft,
  { validator, withdrawal }: PegVote,
  context: TransactionContext,
): Result<undefined> {
  const record = draft.withdrawals.get(withdrawal)
  if (record === undefined || record.state !== WithdrawalState.listed) {
    return fault('PEG_VOTE_WITHDRAWAL', 'there is no such withdrawal, or it came back already', {
      withdrawal,
    })
  }
  const peg = draft.peg()
  const { epoch } = context
  const others = peg.returnVotes.filter(
    (vote) => vote.validator !== validator && weightOf(draft, epoch, vote.validator) > 0,
  )
  const returnVotes = [...others, { validator, withdrawal }]
  draft.setPeg({ ...peg, returnVotes })
  const voters = returnVotes.filter((vote) => vote.withdrawal === withdrawal)
  if (
    !isDecided(
      draft,
      epoch,
      voters.map((vote) => vote.validator),
    )
  )
    return ok()
  returnWithdrawal(draft, withdrawal, context)
  return ok()
}

/** The burned units come back, and the reserve has them again: once. */
function returnWithdrawal(
  draft: LedgerDraft,
  withdrawal: number,
  context: TransactionContext,
): void {
  const record = draft.withdrawals.get(withdrawal)
  assert(record?.state === WithdrawalState.listed, 'a withdrawal comes back once')
  draft.withdrawals.set(withdrawal, { ...record, state: WithdrawalState.returned })
  const { owner, to, output, amount } = record
  credit(draft, owner, output)
  const peg: Readonly<Peg> = pegOfDay(draft, context.epoch)
  bookPeg(draft, {
    ...peg,
    withdrawn: peg.withdrawn - output,
    returnVotes: peg.returnVotes.filter((vote) => vote.withdrawal !== withdrawal),
  })
  context.emit({
    selector: ReceiptKind.withdrawal,
    value: { withdrawal, owner, to, output, amount, returned: true },
  })
}

/** More than 2/3 of the weight of the epoch's set. */
function isDecided(draft: LedgerDraft, epoch: number, voters: readonly number[]): boolean {
  const total = setOf(draft, epoch).reduce((sum, { weight }) => sum + weight, 0)
  const inFavour = voters.reduce((sum, index) => sum + weightOf(draft, epoch, index), 0)
  return 3 * inFavour > 2 * total
}

/** Weight of a validator that may vote now; 0 outside the set and for one that signed twice. */
function weightOf(draft: LedgerDraft, epoch: number, validator: number): number {
  const member = setOf(draft, epoch).find((entry) => entry.validator === validator)
  return member === undefined || validatorAt(draft, validator).jailed ? 0 : member.weight
}

function setOf(draft: LedgerDraft, epoch: number): readonly SetMember[] {
  const members = setMembers(draft, epoch)
  assert(members !== undefined, 'the set of the running epoch is fixed')
  return members
}
