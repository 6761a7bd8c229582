import { bytesEqual, bytesToHex, type Hex } from '../../chain/src/bytes/hex.ts'
import type { RelayEffect } from '../../chain/src/consensus/epoch-relay.ts'
import type {
  ConsensusEvent,
  ConsensusTiming,
  LogRecord,
  Proposal,
} from '../../chain/src/consensus/machine-interface.ts'
import { type Certificate, type Header, VoteKind } from '../../chain/src/types/consensus-objects.ts'
import { hashHeader, hashJustification, isSignedBy } from './cheap-crypto.ts'
import { Violation } from './violation.ts'

/** Proposals farther ahead than this need not be remembered (consensus 1.3). */
const VIEWS_AHEAD = 32
/** Room of a justification (consensus 1.3). */
const SKIPS_MAX = 2_048
const JUSTIFICATION_BYTES = 960 * 1_024
/** Around the signatures of a certificate; more than any encoding takes. */
const CERTIFICATE_FRAME = 96

/** What one machine is bound to from its first step to its last. */
export interface PacePlace {
  readonly epoch: number
  readonly timing: ConsensusTiming
  /** Consensus keys of the set, by place. */
  readonly keys: readonly Uint8Array[]
  /** Own place in the set; undefined for an observer. */
  readonly self: number | undefined
  /** Views up to this one it may not sign in. */
  readonly signAbove: number
  /** Last block of the epoch before, and the height of the last one of this. */
  readonly start: { readonly hash: Hex; readonly header: Header }
  readonly lastHeight: number
  /** Finality in this epoch that the machine begins with, if any. */
  readonly final: Certificate | undefined
  readonly leaderOf: (view: number) => number
  /** A block that anybody ever showed. */
  readonly headerOf: (hash: Hex) => Header | undefined
}

/** What is looked at of a machine: where it stands, never when it wants to act. */
export interface PaceSubject {
  readonly view: number
  readonly finished: boolean
  readonly halted: boolean
  readonly tree: {
    readonly head: { readonly hash: Hex }
    readonly blocks: { has(hash: Hex): boolean }
  }
}

/**
 * What the clock demands of a node (consensus 1.3, 1.6), told from events, effects and the
 * protocol's text: a view lasts no longer than its timeout, which grows only with views that were
 * waited out, also where finality comes later; a leader lets the block interval pass; who leads
 * with a malformed header is given up at once. Where the node may know less than is seen here (a
 * block it need not hold yet, views left before a restart) the longest wait is allowed.
 */
export class PaceDuties {
  readonly #place: PacePlace
  #view = 0
  #enteredMs = 0
  /** The latest moment from which the current view's leader is given its time. */
  #leaderByMs = 0
  /** Until then the current view may be held although there is a reason to skip it. */
  #heldByMs = 0
  #skipAtMs = 0
  /** The skip timer of this view has ended. */
  #firedIn = 0
  #finalView: number
  #finalHash: Hex
  readonly #skipped = new Map<number, Certificate>()
  readonly #notarized = new Map<number, Hex>()
  /** Skipped by a quorum before their time was over. */
  readonly #early = new Set<number>()
  /** Blocks that the node wrote down, so that it holds them. */
  readonly #kept = new Set<Hex>()
  /** Views in which it voted for a block or gave up. */
  readonly #voted = new Set<number>()
  /** Views whose leader signed a malformed header. */
  readonly #malformed = new Set<number>()

  /** @param log what the node reads back of its log */
  constructor(place: PacePlace, log: readonly LogRecord[]) {
    this.#place = place
    this.#finalView = place.final?.statement.view ?? 0
    this.#finalHash = place.final ? bytesToHex(place.final.statement.hash) : place.start.hash
    for (const record of log) this.#logged(record)
  }

  /** The first effects of a machine, with those of messages that had waited for it. */
  start(effects: readonly RelayEffect[], nowMs: number, machine: PaceSubject): void {
    for (const effect of effects) this.#follow(effect, nowMs, machine)
    // What came first, and what was known by then, is not told by what the log holds.
    this.#early.clear()
    const { blockIntervalMs, clockAheadMs } = this.#place.timing
    this.#leaderByMs = nowMs + blockIntervalMs + clockAheadMs
    this.#check(nowMs, machine)
  }

