import { bytesEqual, type Hex } from '../bytes/hex.ts'
import { type Certificate, type Vote, VoteKind } from '../types/consensus-objects.ts'
import { contradicts } from '../types/contradiction.ts'
import { ZERO_HASH } from '../types/primitives.ts'
import type { Proposal } from './machine-interface.ts'

/** Votes for one statement. */
export interface Tally {
  /** The block; zero for nullify. */
  readonly hash: Uint8Array
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
  readonly notarize: Tally[]
  readonly nullify: Tally
  readonly finalize: Tally[]
  /** Counted votes by validator: a handful each. */
  readonly cast: Map<number, Vote[]>
  notarized: Certificate | undefined
  nullified: Certificate | undefined
  /** Nullified while its leader still had time: that says nothing about the network's delay. */
  leftEarly: boolean
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
    notarize: [],
    nullify: { hash: ZERO_HASH, weight: 0, votes: new Map() },
    finalize: [],
    cast: new Map(),
    notarized: undefined,
    nullified: undefined,
    leftEarly: false,
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
  let tally = tallies.find((each) => bytesEqual(each.hash, hash))
  if (!tally) {
    tally = { hash, weight: 0, votes: new Map() }
    tallies.push(tally)
  }
  return tally
}

/** True if counting the vote would tell nothing new or let one validator fill memory. */
export function isRedundant(round: Round, vote: Vote): boolean {
  const { kind, hash } = vote.statement
  const cast = round.cast.get(vote.validator)
  if (!cast) return false
  const ofKind = cast.filter(({ statement }) => statement.kind === kind)
  return (
    ofKind.length >= STATEMENTS_PER_VALIDATOR ||
    ofKind.some(({ statement }) => bytesEqual(statement.hash, hash))
  )
}

/** Remembers a vote under its validator. */
export function rememberCast(round: Round, vote: Vote): void {
  const cast = round.cast.get(vote.validator)
  if (cast) cast.push(vote)
  else round.cast.set(vote.validator, [vote])
}

/** An earlier vote of the same validator that no honest one signs beside this one. */
export function contradictionOf(round: Round, vote: Vote): Vote | undefined {
  return round.cast
    .get(vote.validator)
    ?.find(({ statement }) => contradicts(statement, vote.statement))
}

/** Different blocks the leader voted for in this view. */
export function notarizedBy(round: Round, validator: number): number {
  const cast = round.cast.get(validator) ?? []
  return cast.filter(({ statement }) => statement.kind === VoteKind.notarize).length
}

/** Own votes of a round in the order in which they were cast. */
export function ownVotes({ own }: Round): Vote[] {
  return [own.notarize, own.nullify, own.finalize].filter((vote) => vote !== undefined)
}
