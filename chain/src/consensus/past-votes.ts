import type { Certificate, Statement, Vote } from '../types/consensus-objects.ts'
import { contradicts, isWellFormed } from '../types/contradiction.ts'
import { isSameStatement, voteOf } from './certificate.ts'
import type { ContradictingVotes } from './fork-proof.ts'
import type { Round } from './round.ts'

/** Newest views that are final of which votes are remembered, also over the end of an epoch. */
export const PAST_VIEWS_MAX = 256

/** Who signed one statement. */
interface Ballot {
  readonly statement: Statement
  readonly signatures: Map<number, Uint8Array>
}

/** What is known of a view that is final: at most two votes of each validator. */
export interface PastView {
  readonly epoch: number
  readonly view: number
  /** Single votes, each checked when it came. */
  readonly ballots: Ballot[]
  /** Of final blocks: what they say was checked, single signatures where they accuse somebody. */
  readonly certificates: Certificate[]
  /** Already reported for this view: nothing more is looked at. */
  readonly accused: Set<number>
}

/**
 * Votes of views that are final, by epoch and view, oldest first. A vote that comes late may still
 * contradict one of them (consensus 1.8).
 */
export type PastVotes = PastView[]

/** Whether a vote is signed by the validator that it names. Costs a signature check. */
export type IsSigned = (vote: Vote) => boolean

/** A pair to report, or what became of the vote. */
export type LateFinding = ContradictingVotes | 'kept' | 'nothing new' | 'forged'

/**
 * Takes in a vote of a view that is final. Its signature is checked only where it says something
 * new; what is new is little, since of each validator two votes of a view are kept at most.
 */
export function takeLate(past: PastVotes, vote: Vote, isSigned: IsSigned): LateFinding {
  const { statement, validator } = vote
  const at = isWellFormed(statement) ? placeOf(past, statement) : undefined
  if (!at || at.accused.has(validator)) return 'nothing new'
  const known = knownOf(at, validator)
  if (known.some((each) => isSameStatement(each.statement, statement))) return 'nothing new'
  if (!isSigned(vote)) return 'forged'
  const first = contradictionTo(known, vote, isSigned)
  insert(past, at)
  if (first) {
    at.accused.add(validator)
    return { first, second: vote }
  }
  keep(at, vote)
  return 'kept'
}

/** Takes over the votes of a round that finality has closed; all of them were checked. */
export function takeRound(past: PastVotes, epoch: number, round: Round): ContradictingVotes[] {
  const { view, cast, accused } = round
  const at = placeOf(past, { epoch, view })
  if (!at || cast.size === 0) return []
  insert(past, at)
  for (const validator of accused) at.accused.add(validator)
  return [...cast.values()].flat().flatMap((vote) => {
    const found = takeLate(past, vote, () => true)
    return typeof found === 'string' ? [] : [found]
  })
}

/** Remembers a certificate of a final block; gives the pairs that its votes are part of. */
export function takeCertificate(
  past: PastVotes,
  certificate: Certificate,
  isSigned: IsSigned,
): ContradictingVotes[] {
  const { statement } = certificate
  const at = placeOf(past, statement)
  if (!at || at.certificates.some((each) => isSameStatement(each.statement, statement))) return []
  insert(past, at)
  const heard = new Set(at.ballots.flatMap(({ signatures }) => [...signatures.keys()]))
  const pairs = [...heard].flatMap((validator): ContradictingVotes[] => {
    const second = at.accused.has(validator) ? undefined : voteOf(certificate, validator)
    const first = second && contradictionTo(knownOf(at, validator), second, isSigned)
    if (!first || !isSigned(second)) return []
    at.accused.add(validator)
    return [{ first, second }]
  })
  at.certificates.push(certificate)
  return pairs
}

function contradictionTo(known: readonly Vote[], vote: Vote, isSigned: IsSigned): Vote | undefined {
  return known.find((each) => contradicts(each.statement, vote.statement) && isSigned(each))
}

function knownOf({ ballots, certificates }: PastView, validator: number): Vote[] {
  const known: Vote[] = []
  for (const { statement, signatures } of ballots) {
    const signature = signatures.get(validator)
    if (signature) known.push({ statement, validator, signature })
  }
  for (const certificate of certificates) {
    const vote = voteOf(certificate, validator)
    if (vote) known.push(vote)
  }
  return known
}

function keep({ ballots }: PastView, { statement, validator, signature }: Vote): void {
  const ballot = ballots.find((each) => isSameStatement(each.statement, statement))
  if (ballot) ballot.signatures.set(validator, signature)
  else ballots.push({ statement, signatures: new Map([[validator, signature]]) })
}

type Place = Pick<Statement, 'epoch' | 'view'>

function isAfter(one: Place, other: Place): boolean {
  return one.epoch === other.epoch ? one.view > other.view : one.epoch > other.epoch
}

/** The view, empty where nothing is known of it yet; undefined where it is too old. */
function placeOf(past: PastVotes, { epoch, view }: Place): PastView | undefined {
  const known = past.findLast((each) => each.view === view && each.epoch === epoch)
  if (known) return known
  const [oldest] = past
  const place = { epoch, view }
  if (oldest && past.length >= PAST_VIEWS_MAX && !isAfter(place, oldest)) return undefined
  return { ...place, ballots: [], certificates: [], accused: new Set() }
}

/** The oldest view gives way. */
function insert(past: PastVotes, at: PastView): void {
  const below = past.findLastIndex((each) => !isAfter(each, at))
  if (past[below] === at) return
  past.splice(below + 1, 0, at)
  if (past.length > PAST_VIEWS_MAX) past.shift()
}
