import { assert } from '../bytes/assert.ts'
import { bytesToHex, fromHex, type Hex } from '../bytes/hex.ts'
import { epochOf } from '../consensus/epoch-relay.ts'
import type { ConsensusMessage, JustifiedBlock, PeerName } from '../consensus/machine-interface.ts'
import type { MachineState } from '../consensus/machine-state.ts'
import { isSignedByLeader } from '../consensus/proposing.ts'
import { blockHash } from '../types/block.ts'
import { type Header, VoteKind } from '../types/consensus-objects.ts'
import { AnswerBudget } from './answer-budget.ts'
import type { BlockEnvelope, BlockHost } from './block-host.ts'
import type { ConsensusTransport } from './consensus-transport.ts'
import { EarlyBodies } from './early-bodies.ts'
import { type BlockFrame, EMPTY_BODY, encodeMessage } from './message-codec.ts'

/** Peers remembered that sent a body which is not the one of its header. */
const LIARS_MAX = 256
/** Blocks read from disk for peers at the same time. */
const BLOCK_READS_MAX = 4

export interface BlockBytes {
  readonly hash: Hex
  readonly body: Uint8Array
}

export interface BlockExchangeOptions {
  readonly host: Pick<BlockHost, 'isBodyOf' | 'readBlock'>
  readonly transport: ConsensusTransport
  readonly machine: () => MachineState
  readonly isStopped: () => boolean
  readonly nowMs: () => number
  readonly onUnreadable: (error: unknown) => void
}

type Proposal = Extract<ConsensusMessage, { type: 'proposal' }>

/**
 * The bodies of the blocks in the machine's tree, which itself knows headers only: where they come
 * from, that they belong to their headers, and who gets them.
 */
export class BlockExchange {
  readonly #options: BlockExchangeOptions
  #bodies = new Map<Hex, Uint8Array>()
  readonly #earlyBodies = new EarlyBodies()
  readonly #liars = new Set<PeerName>()
  readonly #answers: AnswerBudget
  #reads = 0

  constructor(options: BlockExchangeOptions) {
    this.#options = options
    this.#answers = new AnswerBudget(options.nowMs())
  }

