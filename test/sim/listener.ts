import { bytesToHex } from '../../chain/src/bytes/hex.ts'
import type { EpochValidator } from '../../chain/src/consensus/machine-interface.ts'
import {
  type Certificate,
  type Statement,
  type Vote,
  VoteKind,
} from '../../chain/src/types/consensus-objects.ts'
import { isSignedBy } from './cheap-crypto.ts'
import { Violation } from './violation.ts'

/** Votes are counted this far ahead of a node's view (consensus 1.3). */
const VIEWS_AHEAD = 32
/** Of so many views that are final a node remembers who voted for what (consensus 1.8). */
const VIEWS_REMEMBERED = 256
/** One validator signs no more different things in a view than this before it is accused. */
const VOTES_PER_VALIDATOR_MAX = 8

/** What a node knows of itself from outside. */
export interface ListenerPlace {
  readonly epoch: number
  readonly validators: readonly EpochValidator[]
  /** Own place in the set; undefined for an observer. */
  readonly self: number | undefined
  /** Views up to this one it may not sign in. */
  readonly signAbove: number
  readonly leaderOf: (view: number) => number
  /** For so long a node does not look at late votes of a peer that sent a false one. */
  readonly distrustMs: number
  /** When each peer last sent one, or one that is not judged here: over all machines of a node. */
  readonly distrusted: Map<string, number>
}

/** What a node stands at when a vote reaches it, or when a step is over. */
export interface ListenerMoment {
  readonly view: number
  readonly finalView: number
}

/** How a message came. */
export interface ListenerHearing extends ListenerMoment {
  readonly from: string
  readonly nowMs: number
}

interface HeardView {
  readonly byValidator: Map<number, Statement[]>
  skipWeight: number
  /** A reason to give the view up at once, even after a vote for its block. */
  mustSkip: boolean
  leaderSkipped: boolean
}

/**
 * Single votes that reached one node while one machine ran, and what the protocol demands of a
 * node that has heard them: evidence of two that contradict each other (1.8), and a skip at once
 * when a third of the weight, or the leader, gave the view up, or the leader voted twice (1.6),
 * and a finalize vote for its own choice, once that is certified (1.5).
 */
export class Listener {
  readonly #place: ListenerPlace
  readonly #heard = new Map<number, HeardView>()
  readonly #own = new Map<string, string>()
  readonly #accused = new Set<string>()
  #owed: string[] = []
  #owedFinal: number[] = []
  #owesAlarm = false
  #alarmed = false

  constructor(place: ListenerPlace, ownVotes: readonly Vote[]) {
    this.#place = place
    for (const vote of ownVotes) this.signed(vote)
  }