  /** After an event, before its effects are performed. */
  check(event: ConsensusEvent, effects: readonly RelayEffect[], machine: PaceSubject): void {
    const { nowMs } = event
    if (event.type === 'timer' && event.timer === 'skip') this.#firedIn = event.view
    if (event.type === 'message' && event.message.type === 'proposal') {
      this.#hear(event.message.proposal)
    }
    for (const effect of effects) {
      this.#follow(effect, nowMs, machine)
      if (effect.type !== 'broadcast' || effect.message.type !== 'proposal') continue
      const { header, leaderVote } = effect.message.proposal
      if (header.view < leaderVote.statement.view) this.#checkInterval(header, nowMs)
    }
    this.#check(nowMs, machine)
  }

  #follow(effect: RelayEffect, nowMs: number, machine: PaceSubject): void {
    if (effect.type === 'persist') this.#logged(effect.record)
    if (effect.type === 'commit') for (const { hash } of effect.blocks) this.#kept.add(hash)
    if (effect.type === 'buildBlock') {
      const parent = this.#place.headerOf(bytesToHex(effect.fields.parentHash))
      if (parent) this.#checkInterval(parent, nowMs)
    }
    if (effect.type !== 'setTimer' || effect.timer !== 'skip') return
    if (effect.view > this.#view) this.#enter(effect.view, nowMs, machine)
    this.#skipAtMs = effect.atMs
  }

