import { bytesEqual, bytesToHex } from '../../chain/src/bytes/hex.ts'
import { epochOf, type RelayEffect } from '../../chain/src/consensus/epoch-relay.ts'
import type {
  Bundle,
  ConsensusEvent,
  ConsensusMessage,
  LogRecord,
  Proposal,
} from '../../chain/src/consensus/machine-interface.ts'
import { leaderOf, type MachineState } from '../../chain/src/consensus/machine-state.ts'
import { EMPTY_BODY, encodeMessage } from '../../chain/src/driver/message-codec.ts'
import { votesIn } from '../../chain/src/consensus/votes-in.ts'
import {
  type Certificate,
  type Statement,
  type Vote,
  VoteKind,
} from '../../chain/src/types/consensus-objects.ts'
import { hashHeader, hashJustification, isSignedBy } from './cheap-crypto.ts'
import type { SimulatedDisk } from './simulated-disk.ts'
import { Violation } from './violation.ts'
import type { VoteJudge } from './vote-judge.ts'

/** Bundles over more views may be cut. */
const BUNDLE_VIEWS = 48
/** A bundle is no longer (consensus 1.3); one of few objects of ten signatures each never is. */
const BUNDLE_BYTES_MAX = 256 * 1024
const BUNDLE_OBJECTS_SMALL = 300

export interface DutyPlace {
  readonly epoch: number
  readonly disk: SimulatedDisk
  readonly judge: VoteJudge
  /** Between two answers to one peer. */
  readonly answerMs: number
  /** Its proposals keep every rule. */
  readonly isHonest: (publicKey: Uint8Array) => boolean
}

/** Where the machine stood before the event. */
interface Before {
  readonly event: ConsensusEvent
  readonly epoch: number
  readonly view: number
  readonly finalView: number
}

type MessageEvent = Extract<ConsensusEvent, { type: 'message' }>

/**
 * What one event demands of a node at once, told from the message and what leaves: answers to who
 * is behind, certificates taken, ends of epochs told, reasons kept (consensus 1.6, 1.7).
 */
export class StepDuties {
  readonly #place: DutyPlace
  #before: Before | undefined
  readonly #answeredMs = new Map<string, number>()
  /** Views in which this machine notarized itself since it began. */
  readonly #notarized = new Set<number>()

  constructor(place: DutyPlace) {
    this.#place = place
  }

