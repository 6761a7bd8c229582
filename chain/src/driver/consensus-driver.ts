import { assert } from '../bytes/assert.ts'
import { bytesToHex, fromHex, type Hex } from '../bytes/hex.ts'
import { publicKeyOf } from '../bytes/signature.ts'
import {
  epochOf,
  type EpochRelay,
  nextEpoch,
  type RelayEffect,
  startRelay,
  stepRelay,
} from '../consensus/epoch-relay.ts'
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
import { isSignedByLeader } from '../consensus/proposing.ts'
import { votesIn } from '../consensus/votes-in.ts'
import { paramsAt } from '../params/forks.ts'
import { epochOfHeight } from '../params/network-params.ts'
import { blockHash } from '../types/block.ts'
import type { BlockEnvelope, BlockHost, HaltReason } from './block-host.ts'
import type { ConsensusTransport } from './consensus-transport.ts'
import { createConsensusCrypto } from './consensus-crypto.ts'
import { type DriverClock, systemClock } from './driver-clock.ts'
import { EarlyBodies } from './early-bodies.ts'
import { HISTORY_TOO_OLD, TWIN, withDiskFull } from './halt-reasons.ts'
import { HostCalls } from './host-calls.ts'
import { entryOf, recordsOf } from './log-records.ts'
import {
  type BlockFrame,
  decodeMessage,
  EMPTY_BODY,
  encodeMessage,
  type WireMessage,
} from './message-codec.ts'
import { MessageInbox } from './message-inbox.ts'
import { type OpenedSigner, openSigner, type SignerOptions } from './open-signer.ts'
import type { SignerLease } from './signer-lease.ts'
import { type GateOptions, VotingGate } from './voting-gate.ts'
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

const BLOCK_READS_MAX = 4
const BEHIND_NOTICE_MS = 1000

type Work =
  | { readonly type: 'bytes'; readonly peer: PeerName; readonly bytes: Uint8Array }
  /** `generation`: of the machine it is for; another one gets no answers or timers of this one. */
  | { readonly type: 'event'; readonly generation: number; readonly answer: Answer }
  | {
      readonly type: 'task'
      readonly run: () => Promise<void>
      readonly cancel: (reason: Error) => void
    }

interface Answer {
  readonly event: ConsensusEvent
  readonly block?: BlockBytes
}

interface BlockBytes {
  readonly hash: Hex
  readonly body: Uint8Array
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
  readonly #publicKey: Hex | undefined
  readonly #timers = new Map<TimerName, () => void>()
  readonly #work: Work[] = []
  readonly #behindNoticeMs = new Map<PeerName | undefined, number>()
  readonly #inbox = new MessageInbox()
  #busy: Promise<void> | undefined
  readonly #hostCalls = new HostCalls()
  #generation = 0
  /** Of the blocks in the machine's tree. */
  #bodies = new Map<Hex, Uint8Array>()
  readonly #earlyBodies = new EarlyBodies()
  #blockReads = 0
  #relay: EpochRelay | undefined
  #stopped = false
  #closed = false

