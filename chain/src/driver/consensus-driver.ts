import { assert } from '../bytes/assert.ts'
import {
  type EpochRelay,
  nextEpoch,
  type RelayEffect,
  rememberBlocks,
  startRelay,
  stepRelay,
} from '../consensus/epoch-relay.ts'
import type { ContradictingVotes } from '../consensus/fork-proof.ts'
import type {
  FinalBlock,
  JustifiedBlock,
  LogRecord,
  PeerName,
  TimerName,
} from '../consensus/machine-interface.ts'
import type { MachineState } from '../consensus/machine-state.ts'
import { validatorsOf } from '../consensus/past-epoch.ts'
import { BehindNotices } from './behind-notices.ts'
import { BlockExchange } from './block-exchange.ts'
import type { BlockHost, HaltReason } from './block-host.ts'
import { type ConsensusStatus, statusOf } from './consensus-status.ts'
import type { ConsensusTransport } from './consensus-transport.ts'
import { type DriverClock, systemClock } from './driver-clock.ts'
import { EpochMachines } from './epoch-machines.ts'
import { type FoundFork, ForkWatch } from './fork-watch.ts'
import { HISTORY_TOO_OLD, TWIN, withDiskFull } from './halt-reasons.ts'
import { HostAnswers } from './host-answers.ts'
import { HostCalls } from './host-calls.ts'
import { IncomingMessages } from './incoming-messages.ts'
import { entryOf } from './log-records.ts'
import type { MachineInput } from './machine-input.ts'
import { MachineTimers } from './machine-timers.ts'
import { EMPTY_BODY } from './message-codec.ts'
import { type OpenedSigner, openSigner, type SignerOptions } from './open-signer.ts'
import { recentBlocks } from './recent-blocks.ts'
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
  readonly #timers: MachineTimers
  readonly #work = new WorkQueue((cause) => this.#failWith(cause))
  readonly #behind = new BehindNotices()
  readonly #hostCalls = new HostCalls()
  /** Of the machine; another one gets no answers or timers of this one. */
  #generation = 0
  readonly #answers: HostAnswers
  readonly #blocks: BlockExchange
  readonly #fork: ForkWatch
  readonly #machines: EpochMachines
  readonly #incoming: IncomingMessages
  #relay: EpochRelay | undefined
  #closed = false

  private constructor(options: ConsensusDriverOptions, signer: OpenedSigner, head: FinalBlock) {
    const { clock = systemClock, haltEpoch = Number.MAX_SAFE_INTEGER } = options
    this.#options = options
    this.#clock = clock
    this.#timers = new MachineTimers(clock)
    this.#answers = new HostAnswers({ ...options, clock })
    this.#signer = signer
    this.#log = signer.log
    this.#lease = signer.lease
    this.#gate = new VotingGate(options, signer, head)
    this.#fork = new ForkWatch(options, signer)
    this.#blocks = new BlockExchange({
      ...options,
      machine: () => this.#machine(),
      isStopped: () => this.#stopped,
      nowMs: () => this.#clock.now(),
      onUnreadable: (error) => options.logger.error({ error }, 'a block was not readable'),
    })
    const parts = { clock, haltEpoch, gate: this.#gate, fork: this.#fork }
    this.#machines = new EpochMachines({ ...options, ...parts, signer, hostCalls: this.#hostCalls })
    this.#incoming = new IncomingMessages({
      ...options,
      ...parts,
      machine: () => this.#machine(),
      blocks: this.#blocks,
      forgerRestMs: options.params.rebroadcastMs / 2,
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
    return statusOf(this.#machine())
  }

  /** Forks of this epoch and those before were decided by the operator. */
  get settledEpoch(): number {
    return this.#fork.settledEpoch
  }

  /** What it keeps in memory now, each bounded whatever peers send. */
  sizes() {
    return {
      inbox: this.#incoming.sizes(),
      blocks: this.#blocks.sizes(),
      tree: this.#machine().tree.blocks.size,
      behindNotices: this.#behind.size,
      timers: this.#timers.size,
    }
  }

  /**
   * For block sync. Runs `importBlocks` while consensus stands still: no call of the host, no vote.
   * Then goes on from host.head(): in the same epoch without losing anything, in a later one
   * with a new machine and the own votes in the log. Download and verify before, so that it lasts
   * only as long as writing does. Rejects if importBlocks does, and the driver stops.
   */
  async advanceTo(importBlocks: () => Promise<void>): Promise<void> {
    await this.#work.enqueue(async () => {
      await this.#hostCalls.idle()
      try {
        await importBlocks()
      } catch (cause) {
        // What comes here was proven before: it is our disk that fails, and it would every time.
        this.#fail({ code: 'DRIVER_FAILED', message: 'fetched blocks cannot be stored', cause })
        throw cause
      }
      await this.#followHead()
    })
  }

  /**
   * For who finds a fork that consensus was not told of: both certificates were verified. Those
   * whom the pairs show guilty are reported first.
   */
  stopForFork(fork: FoundFork, pairs: readonly ContradictingVotes[]): void {
    this.#work.push(async () => {
      for (const { first, second } of pairs) this.#options.host.onEvidence(first, second)
      await this.#failOnFork(fork)
    })
  }

  /** Another process signs with our key, and this one has to give way. */
  stopForTwin(): void {
    this.#fail(TWIN)
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

  #machine(): MachineState {
    assert(this.#relay, 'the driver has begun')
    return this.#relay.machine
  }

  #receive(peer: PeerName, bytes: Uint8Array): void {
    if (this.#stopped || !this.#incoming.receive(peer, bytes)) return
    this.#work.push(() => this.#handleNext())
  }

  /** An event for the machine of this generation. */
  #push(generation: number, input: MachineInput): void {
    this.#work.push(async () => {
      if (generation === this.#generation) await this.#step(input)
    })
  }

  /** Creates the machine at the host's head, with what the log keeps for its epoch. */
  async #begin(): Promise<void> {
    this.#suspend()
    const machine = await this.#machines.create()
    const { epoch } = machine.config.setup
    await this.#log.prune(epoch - 1, Number.MAX_SAFE_INTEGER)
    await this.#log.prune(epoch, machine.finalView)
    const { records, bodies } = this.#machines.recordsOf(epoch)
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

  /** The machine gets no more answers and timers. */
  #suspend(): void {
    this.#generation += 1
    this.#timers.cancelAll()
  }

  async #handleNext(): Promise<void> {
    const input = this.#incoming.next()
    if (input === 'twin') return this.#fail(TWIN)
    if (input) await this.#step(input)
  }

  async #step({ event, block }: MachineInput): Promise<void> {
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
        return this.#askHost(() => this.#answers.build(effect))
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
        return this.#failOnHalt(effect)
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
    const generation = this.#generation
    this.#timers.set(timer, atMs, () => {
      const event = { type: 'timer', nowMs: this.#clock.now(), timer, view } as const
      this.#push(generation, { event })
    })
  }

  /** A call whose answer comes back as an event, unless the machine was replaced meanwhile. */
  #askHost(ask: () => Promise<MachineInput>): void {
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
    // Another block of its height may have become final within the same step.
    if (!this.#blocks.has(block.hash)) return
    const envelope = this.#blocks.envelopeOf(block)
    this.#askHost(() => this.#answers.validate(envelope))
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
    this.#suspend()
    const machine = await this.#machines.create()
    const { records, bodies } = this.#machines.recordsOf(machine.config.setup.epoch)
    const effects = nextEpoch(this.#relay, machine, records, this.#clock.now())
    this.#blocks.beginEpoch(bodies)
    await this.#perform(effects)
  }

  #noticeBehind(peer: PeerName | undefined, epoch: number, height: number | undefined): void {
    if (!this.#behind.isDue(peer, this.#clock.now())) return
    this.#options.host.onBehind({ peer, epoch, height })
  }

  /** The evidence has left. */
  async #failOnHalt(effect: Extract<RelayEffect, { type: 'halt' }>): Promise<void> {
    const { reason, certificate: theirs, ours, guilty } = effect
    if (!ours) return this.#fail({ code: 'FINAL_INVALID', message: reason, cause: theirs })
    const validators = this.#relay ? validatorsOf(this.#relay, theirs.statement.epoch) : []
    const keys = guilty.flatMap((index) => validators[index]?.publicKey ?? [])
    return this.#failOnFork({ reason, theirs, ours, guilty: keys })
  }

  /** On disk before anything else: a restart would not notice it again. */
  async #failOnFork(fork: FoundFork): Promise<void> {
    this.#fail(await this.#fork.record(fork))
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