  /** An own vote got into the log. */
  signed({ statement }: Vote): void {
    const { epoch, kind, view, hash } = statement
    if (epoch === this.#place.epoch) this.#own.set(`${kind}/${view}`, bytesToHex(hash))
  }

  /** An evidence effect left. */
  accused({ statement, validator }: Vote): void {
    this.#accused.add(`${statement.view}/${validator}`)
  }

  /** A doppelganger effect left. */
  alarmed(): void {
    this.#alarmed = true
  }

  /** A certificate got into the log: what the node notarized itself it must finalize, even late. */
  certified({ statement }: Certificate): void {
    const { epoch, kind, view, hash } = statement
    if (epoch !== this.#place.epoch || kind !== VoteKind.notarize) return
    if (this.#own.has(`${VoteKind.nullify}/${view}`)) return
    if (this.#own.get(`${kind}/${view}`) === bytesToHex(hash)) this.#owedFinal.push(view)
  }

  /** The leader's time in a view is over. */
  timeOver(view: number): void {
    this.#at(view).mustSkip = true
  }

  /** Every vote in a message: after a false one about a final view the peer's next ones are lost. */
  distrust(votes: readonly Vote[], { finalView, from, nowMs }: ListenerHearing): void {
    for (const { statement, validator, signature } of votes) {
      const { epoch, view } = statement
      const member = this.#place.validators[validator]
      if (epoch > this.#place.epoch || (epoch === this.#place.epoch && view > finalView)) continue
      const isOfSet = epoch === this.#place.epoch && member
      if (isOfSet && isSignedBy(member.publicKey, statement, signature)) continue
      this.#place.distrusted.set(from, nowMs)
    }
  }

  /** Before the node takes the vote in, and after distrust. */
  hear(vote: Vote, { view: current, finalView, from, nowMs }: ListenerHearing): void {
    const { statement, validator, signature } = vote
    const { epoch, view } = statement
    if (epoch !== this.#place.epoch || view > current + VIEWS_AHEAD) return
    if (view <= finalView) {
      const falseAtMs = this.#place.distrusted.get(from)
      if (falseAtMs !== undefined && nowMs - falseAtMs < this.#place.distrustMs) return
      if (view <= finalView - VIEWS_REMEMBERED) return
    }
    const member = this.#place.validators[validator]
    if (!member || !isWellFormed(statement)) return
    const heard = this.#at(view)
    const known = heard.byValidator.get(validator) ?? []
    if (known.length >= VOTES_PER_VALIDATOR_MAX || known.some((each) => isSame(each, statement))) {
      return
    }
    if (!isSignedBy(member.publicKey, statement, signature)) return
    heard.byValidator.set(validator, [...known, statement])
    if (known.some((each) => contradict(each, statement))) this.#owed.push(`${view}/${validator}`)
    // What this node signed in views that are final it need not know after a restart.
    if (validator === this.#place.self && view > finalView) this.#hearSelf(statement)
    this.#judgeSkip(heard, vote, member.weight)
  }

  /** After the node has dealt with an event and still runs. */
  check({ view, finalView }: ListenerMoment): void {
    for (const place of this.#owed) {
      if (!this.#accused.has(place)) {
        throw new Violation(`I7 no evidence of two votes heard of (view/validator) ${place}`)
      }
    }
    this.#owed = []
    for (const certified of this.#owedFinal) {
      if (!this.#own.has(`${VoteKind.finalize}/${certified}`)) {
        throw new Violation(`no finalize vote for its own choice of view ${certified}`)
      }
    }
    this.#owedFinal = []
    if (this.#owesAlarm && !this.#alarmed) throw new Violation('another signer goes unnoticed')
    this.#checkSkip(view)
    if (this.#heard.size <= VIEWS_REMEMBERED + 2 * VIEWS_AHEAD) return
    const forgotten = finalView - VIEWS_REMEMBERED
    for (const past of this.#heard.keys()) if (past <= forgotten) this.#heard.delete(past)
  }

  #checkSkip(view: number): void {
    const heard = this.#heard.get(view)
    const { self, signAbove } = this.#place
    if (!heard || self === undefined || view <= signAbove) return
    const has = (kind: VoteKind) => this.#own.has(`${kind}/${view}`)
    const isOver = has(VoteKind.nullify) || has(VoteKind.finalize)
    const leaderGone = heard.leaderSkipped && !has(VoteKind.notarize)
    if (!isOver && (heard.mustSkip || leaderGone)) {
      throw new Violation(`a validator stays in view ${view} that it must give up at once`)
    }
  }

  #judgeSkip(heard: HeardView, vote: Vote, weight: number): void {
    const { validators, leaderOf } = this.#place
    const isLeader = vote.validator === leaderOf(vote.statement.view)
    if (vote.statement.kind === VoteKind.nullify) {
      heard.skipWeight += weight
      heard.leaderSkipped ||= isLeader
      const total = validators.reduce((sum, each) => sum + each.weight, 0)
      heard.mustSkip ||= 3 * heard.skipWeight >= total
    }
    const ofLeader = isLeader ? (heard.byValidator.get(vote.validator) ?? []) : []
    heard.mustSkip ||= ofLeader.filter((each) => each.kind === VoteKind.notarize).length > 1
  }

  #hearSelf({ kind, view, hash }: Statement): void {
    if (view <= this.#place.signAbove) return
    if (this.#own.get(`${kind}/${view}`) !== bytesToHex(hash)) this.#owesAlarm = true
  }

  #at(view: number): HeardView {
    let heard = this.#heard.get(view)
    if (!heard) {
      heard = { byValidator: new Map(), skipWeight: 0, mustSkip: false, leaderSkipped: false }
      this.#heard.set(view, heard)
    }
    return heard
  }
}

function isWellFormed({ kind, hash }: Statement): boolean {
  if (kind === VoteKind.nullify) return hash.every((byte) => byte === 0)
  return kind === VoteKind.notarize || kind === VoteKind.finalize
}

function isSame(one: Statement, other: Statement): boolean {
  return one.kind === other.kind && bytesToHex(one.hash) === bytesToHex(other.hash)
}

/** E1-E4 of consensus 1.8, of two statements about one view. */
function contradict(one: Statement, other: Statement): boolean {
  const skips = [one, other].filter(({ kind }) => kind === VoteKind.nullify).length
  const finals = [one, other].filter(({ kind }) => kind === VoteKind.finalize).length
  if (skips > 0) return skips === 1 && finals === 1
  return bytesToHex(one.hash) !== bytesToHex(other.hash)
}
