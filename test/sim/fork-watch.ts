import { bytesToHex } from '../../chain/src/bytes/hex.ts'
import type { RelayEffect } from '../../chain/src/consensus/epoch-relay.ts'
import type {
  ConsensusEvent,
  ConsensusMessage,
  EpochValidator,
  FinalBlock,
} from '../../chain/src/consensus/machine-interface.ts'
import {
  type Certificate,
  type Statement,
  VoteKind,
} from '../../chain/src/types/consensus-objects.ts'
import type { SimulatedDisk } from './simulated-disk.ts'
import { type SetOf, Violation } from './violation.ts'
import type { VoteJudge } from './vote-judge.ts'

/** Epochs that are over and of which a node still knows its own history. */
const EPOCHS_KEPT = 8
/** What a node knows to be final and does not commit is of another chain, after so much calm. */
const COMMIT_WITHIN_MS = 10_000

/** Where a node stands when a message reaches it. */
export interface ForkPlace {
  readonly epoch: number
  readonly finished: boolean
  readonly halted: boolean
}

export interface ForkWatchParts {
  readonly disk: SimulatedDisk
  readonly judge: VoteJudge
  readonly setOf: SetOf
  /** Between two claims of one peer that are verified. */
  readonly answerMs: number
}

interface KnownEpoch {
  /** Its way up to here is not in the node's memory, so it cannot tell a fork of it. */
  readonly above: number
  /** View that closed it, and that of the header of its last block. */
  readonly closing: { readonly view: number; readonly headerView: number } | undefined
}

/**
 * What one honest node owes to the whole network when too many are faulty (consensus 1.8): handed a
 * true finality certificate of a block that is not on its chain, in a message or with a block that
 * it asked for, it stops in the same step and names a third of the weight. Told from what it was
 * handed and from its disk alone.
 */
export class ForkWatch {
  readonly #disk: SimulatedDisk
  readonly #judge: VoteJudge
  readonly #setOf: SetOf
  readonly #answerMs: number
  readonly #epochs = new Map<number, KnownEpoch>()
  #epoch: number
  #final: { certificate: Certificate; atMs: number } | undefined
  /** When a claim came last with a block that was asked for. */
  #fetchedMs = 0
  #owed: { readonly claim: Certificate; readonly named: boolean } | undefined

  constructor({ disk, judge, setOf, answerMs }: ForkWatchParts, epoch: number) {
    this.#disk = disk
    this.#judge = judge
    this.#setOf = setOf
    this.#answerMs = answerMs
    this.#epoch = epoch
    const head = disk.head()
    this.#epochs.set(epoch, { above: viewIn(head, epoch), closing: undefined })
    const { certificate } = head.header.epoch === epoch ? this.#startOf(epoch) : head
    if (!certificate) return
    const { view } = certificate.statement
    this.#epochs.set(epoch - 1, { above: view, closing: { view, headerView: view } })
  }