  /** What it holds now. */
  sizes() {
    return { bodies: this.#bodies.size, reads: this.#reads, early: this.#earlyBodies.sizes() }
  }

  has(hash: Hex): boolean {
    return this.#bodies.has(hash)
  }

  bodyOf(hash: Hex): Uint8Array {
    const body = this.#bodies.get(hash)
    assert(body, 'the body of a block the machine knows is here')
    return body
  }

  envelopeOf({ hash, header, justification }: JustifiedBlock): BlockEnvelope {
    return { hash, header, justification, body: this.bodyOf(hash) }
  }

  /** A machine begins anew with the bodies of its log. */
  begin(bodies: Map<Hex, Uint8Array>): void {
    this.#bodies = bodies
    this.#earlyBodies.take()
  }

  /** A machine follows the one before: what came early for its epoch is here. */
  beginEpoch(logged: Map<Hex, Uint8Array>): void {
    const { blocks } = this.#options.machine().tree
    this.#bodies = logged
    this.#liars.clear()
    for (const [hash, body] of this.#earlyBodies.take()) {
      if (blocks.has(hash)) this.#bodies.set(hash, body)
    }
  }

  /** Keeps the body of a block that the machine took. */
  keep({ hash, body }: BlockBytes): void {
    if (this.#options.machine().tree.blocks.has(hash)) this.#bodies.set(hash, body)
  }

  /** Forgets the bodies of blocks that left the machine's tree. */
  forgetGone(): void {
    const { blocks } = this.#options.machine().tree
    for (const hash of this.#bodies.keys()) {
      if (!blocks.has(hash)) this.#bodies.delete(hash)
    }
  }

  /**
   * Ties a proposal's body to its header before the machine may count it as that block: gives the
   * body if it is new here, false where the proposal is to be dropped.
   */
  admit(
    peer: PeerName,
    { message, body }: { readonly message: Proposal; readonly body: Uint8Array },
  ): BlockBytes | undefined | false {
    const machine = this.#options.machine()
    const { header, leaderVote } = message.proposal
    const { view, hash: named } = leaderVote.statement
    const hash = bytesToHex(named)
    if (header.view < view || this.has(hash)) return undefined
    const ahead = epochOf(message) - machine.config.setup.epoch
    const isBody = () => this.#isBody(peer, header, body)
    if (ahead === 0) {
      // Two prove that the leader equivocates; the machine looks at no third one.
      if ((machine.rounds.get(view)?.proposals.length ?? 0) > 1) return false
      return isSignedByLeader(machine, message.proposal) && isBody() && { hash, body }
    }
    if (ahead !== 1) return undefined
    return this.#keepEarly(message.proposal, body, isBody) ? undefined : false
  }

  /** The host knows the next set and has checked who signed the vote. */
  #keepEarly(
    { header, leaderVote }: Proposal['proposal'],
    body: Uint8Array,
    isBody: () => boolean,
  ): boolean {
    const { statement, validator } = leaderVote
    const hash = bytesToHex(blockHash(header))
    const isForBlock = statement.kind === VoteKind.notarize && bytesToHex(statement.hash) === hash
    return isForBlock && this.#earlyBodies.keep(validator, hash, body, isBody)
  }

  /** The body of a block that was asked for: the work of checking it is done for no other. */
  admitFetched(peer: PeerName, { header, body }: BlockFrame): BlockBytes | undefined {
    const hash = bytesToHex(blockHash(header))
    if (!this.#options.machine().tree.wanted.has(hash)) return undefined
    return this.#isBody(peer, header, body) ? { hash, body } : undefined
  }

  /**
   * Hashes up to a MiB: a false body is its sender's fault, whose bodies are not looked at again
   * before the next epoch.
   */
  #isBody(peer: PeerName, header: Header, body: Uint8Array): boolean {
    if (this.#liars.has(peer)) return false
    if (this.#options.host.isBodyOf(header, body)) return true
    const [oldest] = this.#liars
    if (this.#liars.size >= LIARS_MAX && oldest !== undefined) this.#liars.delete(oldest)
    this.#liars.add(peer)
    return false
  }

  /** A message of the machine as bytes; a new proposal takes its body along. */
  encode(message: ConsensusMessage): Uint8Array {
    const isNew =
      message.type === 'proposal' &&
      message.proposal.header.view === message.proposal.leaderVote.statement.view
    const body = isNew
      ? this.bodyOf(bytesToHex(message.proposal.leaderVote.statement.hash))
      : EMPTY_BODY
    return encodeMessage({ type: 'consensus', message, body })
  }

  /** Asks one peer for a block, another one at each attempt. */
  fetch(hash: Hex, attempt: number): void {
    const { transport } = this.#options
    const peers = transport.peers()
    const peer = peers[(attempt + Number.parseInt(hash.slice(0, 4), 16)) % peers.length]
    if (peer === undefined) return
    transport.send(peer, encodeMessage({ type: 'blockRequest', hash: fromHex(hash) }))
  }

  /** Answers a peer's request, from the tree or from the host's disk, within its budget. */
  answer(peer: PeerName, hash: Hex): void {
    const { host, machine, isStopped, nowMs, onUnreadable } = this.#options
    if (!this.#answers.allows(peer, nowMs())) return
    const block = machine().tree.blocks.get(hash)
    if (block) return this.#send(peer, this.envelopeOf(block))
    if (this.#reads >= BLOCK_READS_MAX) return
    this.#reads += 1
    host
      .readBlock(hash)
      .then((read) => {
        if (read && !isStopped()) this.#send(peer, read)
      })
      .catch(onUnreadable)
      .finally(() => {
        this.#reads -= 1
      })
  }

  #send(peer: PeerName, { header, justification, body }: BlockEnvelope): void {
    const block = { header, justification, body }
    const message = encodeMessage({ type: 'block', block })
    this.#answers.spend(peer, message.length, this.#options.nowMs())
    this.#options.transport.send(peer, message)
  }
}
