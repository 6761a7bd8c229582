import { bytesToHex } from '../../chain/src/bytes/hex.ts'
import type {
  ConsensusMessage,
  EpochValidator,
  LogRecord,
} from '../../chain/src/consensus/machine-interface.ts'
import { votesIn } from '../../chain/src/consensus/votes-in.ts'
import {
  type Certificate,
  type Statement,
  type Vote,
  VoteKind,
} from '../../chain/src/types/consensus-objects.ts'
import { isSignedBy } from './cheap-crypto.ts'
import { Violation } from './violation.ts'
import type { VoteJudge } from './vote-judge.ts'

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

/** A vote came alone, or with others that may have made its view final before it was looked at. */
type Way = 'alone' | 'among others'

interface Heard {
  readonly statement: Statement
  readonly way: Way
}

interface Owed {
  readonly view: number
  readonly validator: number
  readonly way: Way
}

interface HeardView {
  readonly byValidator: Map<number, Heard[]>
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
  /** Certificates that the node holds, of the epoch. */
  readonly #certified = new Set<string>()
  #owed: Owed[] = []
  #owedFinal: number[] = []
  /** Votes of its own that it was shown and had not signed. */
  #owedAlarms: Statement[] = []
  #alarmed = false

  /** @param log what the node reads back of its log */
  constructor(place: ListenerPlace, log: readonly LogRecord[]) {
    this.#place = place
    for (const record of log) {
      if (record.type === 'vote') this.signed(record.vote)
      if (record.type !== 'certificate') continue
      const { statement } = record.certificate
      if (statement.epoch === place.epoch) this.#certified.add(nameOf(statement))
    }
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
    if (epoch !== this.#place.epoch) return
    this.#certified.add(nameOf(statement))
    if (kind !== VoteKind.notarize) return
    if (this.#own.has(`${VoteKind.nullify}/${view}`)) return
    if (this.#own.get(`${kind}/${view}`) === bytesToHex(hash)) this.#owedFinal.push(view)
  }

  /** The leader's time in a view is over. */
  timeOver(view: number): void {
    this.#at(view).mustSkip = true
  }

  /** Before the node takes the message in. */
  hearMessage(message: ConsensusMessage, hearing: ListenerHearing, judge: VoteJudge): void {
    this.#distrust(votesIn(message), hearing)
    if (message.type === 'vote') return this.#hear(message.vote, hearing, 'alone')
    if (message.type === 'proposal') return
    const isBundle = message.type === 'bundle'
    const certificates = isBundle ? message.bundle.certificates : [message.certificate]
    const isTrue = (each: Certificate) =>
      each.statement.epoch === this.#place.epoch && judge.isQuorum(each)
    // A node drops a bundle with a false certificate; what came before it is no duty then.
    if (!certificates.every(isTrue)) return
    for (const certificate of certificates) this.#hearVotesOf(certificate, hearing)
    for (const vote of isBundle ? message.bundle.votes : []) {
      if (vote.statement.view > hearing.finalView) this.#hear(vote, hearing, 'among others')
    }
  }

  /** Single votes stand in certificates, too; one that the node holds already tells it nothing. */
  #hearVotesOf(certificate: Certificate, hearing: ListenerHearing): void {
    const { statement, signers, signatures } = certificate
    if (statement.kind === VoteKind.finalize || statement.view <= hearing.finalView) return
    if (this.#certified.has(nameOf(statement))) return
    let position = 0
    for (let validator = 0; validator < signers.length * 8; validator++) {
      if (((signers[validator >> 3] ?? 0) >> (validator & 7)) % 2 === 0) continue
      const signature = signatures[position++] ?? new Uint8Array(0)
      this.#hear({ statement, validator, signature }, hearing, 'among others')
    }
  }

  /** Every vote in a message: after a false one about a final view the peer's next ones are lost. */
  #distrust(votes: readonly Vote[], { finalView, from, nowMs }: ListenerHearing): void {
    for (const { statement, validator, signature } of votes) {
      const { epoch, view } = statement
      const member = this.#place.validators[validator]
      if (epoch > this.#place.epoch || (epoch === this.#place.epoch && view > finalView)) continue
      const isOfSet = epoch === this.#place.epoch && member
      if (isOfSet && isSignedBy(member.publicKey, statement, signature)) continue
      this.#place.distrusted.set(from, nowMs)
    }
  }

  #hear(vote: Vote, hearing: ListenerHearing, way: Way): void {
    const { view: current, finalView, from, nowMs } = hearing
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
    const isKnown = known.some((each) => isSame(each.statement, statement))
    if (known.length >= VOTES_PER_VALIDATOR_MAX || isKnown) return
    if (!isSignedBy(member.publicKey, statement, signature)) return
    heard.byValidator.set(validator, [...known, { statement, way }])
    const others = known.filter((each) => contradict(each.statement, statement))
    const isSure = way === 'alone' && others.some((each) => each.way === 'alone')
    if (others.length > 0) {
      this.#owed.push({ view, validator, way: isSure ? 'alone' : 'among others' })
    }
    // What this node signed in views that are final it need not know after a restart.
    if (validator === this.#place.self && view > finalView) this.#hearSelf(statement)
    this.#judgeSkip(heard, vote, member.weight)
  }

  /** After the node has dealt with an event and still runs. */
  check({ view, finalView }: ListenerMoment): void {
    for (const { view: of, validator, way } of this.#owed) {
      const isDue = way === 'alone' || of > finalView
      if (isDue && !this.#accused.has(`${of}/${validator}`)) {
        throw new Violation(`I7 no evidence of two votes heard of validator ${validator} in ${of}`)
      }
    }
    this.#owed = []
    for (const certified of this.#owedFinal) {
      if (!this.#own.has(`${VoteKind.finalize}/${certified}`)) {
        throw new Violation(`no finalize vote for its own choice of view ${certified}`)
      }
    }
    this.#owedFinal = []
    const isOthers = ({ kind, view: of, hash }: Statement) =>
      of > finalView && this.#own.get(`${kind}/${of}`) !== bytesToHex(hash)
    if (!this.#alarmed && this.#owedAlarms.some(isOthers)) {
      throw new Violation('another signer goes unnoticed')
    }
    this.#owedAlarms = []
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
    heard.mustSkip ||=
      ofLeader.filter(({ statement }) => statement.kind === VoteKind.notarize).length > 1
  }

  #hearSelf(statement: Statement): void {
    const { kind, view, hash } = statement
    if (view <= this.#place.signAbove) return
    if (this.#own.get(`${kind}/${view}`) !== bytesToHex(hash)) this.#owedAlarms.push(statement)
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

function nameOf({ kind, view, hash }: Statement): string {
  return `${kind}/${view}/${bytesToHex(hash)}`
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
