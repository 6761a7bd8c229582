import { assert } from '../bytes/assert.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { type Statement, VoteKind } from '../types/consensus-objects.ts'
import { isWellFormed } from '../types/contradiction.ts'
import { RECENT_BLOCKS_MAX, type RecentBlock } from '../types/records.ts'
import type { LateVote, LateVotes } from '../types/transactions.ts'
import { isStatementSigned } from './signed-statement.ts'
import { setMembers, validatorAt } from './validator-set.ts'

/**
 * Counts the votes that the parent's certificate carries and remembers whose they are: for the
 * next blocks, votes that it left out can still be shown. `participants` are places in the set of
 * the parent's epoch.
 */
export function recordVotes(
  draft: LedgerDraft,
  parent: { readonly hash: Uint8Array; readonly epoch: number },
  participants: readonly number[],
): void {
  const members = setMembers(draft, parent.epoch)
  assert(members !== undefined, 'the set of a past epoch is on record')
  const voted = new Uint8Array(Math.ceil(members.length / 8))
  for (const place of participants) {
    countVote(draft, parent.epoch, place)
    mark(voted, place)
  }
  const globals = draft.globals()
  const recentBlocks = [...globals.recentBlocks, { ...parent, voted }].slice(-RECENT_BLOCKS_MAX)
  draft.setGlobals({ ...globals, recentBlocks })
}

/**
 * Votes that certificates of the last eight blocks left out. Participation is the union of all, so
 * a leader that keeps a rival's vote out of its block takes nothing from it unless seven others do
 * the same (PROTOCOL 7). A vote for a block counts whatever its kind and view.
 */
export function applyLateVotes(draft: LedgerDraft, { votes }: LateVotes): Result<undefined> {
  if (votes.length === 0) return fault('LATE_VOTES_EMPTY', 'there are no votes')
  const recent = draft.globals().recentBlocks.map((block) => ({
    ...block,
    voted: block.voted.slice(),
  }))
  let previous = -1
  for (const vote of votes) {
    const order = vote.back * 256 + vote.validator
    if (order <= previous) {
      return fault('LATE_VOTES_ORDER', 'late votes stand by block, newest first, then validator')
    }
    previous = order
    const block = recent[recent.length - 1 - vote.back]
    if (!block) return fault('LATE_VOTE_BLOCK', 'the block is no longer among the last eight')
    const checked = checkVote(draft, vote, block)
    if (!checked.ok) return checked
    mark(block.voted, vote.validator)
    countVote(draft, block.epoch, vote.validator)
  }
  draft.setGlobals({ ...draft.globals(), recentBlocks: recent })
  return ok()
}

function checkVote(draft: LedgerDraft, vote: LateVote, block: RecentBlock): Result<undefined> {
  const { kind, view, validator, signature } = vote
  const { epoch, hash, voted } = block
  const member = setMembers(draft, epoch)?.[validator]
  if (!member) return fault('LATE_VOTE_VALIDATOR', 'the voter is not in the set of the block')
  if (isMarked(voted, validator)) return fault('LATE_VOTE_KNOWN', 'the vote is counted already')
  const statement: Statement = { kind, epoch, view, hash }
  if (kind === VoteKind.nullify || !isWellFormed(statement)) {
    return fault('LATE_VOTE_KIND', 'this is no vote for a block')
  }
  return isStatementSigned(draft.chainId, { statement, signature }, member.publicKey)
    ? ok()
    : fault('LATE_VOTE_SIGNATURE', "the vote is not signed with the voter's key")
}

/** A vote that a block on some ledger could still bring. */
export interface MissingVote extends Pick<LateVote, 'back' | 'validator'> {
  readonly epoch: number
  readonly hash: Uint8Array
}

/** Whose votes for which recent blocks a block on this ledger may bring, in order. */
export function missingVotes(ledger: LedgerDraft): MissingVote[] {
  const missing: MissingVote[] = []
  const recent = ledger.globals().recentBlocks
  // In the block to come its parent stands in front, and votes for that are still on their way.
  for (let back = 1; back < RECENT_BLOCKS_MAX; back++) {
    const block = recent[recent.length - back]
    if (!block) break
    const { epoch, hash, voted } = block
    const { length } = setMembers(ledger, epoch) ?? []
    for (let validator = 0; validator < length; validator++) {
      if (!isMarked(voted, validator)) missing.push({ back, validator, epoch, hash })
    }
  }
  return missing
}

function countVote(draft: LedgerDraft, epoch: number, place: number): void {
  const member = setMembers(draft, epoch)?.[place]
  assert(member !== undefined, 'voters are of the set')
  const validator = validatorAt(draft, member.validator)
  const participation = validator.participation + 1
  draft.validators.set(member.validator, { ...validator, participation })
}

function mark(voted: Uint8Array, place: number): void {
  voted[place >> 3] = (voted[place >> 3] ?? 0) | (1 << (place & 7))
}

function isMarked(voted: Uint8Array, place: number): boolean {
  return (((voted[place >> 3] ?? 0) >> (place & 7)) & 1) === 1
}
