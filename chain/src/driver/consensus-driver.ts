import { assert } from '../bytes/assert.ts'
import { bytesToHex } from '../bytes/hex.ts'
import {
  epochOf,
  type EpochRelay,
  nextEpoch,
  type RelayEffect,
  rememberBlocks,
  startRelay,
  stepRelay,
} from '../consensus/epoch-relay.ts'
import type { ContradictingVotes } from '../consensus/fork-proof.ts'
import type {
  ConsensusEvent,
  ConsensusMessage,
  FinalBlock,
  JustifiedBlock,
  LogRecord,
  PeerName,
  TimerName,
} from '../consensus/machine-interface.ts'
import { createMachine, type MachineState } from '../consensus/machine-state.ts'
import { validatorsOf } from '../consensus/past-epoch.ts'
import { votesIn } from '../consensus/votes-in.ts'
import { paramsAt } from '../params/forks.ts'
import { epochOfHeight } from '../params/network-params.ts'
import { blockHash } from '../types/block.ts'
import { type BlockBytes, BlockExchange } from './block-exchange.ts'
import type { BlockHost, HaltReason } from './block-host.ts'
import type { ConsensusTransport } from './consensus-transport.ts'
import { createConsensusCrypto } from './consensus-crypto.ts'
import { type DriverClock, systemClock } from './driver-clock.ts'
import { type FoundFork, ForkWatch } from './fork-watch.ts'
import { HISTORY_TOO_OLD, TWIN, withDiskFull } from './halt-reasons.ts'
import { HostCalls } from './host-calls.ts'
import { entryOf, recordsOf } from './log-records.ts'
import { type BlockFrame, decodeMessage, EMPTY_BODY } from './message-codec.ts'
import { MessageInbox } from './message-inbox.ts'
import { recentBlocks } from './recent-blocks.ts'
import { type OpenedSigner, openSigner, type SignerOptions } from './open-signer.ts'
import type { SignerLease } from './signer-lease.ts'
import { type GateOptions, VotingGate } from './voting-gate.ts'
import { WorkQueue } from './work-queue.ts'
import type { WriteAheadLog } from './write-ahead-log.ts'

export interface ConsensusDriverOptions extends SignerOptions, GateOptions {
  readonly host: BlockHost
  readonly transport: ConsensusTransport
  /** The last epoch that this node takes part in; of a later one it hears and says nothing. */
  readonly haltEpoch?: number | undefined
  readonly clock?: DriverClock
}

export interface ConsensusStatus {
  readonly epoch: number
  readonly view: number
  /** Newest view known to be final; commits may still wait for blocks. */
  readonly finalView: number
  readonly height: number
  /** Index in the epoch's validator set. */
  readonly validator: number | undefined
  /** Votes of views of this epoch above this one are signed; undefined: none at all. */
  readonly votesAbove: number | undefined
}

const BEHIND_NOTICE_MS = 1000
/** Peers remembered that sent a vote which its validator did not sign. */
const FORGERS_MAX = 256

interface Answer {
  readonly event: ConsensusEvent
  readonly block?: BlockBytes
}

/**
 * Performs what the consensus machine decides: one event at a time, its effects strictly in
 * order, each complete before the next. Own votes are synced to the log before they leave.
 */
export class ConsensusDriver {
  readonly #options: ConsensusDriverOptions
  readonly #clock: DriverClock
  readonly #log: WriteAheadLog
  readonly #lease: SignerLease | undefined
  readonly #signer: OpenedSigner
  readonly #gate: VotingGate
  #endWatch = () => {}
  readonly #timers = new Map<TimerName, () => void>()
  readonly #work = new WorkQueue((cause) => this.#failWith(cause))
  readonly #forgedAtMs = new Map<PeerName, number>()
  readonly #behindNoticeMs = new Map<PeerName | undefined, number>()
  readonly #inbox = new MessageInbox()
  /** Pieces of work that wait for a message of the inbox: no more than messages. */
  #turns = 0
  readonly #hostCalls = new HostCalls()
  /** Of the machine; another one gets no answers or timers of this one. */
  #generation = 0
  readonly #blocks: BlockExchange
  readonly #fork: ForkWatch
  #relay: EpochRelay | undefined
  #closed = false