  private constructor(options: ConsensusDriverOptions, signer: OpenedSigner, head: FinalBlock) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#signer = signer
    this.#log = signer.log
    this.#lease = signer.lease
    const { validator } = options
    this.#publicKey = validator && bytesToHex(publicKeyOf(validator.secretKey))
    this.#gate = new VotingGate(options, signer, head)
  }

  /**
   * Recovers from the log and starts to take part. Throws what openSigner throws: another process,
   * a full disk, or a key that may have signed before without anything here that says what.
   */
  static async start(options: ConsensusDriverOptions): Promise<ConsensusDriver> {
    const head = await options.host.head()
    const signer = await openSigner(options, head)
    const driver = new ConsensusDriver(options, signer, head)
    try {
      await driver.#enqueue(() => driver.#begin())
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

  /**
   * For block sync. Runs `importBlocks` while consensus stands still: no call of the host, no vote.
   * Then goes on from host.head(): in the same epoch without losing anything, in a later one
   * with a new machine and the own votes in the log. Download and verify before, so that it lasts
   * only as long as writing does. Rejects if importBlocks does; consensus goes on.
   */
  async advanceTo(importBlocks: () => Promise<void>): Promise<void> {
    await this.#enqueue(async () => {
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
    this.#stopped = true
    this.#suspend()
    this.#endWatch()
    await this.#busy
    await this.#hostCalls.idle()
    for (const work of this.#work.splice(0)) {
      if (work.type === 'task') work.cancel(new Error('consensus was stopped'))
    }
    if (this.#closed) return
    this.#closed = true
    await this.#log.close()
    await this.#signer.lock.release()
  }

  get #haltEpoch(): number {
    return this.#options.haltEpoch ?? Number.MAX_SAFE_INTEGER
  }

  #machine(): MachineState {
    assert(this.#relay, 'the driver has begun')
    return this.#relay.machine
  }

  #receive(peer: PeerName, bytes: Uint8Array): void {
    if (this.#stopped || !this.#inbox.admit(peer, bytes.length)) return
    this.#push({ type: 'bytes', peer, bytes })
  }

  #push(work: Work): void {
    if (this.#stopped) return
    this.#work.push(work)
    this.#busy ??= Promise.resolve().then(() => this.#drain())
  }

  /** Runs between two events; a rejection goes to the caller. */
  #enqueue(run: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#stopped) reject(new Error('consensus has stopped'))
      this.#push({ type: 'task', run: () => run().then(resolve, reject), cancel: reject })
    })
  }

  async #drain(): Promise<void> {
    try {
      while (!this.#stopped) {
        const work = this.#work.shift()
        if (!work) return
        if (work.type === 'task') await work.run()
        else if (work.type === 'bytes') await this.#handle(work.peer, work.bytes)
        else if (work.generation === this.#generation) await this.#step(work.answer)
      }
    } catch (cause) {
      this.#failWith(cause)
    } finally {
      this.#busy = undefined // at once: who pushes next must find nobody at work
    }
  }

  /** Creates the machine at the host's head, with what the log keeps for its epoch. */
  async #begin(): Promise<void> {
    const machine = await this.#createMachine()
    const { epoch } = machine.config.setup
    await this.#log.prune(epoch - 1, Number.MAX_SAFE_INTEGER)
    await this.#log.prune(epoch, machine.finalView)
    const { records, bodies } = recordsOf(this.#log.live.filter((entry) => entry.epoch === epoch))
    this.#bodies = bodies
    this.#earlyBodies.take()
    const { relay, effects } = startRelay(machine, records, this.#clock.now())
    this.#relay = relay
    await this.#perform(effects)
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
  }

  async #createMachine(): Promise<MachineState> {
    const { host, params, chainId, validator } = this.#options
    this.#suspend()
    const head = await this.#hostCalls.run(() => host.head())
    const epoch = epochOfHeight(params, head.header.height + 1)
    const setup = await this.#hostCalls.run(() => host.epochSetup(epoch))
    const index = setup.validators.findIndex(
      ({ publicKey }) => bytesToHex(publicKey) === this.#publicKey,
    )
    return createMachine({
      setup,
      head,
      self: index < 0 || epoch > this.#haltEpoch ? undefined : index,
      signAbove: this.#gate.signAbove(head, epoch, this.#clock.now()),
      timing: paramsAt(params, epoch),
      crypto: createConsensusCrypto(chainId, validator?.secretKey),
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
      this.#push({ type: 'task', run: () => this.#openGate(), cancel: () => undefined })
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

  async #handle(peer: PeerName, bytes: Uint8Array): Promise<void> {
    this.#inbox.release(peer, bytes.length)
    const wire = decodeMessage(bytes)
    if (!wire.ok) {
      this.#options.logger.debug({ peer, fault: wire.fault }, 'malformed consensus message')
      return
    }
    switch (wire.value.type) {
      case 'blockRequest':
        return this.#answerBlock(peer, bytesToHex(wire.value.hash))
      case 'block':
        return this.#handleBlock(wire.value.block)
      case 'consensus':
        return this.#handleMessage(peer, wire.value.message, wire.value.body)
    }
  }

  async #handleBlock({ header, justification, body }: BlockFrame): Promise<void> {
    const hash = bytesToHex(blockHash(header))
    // The work of checking a body is done only for a block that was asked for.
    if (!this.#machine().tree.wanted.has(hash)) return
    if (!this.#options.host.isBodyOf(header, body)) return
    const nowMs = this.#clock.now()
    const event = { type: 'blockFetched', nowMs, header, justification } as const
    await this.#step({ event, block: { hash, body } })
  }

  /** Ties a proposal's body to its header before the machine may count it as that block. */
  async #handleMessage(peer: PeerName, message: ConsensusMessage, body: Uint8Array): Promise<void> {
    if (epochOf(message) > this.#haltEpoch) return
    const event = { type: 'message', nowMs: this.#clock.now(), from: peer, message } as const
    if (this.#gate.showsTwin(message, this.#machine().config)) return this.#fail(TWIN)
    for (const vote of votesIn(message)) this.#options.host.onVote(vote)
    if (message.type !== 'proposal') return this.#step({ event })
    const { header, leaderVote } = message.proposal
    const hash = bytesToHex(leaderVote.statement.hash)
    const reproposed = header.view < leaderVote.statement.view
    if (reproposed || this.#bodies.has(hash)) return this.#step({ event })
    const machine = this.#machine()
    const ahead = epochOf(message) - machine.config.setup.epoch
    if (ahead === 0) {
      if (!isSignedByLeader(machine, message.proposal)) return
      if (!this.#options.host.isBodyOf(header, body)) return
      return this.#step({ event, block: { hash, body } })
    }
    if (ahead === 1) {
      const isBody = () => this.#options.host.isBodyOf(header, body)
      if (!this.#earlyBodies.keep(peer, bytesToHex(blockHash(header)), body, isBody)) return
    }
    return this.#step({ event })
  }

  async #step({ event, block }: Answer): Promise<void> {
    assert(this.#relay, 'the driver has begun')
    const effects = stepRelay(this.#relay, event)
    if (block && this.#machine().tree.blocks.has(block.hash)) {
      this.#bodies.set(block.hash, block.body)
    }
    await this.#perform(effects)
    const { blocks } = this.#machine().tree
    for (const hash of this.#bodies.keys()) {
      if (!blocks.has(hash)) this.#bodies.delete(hash)
    }
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
        return transport.broadcast(this.#encode(effect.message))
      case 'sendTo':
        return transport.send(effect.peer, this.#encode(effect.message))
      case 'setTimer':
        return this.#setTimer(effect.timer, effect.view, effect.atMs)
      case 'validateBlock':
        return this.#validate(effect.block)
      case 'buildBlock':
        return this.#build(effect)
      case 'fetchBlock':
        return this.#fetch(effect.hash, effect.attempt)
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
    const body = record.type === 'block' ? this.#bodyOf(record.block.hash) : EMPTY_BODY
    if (record.type === 'vote') await this.#lease?.cover(epoch, record.vote.statement.view)
    await this.#log.append(entryOf(record, epoch, body))
    if (record.type !== 'vote') return
    await this.#log.sync()
    this.#options.host.onVote(record.vote)
  }

  #bodyOf(hash: Hex): Uint8Array {
    const body = this.#bodies.get(hash)
    assert(body, 'the body of a block the machine knows is here')
    return body
  }

  #envelopeOf({ hash, header, justification }: JustifiedBlock): BlockEnvelope {
    return { hash, header, justification, body: this.#bodyOf(hash) }
  }

  #encode(message: ConsensusMessage): Uint8Array {
    const isNew =
      message.type === 'proposal' &&
      message.proposal.header.view === message.proposal.leaderVote.statement.view
    const body = isNew
      ? this.#bodyOf(bytesToHex(message.proposal.leaderVote.statement.hash))
      : EMPTY_BODY
    return encodeMessage({ type: 'consensus', message, body })
  }

  #setTimer(timer: TimerName, view: number, atMs: number): void {
    this.#timers.get(timer)?.()
    const generation = this.#generation
    const delayMs = Math.max(0, atMs - this.#clock.now())
    const cancel = this.#clock.setTimer(delayMs, () => {
      const event = { type: 'timer', nowMs: this.#clock.now(), timer, view } as const
      this.#push({ type: 'event', generation, answer: { event } })
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
          if (answer) this.#push({ type: 'event', generation, answer })
        },
        (cause: unknown) => {
          this.#fail({ code: 'DRIVER_FAILED', message: 'the host could not answer', cause })
        },
      )
  }

  #validate(block: JustifiedBlock): void {
    const { hash, header } = block
    // Another block of its height may have become final within the same step.
    if (!this.#bodies.has(hash)) return
    const envelope = this.#envelopeOf(block)
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

  #fetch(hash: Hex, attempt: number): void {
    const { transport } = this.#options
    const peers = transport.peers()
    const peer = peers[(attempt + Number.parseInt(hash.slice(0, 4), 16)) % peers.length]
    if (peer === undefined) return
    transport.send(peer, encodeMessage({ type: 'blockRequest', hash: fromHex(hash) }))
  }

  #answerBlock(peer: PeerName, hash: Hex): void {
    const block = this.#machine().tree.blocks.get(hash)
    if (block) return this.#sendBlock(peer, this.#envelopeOf(block))
    if (this.#blockReads >= BLOCK_READS_MAX) return
    this.#blockReads += 1
    this.#options.host
      .readBlock(hash)
      .then((block) => {
        if (block && !this.#stopped) this.#sendBlock(peer, block)
      })
      .catch((error: unknown) => this.#options.logger.error({ error }, 'a block was not readable'))
      .finally(() => {
        this.#blockReads -= 1
      })
  }

  #sendBlock(peer: PeerName, { header, justification, body }: BlockEnvelope): void {
    const wire: WireMessage = { type: 'block', block: { header, justification, body } }
    this.#options.transport.send(peer, encodeMessage(wire))
  }

  /** W4: the host writes blocks and certificate durably, then the log may forget their views. */
  async #commit(effect: Extract<RelayEffect, { type: 'commit' }>): Promise<void> {
    const { certificate, reproposals } = effect
    const blocks = effect.blocks.map((block) => this.#envelopeOf(block))
    await this.#hostCalls.run(() =>
      this.#options.host.commitBlocks({ blocks, certificate, reproposals }),
    )
    const { epoch, view } = certificate.statement
    await this.#log.prune(epoch, view)
  }

  async #nextEpoch(): Promise<void> {
    assert(this.#relay, 'the driver has begun')
    const machine = await this.#createMachine()
    const effects = nextEpoch(this.#relay, machine, this.#clock.now())
    this.#bodies.clear()
    for (const [hash, body] of this.#earlyBodies.take()) {
      if (machine.tree.blocks.has(hash)) this.#bodies.set(hash, body)
    }
    await this.#perform(effects)
  }

  #noticeBehind(peer: PeerName | undefined, epoch: number, height: number | undefined): void {
    const nowMs = this.#clock.now()
    const last = this.#behindNoticeMs.get(peer)
    if (last !== undefined && nowMs - last < BEHIND_NOTICE_MS) return
    if (this.#behindNoticeMs.size > 256) this.#behindNoticeMs.clear()
    this.#behindNoticeMs.set(peer, nowMs)
    this.#options.host.onBehind({ peer, epoch, height })
  }

  #failOnFork({ reason, certificate, guilty }: Extract<RelayEffect, { type: 'halt' }>): void {
    const { validators } = this.#machine().config.setup
    const keys = guilty.map((index) => validators[index]?.publicKey ?? new Uint8Array(0))
    const message = `${reason}; signed both: ${keys.length} validators`
    this.#fail({ code: 'FORK_PROOF', message, cause: certificate, guilty: keys.map(bytesToHex) })
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
    this.#stopped = true
    this.#suspend()
    const reason = withDiskFull(failure)
    // The room that was kept back is for the orderly end and for the next start.
    if (reason.code === 'DISK_FULL') this.#signer.reserve?.release()
    this.#options.logger.fatal({ reason: reason.code, error: reason.cause }, reason.message)
    this.#options.host.onHalt(reason)
  }
}