  #startOf(epoch: number): FinalBlock {
    const { chain, genesis } = this.#disk
    return chain.findLast(({ header }) => header.epoch < epoch) ?? genesis
  }

  /** Block sync moved the head: how it got there is not in memory. */
  headMoved(): void {
    const above = viewIn(this.#disk.head(), this.#epoch)
    this.#epochs.set(this.#epoch, { above, closing: undefined })
  }

  /** The head on disk is the last block of the epoch that ran. */
  nextEpoch(): void {
    const { certificate, header } = this.#disk.head()
    const { above = 0 } = this.#epochs.get(this.#epoch) ?? {}
    const view = certificate?.statement.view ?? 0
    this.#epochs.set(this.#epoch, { above, closing: { view, headerView: header.view } })
    this.#epoch += 1
    this.#epochs.set(this.#epoch, { above: 0, closing: undefined })
    this.#epochs.delete(this.#epoch - 1 - EPOCHS_KEPT)
    this.#final = undefined
  }

  /** A certificate got into the log. */
  accepted(certificate: Certificate, atMs: number): void {
    const { kind, epoch } = certificate.statement
    if (kind === VoteKind.finalize && epoch === this.#epoch) this.#final = { certificate, atMs }
  }

  /** Before the node takes the event in. */
  handed(event: ConsensusEvent, place: ForkPlace): void {
    this.#owed = undefined
    if (event.type === 'message') this.#look(claimsIn(event.message, place.epoch), place)
    if (event.type !== 'blockFetched') return
    const claims = event.justification.parent.filter(
      ({ statement }) => statement.epoch < place.epoch && this.#isForeign(statement),
    )
    if (claims.length === 0) return
    // One claim out of all that was fetched is verified in so much time.
    if (event.nowMs - this.#fetchedMs >= this.#answerMs) this.#look(claims, place)
    this.#fetchedMs = event.nowMs
  }

  #isForeign({ kind, hash }: Statement): boolean {
    return kind === VoteKind.finalize && !this.#disk.byHash.has(bytesToHex(hash))
  }

  #look(claims: readonly Certificate[], { halted, finished, epoch }: ForkPlace): void {
    if (halted || finished || epoch !== this.#epoch) return
    if (!claims.every((claim) => this.#judge.isQuorum(claim))) return
    for (const claim of claims) {
      if (!this.#isForeign(claim.statement)) continue
      const isNews = claim.statement.epoch === epoch ? this.#isBeside(claim) : this.#isPast(claim)
      this.#owed ??= isNews
    }
  }

  /** In the running epoch: at or below the committed view, or in the newest final one. */
  #isBeside(claim: Certificate) {
    const { view, hash } = claim.statement
    const newest = this.#final?.certificate.statement
    const isTwin = newest?.view === view && bytesToHex(newest.hash) !== bytesToHex(hash)
    const above = this.#epochs.get(this.#epoch)?.above ?? 0
    const isBelow = view > above && view <= viewIn(this.#disk.head(), this.#epoch)
    return isTwin || isBelow ? { claim, named: true } : undefined
  }

  #isPast(claim: Certificate) {
    const { epoch, view } = claim.statement
    const { above, closing } = this.#epochs.get(epoch) ?? {}
    if (above === undefined || !closing) return undefined
    if (view <= above && view < closing.view) return undefined
    // Between the last block and what made it final the node may lack the reasons of others.
    return { claim, named: view < closing.headerView || view === closing.view }
  }

  /** After the step: what left. True if the node had to stop, and did. */
  check(effects: readonly RelayEffect[]): boolean {
    if (!this.#owed) return false
    const { claim, named } = this.#owed
    const { epoch, view } = claim.statement
    const halt = effects.find((effect) => effect.type === 'halt')
    if (!halt) throw new Violation(`I8 no halt at a second final block in ${epoch}/${view}`)
    if (named && !isThird(halt.guilty, this.#setOf(epoch))) {
      throw new Violation(`I8 a halt at ${epoch}/${view} names less than a third of the weight`)
    }
    return true
  }

  /** At the end, of a node that still runs: finality of another chain is not just kept. */
  checkEnd(calmFromMs: number, nowMs: number): void {
    if (!this.#final || this.#disk.byHash.has(bytesToHex(this.#final.certificate.statement.hash)))
      return
    if (nowMs - Math.max(calmFromMs, this.#final.atMs) < COMMIT_WITHIN_MS) return
    const { epoch, view } = this.#final.certificate.statement
    throw new Violation(`I8 a node goes on beside a final block of ${epoch}/${view}`)
  }
}

function viewIn({ certificate }: FinalBlock, epoch: number): number {
  return certificate?.statement.epoch === epoch ? certificate.statement.view : 0
}

/** Certificates that a node has to look at in a message of its own or an older epoch. */
function claimsIn(message: ConsensusMessage, current: number): readonly Certificate[] {
  switch (message.type) {
    case 'certificate':
      return message.certificate.statement.epoch <= current ? [message.certificate] : []
    case 'bundle':
      return message.bundle.epoch <= current ? message.bundle.certificates : []
    case 'proposal': {
      const { leaderVote, justification } = message.proposal
      // One of the running epoch counts only with its proposal.
      const isOld = ({ statement }: Certificate) => statement.epoch < current
      return leaderVote.statement.epoch <= current ? justification.parent.filter(isOld) : []
    }
    case 'vote':
      return []
  }
}

/** Of weight 2q - W at least, which is more than a third. */
function isThird(guilty: readonly number[], set: readonly EpochValidator[]): boolean {
  const total = set.reduce((sum, { weight }) => sum + weight, 0)
  const weight = [...new Set(guilty)].reduce((sum, index) => sum + (set[index]?.weight ?? 0), 0)
  return 3 * weight > total
}