  #logged(record: LogRecord): void {
    if (record.type === 'block') this.#kept.add(record.block.hash)
    if (record.type === 'vote') {
      const { epoch, kind, view } = record.vote.statement
      const isVoice = kind === VoteKind.notarize || kind === VoteKind.nullify
      if (isVoice && epoch === this.#place.epoch) this.#voted.add(view)
    }
    if (record.type !== 'certificate') return
    const { epoch, kind, view, hash } = record.certificate.statement
    if (epoch !== this.#place.epoch || view <= this.#finalView) return
    if (kind === VoteKind.nullify) this.#skipped.set(view, record.certificate)
    else if (kind === VoteKind.notarize) this.#notarized.set(view, bytesToHex(hash))
    else this.#becomeFinal(view, bytesToHex(hash))
  }

  #becomeFinal(finalView: number, hash: Hex): void {
    this.#finalView = finalView
    this.#finalHash = hash
    for (const views of [this.#skipped, this.#notarized, this.#early, this.#malformed]) {
      for (const view of views.keys()) if (view <= finalView) views.delete(view)
    }
  }

  #enter(view: number, nowMs: number, machine: PaceSubject): void {
    const left = this.#view
    const isOver = nowMs >= this.#skipAtMs || this.#firedIn === left
    if (this.#skipped.has(left) && !isOver) this.#early.add(left)
    const { timing } = this.#place
    this.#view = view
    this.#enteredMs = nowMs
    const latestMs = nowMs + timing.blockIntervalMs + timing.clockAheadMs
    const parent = this.#parentHeld(machine)
    const fromMs = parent ? parent.timeMs + timing.blockIntervalMs : latestMs
    this.#leaderByMs = Math.max(nowMs, Math.min(fromMs, latestMs))
    this.#heldByMs = nowMs + this.#holdMs()
  }

  /** What a leader builds on, if the node holds it for sure. */
  #parentHeld({ tree }: PaceSubject): Header | undefined {
    const { start, headerOf } = this.#place
    let hash = this.#finalHash
    for (let view = this.#view - 1; view > this.#finalView; view--) {
      const notarized = this.#notarized.get(view)
      if (notarized !== undefined) {
        hash = notarized
        break
      }
      if (!this.#skipped.has(view)) return undefined
    }
    if (hash === start.hash) return start.header
    const isHeld = tree.head.hash === hash || tree.blocks.has(hash)
    return isHeld && this.#kept.has(hash) ? headerOf(hash) : undefined
  }

  /** Longest hold of skips (consensus 1.3, decision 38): as if all skips since finality counted. */
  #holdMs(): number {
    let bytes = 0
    for (const skip of this.#skipped.values()) bytes += sizeOf(skip)
    const [any] = this.#skipped.values()
    if (any) bytes += 2 * sizeOf(any)
    const room = Math.max(this.#skipped.size / SKIPS_MAX, bytes / JUSTIFICATION_BYTES)
    if (room <= 0.5) return 0
    const doublings = Math.floor(24 * (Math.min(room, 1) - 0.5))
    return this.#place.timing.skipTimeoutCapMs * 2 ** doublings
  }

  /** T(v) of consensus 1.3 for the views that were waited out. */
  #timeoutMs(): number {
    const { skipTimeoutMs, skipTimeoutGrowthPercent, skipTimeoutCapMs } = this.#place.timing
    const waited = this.#view - this.#finalView - 1 - this.#early.size
    const growth = skipTimeoutGrowthPercent / 100
    // Rounded up to whole milliseconds each time: as if the first were longer by this.
    const roundingMs = growth > 1 ? 1 / (growth - 1) : 0
    const grownMs = (skipTimeoutMs + roundingMs) * growth ** Math.max(0, waited - 2)
    return Math.min(skipTimeoutCapMs, grownMs)
  }

  #check(nowMs: number, machine: PaceSubject): void {
    if (machine.finished || machine.halted) return
    if (machine.view !== this.#view) {
      throw new Violation(`view ${machine.view} begins and has no end`)
    }
    const latestMs = Math.max(this.#leaderByMs + this.#timeoutMs(), this.#heldByMs)
    if (this.#skipAtMs > Math.ceil(latestMs)) {
      const tooLongMs = Math.round(this.#skipAtMs - latestMs)
      throw new Violation(`view ${this.#view} lasts ${tooLongMs} ms longer than was waited for`)
    }
    this.#checkMalformed(nowMs)
  }

  /** No sooner than a block interval after the parent, or a wait that no clock makes longer. */
  #checkInterval(parent: Header, nowMs: number): void {
    const { blockIntervalMs, clockAheadMs } = this.#place.timing
    const longestMs = this.#enteredMs + blockIntervalMs + clockAheadMs
    const earlyMs = Math.min(parent.timeMs + blockIntervalMs, longestMs) - nowMs
    if (earlyMs > 0) {
      throw new Violation(`the leader of view ${this.#view} proposes ${earlyMs} ms too early`)
    }
  }

  #checkMalformed(nowMs: number): void {
    const { self, signAbove } = this.#place
    if (!this.#malformed.has(this.#view) || self === undefined) return
    if (this.#view <= signAbove || nowMs < this.#heldByMs || this.#voted.has(this.#view)) return
    throw new Violation(`view ${this.#view} goes on after a malformed header of its leader`)
  }

  #hear(proposal: Proposal): void {
    const { epoch, view } = proposal.leaderVote.statement
    if (epoch !== this.#place.epoch) return
    if (view <= this.#finalView || view > this.#view + VIEWS_AHEAD) return
    if (this.#isMalformed(proposal.header, view) && this.#isLeaders(proposal)) {
      this.#malformed.add(view)
    }
  }

  /** Truly signed by the leader of its view, with the reasons that the header commits to. */
  #isLeaders({ header, justification, leaderVote }: Proposal): boolean {
    const { statement, validator, signature } = leaderVote
    const { kind, view, hash } = statement
    const key = this.#place.keys[validator]
    if (!key || kind !== VoteKind.notarize || validator !== this.#place.leaderOf(view)) return false
    if (!bytesEqual(hashHeader(header), hash)) return false
    // Nothing commits to the reasons of a block that is proposed again.
    const isItself =
      header.view < view || bytesEqual(hashJustification(justification), header.justHash)
    return isItself && isSignedBy(key, statement, signature)
  }

  #isMalformed(header: Header, view: number): boolean {
    const { epoch, start, lastHeight, leaderOf } = this.#place
    if (header.epoch !== epoch || header.view < 1 || header.view > view) return true
    if (header.proposer !== leaderOf(header.view)) return true
    if (header.height <= start.header.height || header.height > lastHeight) return true
    return header.view < view && header.height !== lastHeight
  }
}

function sizeOf({ signers, signatures }: Certificate): number {
  return CERTIFICATE_FRAME + signers.length + 64 * signatures.length
}