  private constructor(options: ConsensusDriverOptions, signer: OpenedSigner, head: FinalBlock) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#signer = signer
    this.#log = signer.log
    this.#lease = signer.lease
    this.#gate = new VotingGate(options, signer, head)
    this.#fork = new ForkWatch(options, signer)
    this.#blocks = new BlockExchange({
      ...options,
      machine: () => this.#machine(),
      isStopped: () => this.#stopped,
      onUnreadable: (error) => options.logger.error({ error }, 'a block was not readable'),
    })
  }

  /**
   * Recovers from the log and starts to take part. Throws what openSigner throws: another process,
   * a full disk, a fork that nobody has decided, or a key that may have signed before without
   * anything here that says what.
   */
  static async start(options: ConsensusDriverOptions): Promise<ConsensusDriver> {
    const head = await options.host.head()
    const signer = await openSigner(options, head)
    const driver = new ConsensusDriver(options, signer, head)
    try {
      await driver.#work.enqueue(async () => {
        await driver.#fork.begin()
        await driver.#begin()
      })
    } catch (error) {
      await driver.stop()
      throw error
    }
    options.transport.onMessage((peer, bytes) => driver.#receive(peer, bytes))
    driver.#listenForTwin().catch((cause: unknown) => driver.#failWith(cause))
    return driver
  }

  status(): ConsensusStatus {
    const { config, view, finalView, tree } = this.#machine()
    const { setup, self, signAbove } = config
    const mute = self === undefined || signAbove === Number.MAX_SAFE_INTEGER
    return {
      epoch: setup.epoch,
      view,
      finalView,
      height: tree.head.header.height,
      validator: self,
      votesAbove: mute ? undefined : signAbove,
    }
  }

  /** What it keeps in memory now, each bounded whatever peers send. */
  sizes() {
    return {
      inbox: this.#inbox.sizes(),
      blocks: this.#blocks.sizes(),
      tree: this.#machine().tree.blocks.size,
      behindNotices: this.#behindNoticeMs.size,
      timers: this.#timers.size,
    }
  }

  /**
   * For block sync. Runs `importBlocks` while consensus stands still: no call of the host, no vote.
   * Then goes on from host.head(): in the same epoch without losing anything, in a later one
   * with a new machine and the own votes in the log. Download and verify before, so that it lasts
   * only as long as writing does. Rejects if importBlocks does; consensus goes on.
   */
  async advanceTo(importBlocks: () => Promise<void>): Promise<void> {
    await this.#work.enqueue(async () => {
      await this.#hostCalls.idle()
      try {
        await importBlocks()
      } finally {
        await this.#followHead()
      }
    })
  }

  /** Ends after the effect in hand. Safe to call twice; not from within a call of the host. */
  async stop(): Promise<void> {
    this.#work.close()
    this.#suspend()
    this.#endWatch()
    await this.#work.idle()
    await this.#hostCalls.idle()
    this.#work.cancelWaiting()
    if (this.#closed) return
    this.#closed = true
    await this.#log.close()
    await this.#signer.lock.release()
  }

  get #stopped(): boolean {
    return this.#work.isClosed
  }

  get #haltEpoch(): number {
    return this.#options.haltEpoch ?? Number.MAX_SAFE_INTEGER
  }

  #machine(): MachineState {
    assert(this.#relay, 'the driver has begun')
    return this.#relay.machine
  }

  #receive(peer: PeerName, bytes: Uint8Array): void {
    if (this.#stopped || !this.#inbox.put(peer, bytes)) return
    if (this.#turns >= this.#inbox.size) return
    this.#turns += 1
    this.#work.push(() => this.#handleNext())
  }

  /** An event for the machine of this generation. */
  #push(generation: number, answer: Answer): void {
    this.#work.push(async () => {
      if (generation === this.#generation) await this.#step(answer)
    })
  }

  /** Creates the machine at the host's head, with what the log keeps for its epoch. */
  async #begin(): Promise<void> {
    const machine = await this.#createMachine()
    const { epoch } = machine.config.setup
    await this.#log.prune(epoch - 1, Number.MAX_SAFE_INTEGER)
    await this.#log.prune(epoch, machine.finalView)
    const { records, bodies } = this.#recordsOf(epoch)
    this.#blocks.begin(bodies)
    const heard = this.#relay?.pastVotes
    const { relay, effects } = startRelay(machine, records, this.#clock.now(), heard)
    this.#relay = relay
    await this.#perform(effects)
    await this.#recallVotes()
  }

  /** Stored blocks say who voted for what, which a vote that comes late may contradict. */
  async #recallVotes(): Promise<void> {
    assert(this.#relay, 'the driver has begun')
    const { host, logger } = this.#options
    const blocks = await recentBlocks(host, this.#machine().tree.head, this.#clock.now()).catch(
      (error: unknown) => {
        logger.error({ error }, 'a block was not readable')
        return []
      },
    )
    await this.#perform(rememberBlocks(this.#relay, blocks))
  }

  /** The head may have moved without the machine. */
  async #followHead(): Promise<void> {
    try {
      await this.#moveToHead()
    } catch (cause) {
      this.#fail({ code: 'DRIVER_FAILED', message: 'the chain cannot be read', cause })
      throw cause
    }
  }

  async #moveToHead(): Promise<void> {
    const head = await this.#hostCalls.run(() => this.#options.host.head())
    const { tree, config } = this.#machine()
    if (head.hash === tree.head.hash) return
    if (head.header.height > config.setup.lastHeight) return this.#begin()
    await this.#step({ event: { type: 'headMoved', nowMs: this.#clock.now(), head } })
    if (!head.certificate) return
    const { epoch, view } = head.certificate.statement
    await this.#log.prune(epoch, view)
    await this.#recallVotes()
  }

  async #createMachine(): Promise<MachineState> {
    const { host, params, chainId, validator } = this.#options
    this.#suspend()
    const head = await this.#hostCalls.run(() => host.head())
    const epoch = epochOfHeight(params, head.header.height + 1)
    const setup = await this.#hostCalls.run(() => host.epochSetup(epoch))
    const index = await validator?.key.claimIndex(setup.validators, this.#lease)
    return createMachine({
      setup,
      head,
      self: epoch > this.#haltEpoch ? undefined : index,
      signAbove: this.#gate.signAbove(head, epoch, this.#clock.now()),
      settledEpoch: this.#fork.settledEpoch,
      timing: paramsAt(params, epoch),
      crypto: createConsensusCrypto(chainId, validator?.key.secretKey),
    })
  }

  /** Nobody else signed with our key for so long: from now on this process does. */
  async #listenForTwin(): Promise<void> {
    const { watchMs } = this.#gate
    const { logger, lookAround } = this.#options
    if (watchMs === 0) return
    if (lookAround) this.#gate.learn(await lookAround())
    if (this.#stopped) return
    logger.info({ ms: watchMs }, 'listening for another signer of our key')
    this.#endWatch = this.#clock.setTimer(watchMs, () => {
      this.#work.push(() => this.#openGate())
    })
  }

  async #openGate(): Promise<void> {
    await this.#hostCalls.idle()
    const { epoch } = this.#machine().config.setup
    const unknown = await this.#gate.endWatch(epoch)
    if (unknown) this.#options.logger.error({ ...unknown, epoch }, HISTORY_TOO_OLD)
    await this.#begin()
  }

  #suspend(): void {
    this.#generation += 1
    for (const cancel of this.#timers.values()) cancel()
    this.#timers.clear()
  }

  async #handleNext(): Promise<void> {
    this.#turns -= 1
    const next = this.#inbox.take()
    if (next && !this.#forgedOfLate(next.peer)) await this.#handle(next.peer, next.bytes)
  }

  /** Honest peers send their own votes only. */
  #forgedOfLate(peer: PeerName): boolean {
    const forgedAtMs = this.#forgedAtMs.get(peer)
    const { rebroadcastMs } = this.#options.params
    return forgedAtMs !== undefined && this.#clock.now() - forgedAtMs < rebroadcastMs / 2
  }

  #noteForger(peer: PeerName): void {
    const [oldest] = this.#forgedAtMs.keys()
    if (this.#forgedAtMs.size >= FORGERS_MAX && oldest !== undefined)
      this.#forgedAtMs.delete(oldest)
    this.#forgedAtMs.set(peer, this.#clock.now())
  }

  async #handle(peer: PeerName, bytes: Uint8Array): Promise<void> {
    const wire = decodeMessage(bytes)
    if (!wire.ok) {
      this.#options.logger.debug({ peer, fault: wire.fault }, 'malformed consensus message')
      return
    }
    switch (wire.value.type) {
      case 'blockRequest':
        return this.#blocks.answer(peer, bytesToHex(wire.value.hash))
      case 'block':
        return this.#handleBlock(peer, wire.value.block)
      case 'consensus':
        return this.#handleMessage(peer, wire.value.message, wire.value.body)
    }
  }

  async #handleBlock(peer: PeerName, frame: BlockFrame): Promise<void> {
    const block = this.#blocks.admitFetched(peer, frame)
    if (!block) return
    const { header, justification } = frame
    const nowMs = this.#clock.now()
    const event = { type: 'blockFetched', nowMs, header, justification } as const
    await this.#step({ event, block })
  }

  async #handleMessage(peer: PeerName, message: ConsensusMessage, body: Uint8Array): Promise<void> {
    if (epochOf(message) > this.#haltEpoch || this.#fork.isGivenUp(message)) return
    const event = { type: 'message', nowMs: this.#clock.now(), from: peer, message } as const
    if (this.#gate.showsTwin(message, this.#machine().config)) return this.#fail(TWIN)
    if (!votesIn(message).every((vote) => this.#options.host.onVote(vote))) {
      return this.#noteForger(peer)
    }
    if (message.type !== 'proposal') return this.#step({ event })
    const block = this.#blocks.admit(peer, { message, body })
    if (block === false) {
      const { finalView, config } = this.#machine()
      const { leaderVote: vote } = message.proposal
      const { epoch, view } = vote.statement
      // Of a view that is final nothing but the vote matters: it may be the leader's second.
      if (epoch !== config.setup.epoch || view > finalView) return
      return this.#step({ event: { ...event, message: { type: 'vote', vote } } })
    }
    return this.#step(block ? { event, block } : { event })
  }

  async #step({ event, block }: Answer): Promise<void> {
    assert(this.#relay, 'the driver has begun')
    const effects = stepRelay(this.#relay, event)
    if (block) this.#blocks.keep(block)
    await this.#perform(effects)
    this.#blocks.forgetGone()
  }

  async #perform(effects: readonly RelayEffect[]): Promise<void> {
    for (const effect of effects) {
      if (this.#stopped) return
      await this.#performOne(effect)
    }
  }

  async #performOne(effect: RelayEffect): Promise<void> {
    const { host, transport } = this.#options
    switch (effect.type) {
      case 'persist':
        return this.#persist(effect.record)
      case 'broadcast':
        return transport.broadcast(this.#blocks.encode(effect.message))
      case 'sendTo':
        return transport.send(effect.peer, this.#blocks.encode(effect.message))
      case 'setTimer':
        return this.#setTimer(effect.timer, effect.view, effect.atMs)
      case 'validateBlock':
        return this.#validate(effect.block)
      case 'buildBlock':
        return this.#build(effect)
      case 'fetchBlock':
        return this.#blocks.fetch(effect.hash, effect.attempt)
      case 'commit':
        return this.#commit(effect)
      case 'epochEnded':
        return this.#nextEpoch()
      case 'evidence':
        return host.onEvidence(effect.first, effect.second)
      case 'behind':
        return this.#noticeBehind(undefined, this.#machine().config.setup.epoch, effect.height)
      case 'epochAhead':
        return this.#noticeBehind(effect.peer, effect.epoch, undefined)
      case 'doppelganger':
        return this.#fail(TWIN)
      case 'halt':
        return this.#failOnFork(effect)
    }
  }

  async #persist(record: LogRecord): Promise<void> {
    const { epoch } = this.#machine().config.setup
    const body = record.type === 'block' ? this.#blocks.bodyOf(record.block.hash) : EMPTY_BODY
    if (record.type === 'vote') await this.#lease?.cover(epoch, record.vote.statement.view)
    await this.#log.append(entryOf(record, epoch, body))
    if (record.type !== 'vote') return
    await this.#log.sync()
    this.#options.host.onVote(record.vote)
  }

  #setTimer(timer: TimerName, view: number, atMs: number): void {
    this.#timers.get(timer)?.()
    const generation = this.#generation
    const delayMs = Math.max(0, atMs - this.#clock.now())
    const cancel = this.#clock.setTimer(delayMs, () => {
      const event = { type: 'timer', nowMs: this.#clock.now(), timer, view } as const
      this.#push(generation, { event })
    })
    this.#timers.set(timer, cancel)
  }

  /** A call whose answer comes back as an event, unless the machine was replaced meanwhile. */
  #askHost(ask: () => Promise<Answer>): void {
    const generation = this.#generation
    const isCurrent = () => generation === this.#generation
    this.#hostCalls
      .run(async () => (isCurrent() ? ask() : undefined))
      .then(
        (answer) => {
          if (answer) this.#push(generation, answer)
        },
        (cause: unknown) => {
          this.#fail({ code: 'DRIVER_FAILED', message: 'the host could not answer', cause })
        },
      )
  }

  #validate(block: JustifiedBlock): void {
    const { hash, header } = block
    // Another block of its height may have become final within the same step.
    if (!this.#blocks.has(hash)) return
    const envelope = this.#blocks.envelopeOf(block)
    this.#askHost(async () => {
      const validation = await this.#options.host.validateBlock(envelope)
      const { verdict } = validation
      if (validation.verdict !== 'valid') {
        const facts = { hash, height: header.height, fault: validation.fault }
        this.#options.logger.warn(facts, `block ${verdict}`)
      }
      return { event: { type: 'blockValidated', nowMs: this.#clock.now(), hash, verdict } }
    })
  }

  #build({ fields, justification }: Extract<RelayEffect, { type: 'buildBlock' }>): void {
    const parentHash = bytesToHex(fields.parentHash)
    const { view } = fields
    this.#askHost(async () => {
      const built = await this.#options.host.buildBlock({ fields, parentHash, justification })
      const nowMs = this.#clock.now()
      if (!built) return { event: { type: 'blockNotBuilt', nowMs, view } }
      const { header, body } = built
      const block = { hash: bytesToHex(blockHash(header)), body }
      return { event: { type: 'blockBuilt', nowMs, view, header }, block }
    })
  }

  /** W4: the host writes blocks and certificate durably, then the log may forget their views. */
  async #commit(effect: Extract<RelayEffect, { type: 'commit' }>): Promise<void> {
    const { certificate, reproposals } = effect
    const blocks = effect.blocks.map((block) => this.#blocks.envelopeOf(block))
    await this.#hostCalls.run(() =>
      this.#options.host.commitBlocks({ blocks, certificate, reproposals }),
    )
    const { epoch, view } = certificate.statement
    await this.#log.prune(epoch, view)
  }

  async #nextEpoch(): Promise<void> {
    assert(this.#relay, 'the driver has begun')
    const machine = await this.#createMachine()
    const { records, bodies } = this.#recordsOf(machine.config.setup.epoch)
    const effects = nextEpoch(this.#relay, machine, records, this.#clock.now())
    this.#blocks.beginEpoch(bodies)
    await this.#perform(effects)
  }

  /** What the log keeps of an epoch. */
  #recordsOf(epoch: number) {
    const { records, bodies } = recordsOf(this.#log.live.filter((entry) => entry.epoch === epoch))
    return { records: this.#fork.withoutGivenUp(records), bodies }
  }

  #noticeBehind(peer: PeerName | undefined, epoch: number, height: number | undefined): void {
    const nowMs = this.#clock.now()
    const last = this.#behindNoticeMs.get(peer)
    if (last !== undefined && nowMs - last < BEHIND_NOTICE_MS) return
    if (this.#behindNoticeMs.size > 256) this.#behindNoticeMs.clear()
    this.#behindNoticeMs.set(peer, nowMs)
    this.#options.host.onBehind({ peer, epoch, height })
  }

  /** The evidence has left. On disk before anything else: a restart would not notice it again. */
  async #failOnFork(effect: Extract<RelayEffect, { type: 'halt' }>): Promise<void> {
    const { reason: message, certificate: theirs, ours, guilty } = effect
    if (!ours) return this.#fail({ code: 'FINAL_INVALID', message, cause: theirs })
    const { epoch } = theirs.statement
    const validators = this.#relay ? validatorsOf(this.#relay, epoch) : []
    const keys = guilty.flatMap((index) => validators[index]?.publicKey ?? [])
    this.#fail(await this.#fork.record({ reason: message, theirs, ours, guilty: keys }))
  }

  /** Forks of this epoch and those before were decided by the operator. */
  get settledEpoch(): number {
    return this.#fork.settledEpoch
  }

  /**
   * For who finds a fork that consensus was not told of: both certificates were verified. Those
   * whom the pairs show guilty are reported first.
   */
  stopForFork(fork: FoundFork, pairs: readonly ContradictingVotes[]): void {
    this.#work.push(async () => {
      for (const { first, second } of pairs) this.#options.host.onEvidence(first, second)
      this.#fail(await this.#fork.record(fork))
    })
  }

  /** Another process signs with our key, and this one has to give way. */
  stopForTwin(): void {
    this.#fail(TWIN)
  }

  #failWith(cause: unknown): void {
    this.#fail({ code: 'DRIVER_FAILED', message: 'consensus cannot go on', cause })
  }

  #fail(failure: HaltReason): void {
    if (this.#stopped) return
    this.#work.close()
    this.#suspend()
    const reason = withDiskFull(failure)
    // The room that was kept back is for the orderly end and for the next start.
    if (reason.code === 'DISK_FULL') this.#signer.reserve?.release()
    this.#options.logger.fatal({ reason: reason.code, error: reason.cause }, reason.message)
    this.#options.host.onHalt(reason)
  }
}