  /** Before the event; nothing is demanded of a machine that has stopped. */
  begin(event: ConsensusEvent, machine: MachineState | undefined): void {
    const runs = machine && !machine.halted && !machine.finished
    this.#before = undefined
    if (!runs) return
    this.#before = {
      event,
      epoch: machine.config.setup.epoch,
      view: machine.view,
      finalView: machine.finalView,
    }
  }

  /** After the event, before its effects are performed. */
  check(effects: readonly RelayEffect[], machine: MachineState): void {
    if (!this.#before) return
    const { event } = this.#before
    for (const effect of effects) this.#checkEffect(effect, effects, machine)
    if (event.type === 'message' && !machine.halted) this.#checkMessage(event, effects, machine)
    if (event.type === 'blockBuilt') this.#checkBuilt(event.view, effects)
    for (const effect of effects) {
      if (effect.type !== 'sendTo' || effect.message.type !== 'bundle') continue
      this.#answeredMs.set(effect.peer, event.nowMs)
    }
  }

  #checkEffect(effect: RelayEffect, all: readonly RelayEffect[], machine: MachineState): void {
    if (effect.type === 'persist' && effect.record.type === 'vote') {
      const { kind, view } = effect.record.vote.statement
      if (kind === VoteKind.notarize) this.#notarized.add(view)
    }
    if (effect.type !== 'commit') return
    const { blocks, certificate, reproposals } = effect
    const { header } = blocks.at(-1) ?? {}
    const { view } = certificate.statement
    const isAgain = header !== undefined && view > header.view && this.#notarized.has(view)
    if (isAgain && reproposals.at(-1)?.view !== view) {
      throw new Violation(`I8 the reason to propose again in view ${view} is lost`)
    }
    if (header?.height !== machine.config.setup.lastHeight) return
    const isTold = all.some(
      (each) =>
        each.type === 'broadcast' &&
        each.message.type === 'certificate' &&
        each.message.certificate === certificate,
    )
    if (!isTold) throw new Violation('the end of an epoch is not told')
  }

  /** What was built for the view that is open leaves, unless the leader signed in it meanwhile. */
  #checkBuilt(view: number, effects: readonly RelayEffect[]): void {
    const { view: open } = this.#before as Before
    const { disk, epoch } = this.#place
    if (view !== open || disk.votes(epoch).some(({ statement }) => statement.view === view)) return
    const isSaid = effects.some(
      (each) =>
        each.type === 'broadcast' &&
        each.message.type === 'proposal' &&
        each.message.proposal.header.view === view,
    )
    if (!isSaid) throw new Violation(`the block built for view ${view} is not proposed`)
  }

  #checkMessage(
    { from, message, nowMs }: MessageEvent,
    effects: readonly RelayEffect[],
    machine: MachineState,
  ): void {
    const before = this.#before as Before
    const epoch = epochOf(message)
    if (epoch > before.epoch + 1 && !effects.some(({ type }) => type === 'epochAhead')) {
      throw new Violation('a far epoch is not told')
    }
    for (const { kind, view } of this.#toTake(message, before.epoch)) {
      const isTaken = kind === VoteKind.finalize ? machine.finalView >= view : machine.view > view
      if (!isTaken && !machine.finished)
        throw new Violation(`a certificate of ${view} is not taken`)
    }
    if (message.type === 'proposal' && epoch === before.epoch && !machine.finished) {
      this.#checkProposal(message.proposal, machine)
    }
    if (message.type !== 'bundle' || epoch !== before.epoch) return
    const { view, finalView } = message.bundle
    if (view >= before.view && finalView >= before.finalView) return
    if (nowMs - (this.#answeredMs.get(from) ?? 0) < this.#place.answerMs) return
    const isAnswered = effects.some(
      (each) => each.type === 'sendTo' && each.peer === from && each.message.type === 'bundle',
    )
    if (!isAnswered) throw new Violation('a peer that is behind is not answered')
  }

  /** Statements of certificates that count by themselves. */
  #toTake(message: ConsensusMessage, epoch: number): Statement[] {
    const isTrue = (each: Certificate) =>
      each.statement.epoch === epoch && this.#place.judge.isQuorum(each)
    if (message.type === 'certificate') {
      return isTrue(message.certificate) ? [message.certificate.statement] : []
    }
    if (message.type === 'bundle') {
      const { certificates } = message.bundle
      return certificates.every(isTrue) ? certificates.map(({ statement }) => statement) : []
    }
    if (message.type !== 'proposal' || epochOf(message) !== epoch + 1) return []
    const isEnd = (each: Certificate) => each.statement.kind === VoteKind.finalize && isTrue(each)
    return message.proposal.justification.parent.filter(isEnd).map(({ statement }) => statement)
  }

  /** An honest proposal brings everybody to its view, however far behind. */
  #checkProposal(proposal: Proposal, machine: MachineState): void {
    const { header, justification, leaderVote } = proposal
    const { statement, validator, signature } = leaderVote
    const { view } = statement
    if (machine.view >= view || header.view !== view) return
    const member = machine.config.setup.validators[validator]
    const isLeaders = member && validator === leaderOf(machine, view)
    if (!isLeaders || !this.#place.isHonest(member.publicKey)) return
    if (!isSignedBy(member.publicKey, statement, signature)) return
    if (!bytesEqual(hashHeader(header), statement.hash)) return
    if (!bytesEqual(hashJustification(justification), header.justHash)) return
    throw new Violation(`a proposal does not bring a node to its view ${view}`)
  }

  /** W1, W2: what a vote says, and the block it is for, are on the disk before it leaves. */
  checkSent(message: ConsensusMessage, isToAll: boolean): void {
    for (const vote of votesIn(message)) {
      if (!isDurable(vote, this.#place.disk)) {
        const { kind, epoch, view } = vote.statement
        throw new Violation(`W2 vote ${kind} of ${epoch}/${view} leaves and is not on the disk`)
      }
    }
    if (message.type === 'bundle') this.#checkBundle(message.bundle, isToAll)
  }

  /** A bundle starts with the finality its view stands on, and leaves no own vote out. */
  #checkBundle({ epoch, view, finalView, certificates, votes }: Bundle, isToAll: boolean): void {
    expectShort({ epoch, view, finalView, certificates, votes })
    const isFinal = ({ statement }: Certificate) =>
      statement.kind === VoteKind.finalize && statement.view === finalView
    if (finalView > 0 && !certificates.some(isFinal)) {
      throw new Violation(`a bundle of ${epoch}/${view} without the finality of ${finalView}`)
    }
    const { event } = this.#before ?? {}
    const isAnswer = event?.type === 'message' && event.message.type === 'bundle' && !isToAll
    const from = isAnswer && epochOf(event.message) === epoch ? event.message.bundle.view : 1
    // Of an epoch that is over its end says it all.
    if (epoch !== this.#place.epoch || view - finalView > BUNDLE_VIEWS) return
    const said = new Set(votes.map(({ statement }) => nameOf(statement)))
    for (const { statement } of this.#place.disk.votes(epoch)) {
      const { view: of } = statement
      const isPart = of > finalView && of <= view && (of >= from || of === view)
      if (isPart && !said.has(nameOf(statement))) {
        throw new Violation(`a bundle of ${epoch}/${view} without the own vote of view ${of}`)
      }
    }
  }

  /** What the log keeps is there again when a machine begins. */
  checkStart(effects: readonly RelayEffect[], machine: MachineState): void {
    const { setup, self } = machine.config
    const { tree, view, finalView } = machine
    const records = this.#place.disk.records(setup.epoch)
    const again = new Set<number>()
    for (const record of records) {
      if (record.type === 'reproposal') again.add(record.view)
      if (record.type !== 'block') continue
      const { hash, header } = record.block
      if (header.height > tree.head.header.height && !tree.blocks.has(hash)) {
        throw new Violation(`W2 the block of view ${header.view} is lost by a restart`)
      }
    }
    if (self === undefined || view <= finalView || leaderOf(machine, view) !== self) return
    const own = records.find((record) => isNotarizeOf(record, view))
    const block = own && tree.blocks.get(bytesToHex(own.vote.statement.hash))
    if (!block || (block.header.view !== view && !again.has(view))) return
    const isSaid = effects.some(
      (each) => each.type === 'broadcast' && each.message.type === 'proposal',
    )
    if (!isSaid) throw new Violation(`a proposal of view ${view} is not said again`)
  }
}

function isDurable({ statement }: Vote, disk: SimulatedDisk): boolean {
  const { kind, epoch, view, hash } = statement
  const { certificate } = disk.head()
  const committed = certificate?.statement
  if (
    committed &&
    (committed.epoch > epoch || (committed.epoch === epoch && committed.view >= view))
  )
    return true
  const block = bytesToHex(hash)
  const isVote = (record: LogRecord) =>
    record.type === 'vote' && isSame(record.vote.statement, statement)
  if (!disk.hasSynced(epoch, isVote)) return false
  if (kind !== VoteKind.notarize || disk.byHash.has(block)) return true
  return disk.hasSynced(epoch, (record) => record.type === 'block' && record.block.hash === block)
}

function isSame(one: Statement, other: Statement): boolean {
  return one.view === other.view && one.kind === other.kind && bytesEqual(one.hash, other.hash)
}

/** Everything that it carries must fit into the frame that its receivers take. */
function expectShort(bundle: Bundle): void {
  if (bundle.certificates.length + bundle.votes.length < BUNDLE_OBJECTS_SMALL) return
  const message = { type: 'bundle', bundle } as const
  const { length } = encodeMessage({ type: 'consensus', message, body: EMPTY_BODY })
  if (length > BUNDLE_BYTES_MAX) throw new Violation(`I13 a bundle of ${length} bytes`)
}

function isNotarizeOf(
  record: LogRecord,
  view: number,
): record is Extract<LogRecord, { type: 'vote' }> {
  if (record.type !== 'vote') return false
  const { statement } = record.vote
  return statement.kind === VoteKind.notarize && statement.view === view
}

function nameOf({ kind, view, hash }: Statement): string {
  return `${kind}/${view}/${bytesToHex(hash)}`
}
