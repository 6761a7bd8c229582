import type { Logger } from 'pino'
import { bytesToHex } from '../bytes/hex.ts'
import { epochOf } from '../consensus/epoch-relay.ts'
import type { ConsensusMessage, PeerName } from '../consensus/machine-interface.ts'
import type { MachineState } from '../consensus/machine-state.ts'
import { votesIn } from '../consensus/votes-in.ts'
import type { BlockExchange } from './block-exchange.ts'
import type { BlockHost } from './block-host.ts'
import type { DriverClock } from './driver-clock.ts'
import type { ForkWatch } from './fork-watch.ts'
import { Forgers } from './forgers.ts'
import type { MachineInput } from './machine-input.ts'
import { type BlockFrame, decodeMessage } from './message-codec.ts'
import { MessageInbox } from './message-inbox.ts'
import type { VotingGate } from './voting-gate.ts'

export interface IncomingMessagesOptions {
  readonly host: Pick<BlockHost, 'onVote'>
  readonly machine: () => MachineState
  readonly blocks: BlockExchange
  readonly gate: VotingGate
  readonly fork: ForkWatch
  readonly clock: DriverClock
  /** How long a peer that sent a false vote is not heard. */
  readonly forgerRestMs: number
  /** Of a later epoch nothing is heard. */
  readonly haltEpoch: number
  readonly logger: Logger
}

/**
 * From the bytes that peers send to what the machine hears of them: they wait their turn, are
 * decoded, and must not come from a forger, an abandoned side of a fork or a false body.
 */
export class IncomingMessages {
  readonly #options: IncomingMessagesOptions
  readonly #inbox = new MessageInbox()
  readonly #forgers: Forgers
  /** Turns that are promised and not taken: no more than messages that wait. */
  #turns = 0

  constructor(options: IncomingMessagesOptions) {
    this.#options = options
    this.#forgers = new Forgers(options.forgerRestMs)
  }

  /** What waits now. */
  sizes() {
    return this.#inbox.sizes()
  }

  /** True where one more call of next is to come. */
  receive(peer: PeerName, bytes: Uint8Array): boolean {
    if (!this.#inbox.put(peer, bytes)) return false
    if (this.#turns >= this.#inbox.size) return false
    this.#turns += 1
    return true
  }

  /**
   * Takes the next message. Gives what it is to the machine, or `twin` where another process has
   * signed it with our key; requests for blocks are answered here.
   */
  next(): MachineInput | 'twin' | undefined {
    this.#turns -= 1
    const message = this.#inbox.take()
    if (!message || this.#forgers.isResting(message.peer, this.#options.clock.now())) return
    return this.#inputOf(message.peer, message.bytes)
  }

  #inputOf(peer: PeerName, bytes: Uint8Array): MachineInput | 'twin' | undefined {
    const { logger, blocks } = this.#options
    const wire = decodeMessage(bytes)
    if (!wire.ok) {
      logger.debug({ peer, fault: wire.fault }, 'malformed consensus message')
      return undefined
    }
    switch (wire.value.type) {
      case 'blockRequest':
        blocks.answer(peer, bytesToHex(wire.value.hash))
        return undefined
      case 'block':
        return this.#inputOfBlock(peer, wire.value.block)
      case 'consensus':
        return this.#inputOfMessage(peer, wire.value.message, wire.value.body)
    }
  }

  #inputOfBlock(peer: PeerName, frame: BlockFrame): MachineInput | undefined {
    const { blocks, clock } = this.#options
    const block = blocks.admitFetched(peer, frame)
    if (!block) return undefined
    const { header, justification } = frame
    const nowMs = clock.now()
    return { event: { type: 'blockFetched', nowMs, header, justification }, block }
  }

  #inputOfMessage(
    peer: PeerName,
    message: ConsensusMessage,
    body: Uint8Array,
  ): MachineInput | 'twin' | undefined {
    const { host, machine, blocks, gate, fork, clock, haltEpoch } = this.#options
    if (epochOf(message) > haltEpoch || fork.isGivenUp(message)) return undefined
    const event = { type: 'message', nowMs: clock.now(), from: peer, message } as const
    if (gate.showsTwin(message, machine().config)) return 'twin'
    if (!votesIn(message).every((vote) => host.onVote(vote))) {
      this.#forgers.note(peer, clock.now())
      return undefined
    }
    if (message.type !== 'proposal') return { event }
    const block = blocks.admit(peer, { message, body })
    if (block === false) {
      const { finalView, config } = machine()
      const { leaderVote: vote } = message.proposal
      const { epoch, view } = vote.statement
      // Of a view that is final nothing but the vote matters: it may be the leader's second.
      if (epoch !== config.setup.epoch || view > finalView) return undefined
      return { event: { ...event, message: { type: 'vote', vote } } }
    }
    return block ? { event, block } : { event }
  }
}
