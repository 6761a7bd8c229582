import { bytesToHex, type Hex } from '../bytes/hex.ts'
import { type Certificate, type Vote, VoteKind } from '../types/consensus-objects.ts'
import type { Proposal } from './machine-interface.ts'

/** Votes for one statement. */
export interface Tally {
  weight: number
  readonly votes: Map<number, Vote>
}

/** A leader's proposal for the round's view, checked but for its block's content. */
export interface RoundProposal extends Proposal {
  readonly hash: Hex
}

/** What is known about one view above the last final one. */
export interface Round {
  readonly view: number
  /** At most two: the second only proves that the leader equivocates. */
  readonly proposals: RoundProposal[]
  /** The leader signed a header that breaks a rule of form. */
  leaderFaulty: boolean
  readonly notarize: Map<Hex, Tally>
  readonly nullify: Tally
  readonly finalize: Map<Hex, Tally>
  notarized: Certificate | undefined
  nullified: Certificate | undefined
  /** Own votes that are (or are about to be) in the log: what may not be contradicted. */
  readonly own: {
    notarize: Vote | undefined
    nullify: Vote | undefined
    finalize: Vote | undefined
  }
  /** Time of the recheck timer already set; 0 for none. */
  recheckAtMs: number
  /** Validators already reported for this view. */
  readonly accused: Set<number>
}

export function createRound(view: number): Round {
  return {
    view,
    proposals: [],
    leaderFaulty: false,
    notarize: new Map(),
    nullify: { weight: 0, votes: new Map() },
    finalize: new Map(),
    notarized: undefined,
    nullified: undefined,
    own: { notarize: undefined, nullify: undefined, finalize: undefined },
    recheckAtMs: 0,
    accused: new Set(),
  }
}

/** Different blocks one validator may be counted for: one, and one more that proves its guilt. */
const STATEMENTS_PER_VALIDATOR = 2

export function tallyOf(round: Round, vote: Vote): Tally {
  const { kind, hash } = vote.statement
  if (kind === VoteKind.nullify) return round.nullify
  const tallies = kind === VoteKind.notarize ? round.notarize : round.finalize
  const key = bytesToHex(hash)
  let tally = tallies.get(key)
  if (!tally) {
    tally = { weight: 0, votes: new Map() }
    tallies.set(key, tally)
  }
  return tally
}

/** True if counting the vote would tell nothing new or let one validator fill memory. */
export function isRedundant(round: Round, vote: Vote): boolean {
  const { kind, hash } = vote.statement
  if (kind === VoteKind.nullify) return round.nullify.votes.has(vote.validator)
  const tallies = kind === VoteKind.notarize ? round.notarize : round.finalize
  if (tallies.get(bytesToHex(hash))?.votes.has(vote.validator)) return true
  return votesIn(tallies, vote.validator).length >= STATEMENTS_PER_VALIDATOR
}

/**
 * An earlier vote of the same validator that no honest one signs beside this one: E1 two
 * notarize, E2 nullify and finalize, E3 two finalize, E4 notarize of another block than finalize.
 */
export function contradictionOf(round: Round, vote: Vote): Vote | undefined {
  const { kind, hash } = vote.statement
  const { validator } = vote
  const other = (tallies: ReadonlyMap<Hex, Tally>) => {
    const own = bytesToHex(hash)
    return votesIn(tallies, validator).find((vote) => bytesToHex(vote.statement.hash) !== own)
  }
  if (kind === VoteKind.notarize) return other(round.notarize) ?? other(round.finalize)
  if (kind === VoteKind.nullify) return votesIn(round.finalize, validator)[0]
  return round.nullify.votes.get(validator) ?? other(round.finalize) ?? other(round.notarize)
}

function votesIn(tallies: ReadonlyMap<Hex, Tally>, validator: number): Vote[] {
  const votes: Vote[] = []
  for (const tally of tallies.values()) {
    const vote = tally.votes.get(validator)
    if (vote) votes.push(vote)
  }
  return votes
}

/** Different blocks the leader voted for in this view. */
export function notarizedBy(round: Round, validator: number): number {
  return votesIn(round.notarize, validator).length
}

/** Own votes of a round in the order in which they were cast. */
export function ownVotes({ own }: Round): Vote[] {
  return [own.notarize, own.nullify, own.finalize].filter((vote) => vote !== undefined)
}
