import { bytesToHex, type Hex } from '../../chain/src/bytes/hex.ts'
import {
  type EpochRelay,
  nextEpoch,
  type RelayEffect,
  startRelay,
  stepRelay,
} from '../../chain/src/consensus/epoch-relay.ts'
import type {
  BlockVerdict,
  ConsensusEvent,
  ConsensusMessage,
  EpochSetup,
  JustifiedBlock,
  LogRecord,
} from '../../chain/src/consensus/machine-interface.ts'
import {
  createMachine,
  leaderOf,
  type MachineState,
} from '../../chain/src/consensus/machine-state.ts'
import { type Header, type Vote, VoteKind } from '../../chain/src/types/consensus-objects.ts'
import { votesIn } from '../../chain/src/consensus/votes-in.ts'
import { cheapCrypto, hashHeader, simulatedKey, validatorOf } from './cheap-crypto.ts'
import { Violation } from './violation.ts'
import { checkSizes } from './bounds.ts'
import { ForkWatch } from './fork-watch.ts'
import { Listener } from './listener.ts'
import { NextEpochDuty } from './next-epoch-duty.ts'
import { ObjectionWatch } from './objection-watch.ts'
import { PaceDuties } from './pace-duties.ts'
import { setOf } from './scenario.ts'
import { StepDuties } from './step-duties.ts'
import { completeHeader } from './simulated-blocks.ts'
import { SimulatedDisk } from './simulated-disk.ts'
import { SimulatedLease } from './simulated-lease.ts'
import type { World } from './world.ts'

/** Content that every honest node refuses. */
const BAD_CONTENT = 0xff
/** Share of its finalize votes after which a forgetful node crashes. */
const FORGETS = 0.3
/** Share of its blocks that a slow host builds for as long as it takes to lead again. */
const OVERDUE = 0.7

/** A node: the production machine with everything around it simulated. */
export class Instance {
  readonly name: string
  readonly validator: number
  readonly honest: boolean
  disk: SimulatedDisk
  readonly lease = new SimulatedLease()
  /** False for a liar that keeps its honest half's proposals to itself. */
  proposesHonestly = true
  /** What a liar does when its honest half has dealt with an event. */
  afterStep: (() => void) | undefined
  /** What a liar answers to who asks it for a block. */
  falseBlock: ((hash: Hex) => JustifiedBlock | undefined) | undefined
  readonly #world: World
  #relay: EpochRelay | undefined
  /** Counts machines: what was meant for an earlier one does not reach a later one. */
  #generation = 0
  #executed = new Set<Hex>()
  #listener: Listener | undefined
  #duties: StepDuties | undefined
  #nextEpochDuty = new NextEpochDuty()
  #pace: PaceDuties | undefined
  #forkWatch: ForkWatch | undefined
  #objections: ObjectionWatch | undefined
  /** Hands out the block that a slow host still builds. */
  #overdue: (() => void) | undefined
  /** Times it stopped because of two final chains. */
  forksNoticed = 0
  readonly #distrusted = new Map<string, number>()
  #steps = 0
  /** How often each timer was set: a new setting replaces the old one. */
  readonly #timers = new Map<string, number>()

  constructor(world: World, name: string, validator: number, honest: boolean) {
    this.#world = world
    this.name = name
    this.validator = validator
    this.honest = honest
    this.disk = new SimulatedDisk(world.genesis)
  }

  get machine(): MachineState | undefined {
    return this.#relay?.machine
  }

  get isUp(): boolean {
    return this.#relay !== undefined
  }

  get height(): number {
    return this.disk.chain.length
  }

  /** Wall clock of this node. */
  get nowMs(): number {
    return this.#world.heap.now + (this.#world.scenario.clockOffsetsMs[this.validator] ?? 0)
  }

  start(): void {
    this.#generation += 1
    this.#executed = new Set()
    const machine = this.#createMachine()
    const records = this.disk.records(machine.config.setup.epoch)
    this.#listen(machine)
    this.#watchForks(machine)
    const { relay, effects } = startRelay(machine, records, this.nowMs)
    this.#relay = relay
    this.#duties?.checkStart(effects, relay.machine)
    this.#pace?.start(effects, this.nowMs, machine)
    this.#perform(effects)
  }

  /** Loses memory and a suffix of what was not synced; comes back by itself. */
  crash(): void {
    if (!this.isUp) return
    this.#generation += 1
    this.#relay = undefined
    const { heap, random, rare, scenario } = this.#world
    this.disk.crash(random)
    if (scenario.forgetful === this.validator) this.disk.loseCertificates(rare)
    heap.schedule(heap.now + random.between(50, 4_000), () => this.start())
  }

  /**
   * A forgetful one crashes where the certificate that it just acted on matters most, and when it
   * is back nobody tells it of that one for a while.
   */
  #forget(): void {
    const { heap, network, rare, scenario } = this.#world
    if (scenario.forgetful !== this.validator || network.isCalm || !rare.chance(FORGETS)) return
    const crash = () => {
      network.cutOff(this.name, heap.now + rare.between(2_000, 8_000))
      this.crash()
    }
    this.#later(rare.between(1, 30), crash, heap.now)
  }

  /** Loses its whole disk with the crash; what it leased to its signer is kept elsewhere. */
  wipe(): void {
    this.crash()
    this.disk = new SimulatedDisk(this.#world.genesis)
    this.lease.forbidLeased()
  }

  receive(from: string, message: ConsensusMessage): void {
    const { machine } = this
    const runs = machine && !machine.finished && !machine.halted
    const { nowMs } = this
    if (runs) {
      const { view, finalView } = machine
      this.#listener?.hearMessage(message, { view, finalView, from, nowMs }, this.#world.judge)
      this.#nextEpochDuty.hear(from, message, machine.config.setup.epoch)
    }
    this.step({ type: 'message', nowMs, from, message })
  }

  step(event: ConsensusEvent): void {
    if (!this.#relay) return
    this.#world.observe(this, event)
    const generation = this.#generation
    if (event.type === 'timer' && event.timer === 'skip' && event.view === this.machine?.view) {
      this.#listener?.timeOver(event.view)
    }
    if (this.machine) {
      const { halted, finished, config } = this.machine
      this.#forkWatch?.handed(event, { halted, finished, epoch: config.setup.epoch })
    }
    this.#duties?.begin(event, this.machine)
    this.#objections?.hear(event, this.#relay.machine)
    const effects = stepRelay(this.#relay, event)
    this.#duties?.check(effects, this.#relay.machine)
    this.#pace?.check(event, effects, this.#relay.machine)
    this.#objections?.check(event, effects, this.#relay.machine)
    if (this.#forkWatch?.check(effects)) this.forksNoticed += 1
    this.#perform(effects)
    if (generation === this.#generation) this.#checkStep()
    this.afterStep?.()
  }

  /** A block for a peer that asks. */
  block(hash: Hex): JustifiedBlock | undefined {
    return this.falseBlock ? this.falseBlock(hash) : this.heldBlock(hash)
  }

  heldBlock(hash: Hex): JustifiedBlock | undefined {
    return this.machine?.tree.blocks.get(hash) ?? this.disk.byHash.get(hash)
  }

  /** What block sync does: takes over a longer certified chain while consensus stands still. */
  syncFrom(other: Instance): void {
    if (!this.isUp || other.height <= this.height) return
    // Ranges of another chain do not link to ours.
    if (other.disk.blockAt(this.height).hash !== this.disk.head().hash) return
    const missing = other.disk.chain.slice(this.height)
    let batch: JustifiedBlock[] = []
    for (const block of missing) {
      this.#executed.add(block.hash)
      batch.push(block)
      if (!block.certificate) continue
      this.#checkCommit(batch, block.certificate)
      this.disk.commit(batch, block.certificate, block.reproposals)
      batch = []
    }
    const head = this.disk.head()
    const { lastHeight } = this.machine?.config.setup ?? { lastHeight: 0 }
    if (head.header.height > lastHeight) this.start()
    else {
      this.#forkWatch?.headMoved()
      this.step({ type: 'headMoved', nowMs: this.nowMs, head })
    }
  }

  /** What is left to say when the history is over. */
  checkEnd(): void {
    const { scenario, heap } = this.#world
    if (this.machine?.halted === false) this.#forkWatch?.checkEnd(scenario.calmFromMs, heap.now)
  }

  #watchForks(machine: MachineState): void {
    const { scenario, judge, timing } = this.#world
    if (!scenario.tooManyFaulty || !this.honest) return
    const parts = {
      disk: this.disk,
      judge,
      setOf: (epoch: number) => setOf(scenario, epoch),
      answerMs: timing.rebroadcastMs / 2,
    }
    this.#forkWatch = new ForkWatch(parts, machine.config.setup.epoch)
  }

  /** Twins run honest code: what they must do about votes they hear, they must do, too. */
  #listen(machine: MachineState): void {
    const { setup, self, signAbove } = machine.config
    this.#listener = undefined
    this.#duties = undefined
    this.#nextEpochDuty = new NextEpochDuty()
    this.#pace = undefined
    if (this.#world.scenario.liars.has(this.validator)) return
    const place = {
      epoch: setup.epoch,
      validators: setup.validators,
      self,
      signAbove,
      leaderOf: (view: number) => leaderOf(machine, view),
      distrustMs: this.#world.timing.rebroadcastMs / 2,
      distrusted: this.#distrusted,
    }
    this.#listener = new Listener(place, this.disk.records(setup.epoch))
    const { timing, judge, scenario } = this.#world
    const watches = this.honest && scenario.objections !== undefined
    if (watches) this.#objections ??= new ObjectionWatch((key) => this.#keepsRules(key))
    this.#duties = new StepDuties({
      epoch: setup.epoch,
      disk: this.disk,
      judge,
      answerMs: timing.rebroadcastMs / 2,
      isHonest: (key) => this.#keepsRules(key),
    })
    this.#pace = this.#paceOf(machine)
  }

  #paceOf({ config, finalCertificate }: MachineState): PaceDuties {
    const { timing, judge } = this.#world
    const { setup, self, signAbove } = config
    const { epoch, start, validators, lastHeight } = setup
    const place = {
      epoch,
      timing,
      keys: validators.map(({ publicKey }) => publicKey),
      self,
      signAbove,
      start,
      lastHeight,
      final: finalCertificate,
      leaderOf: (view: number) => judge.leaderOf(epoch, start.hash, view),
      headerOf: (hash: Hex) => judge.headerOf(hash),
    }
    return new PaceDuties(place, this.disk.records(epoch))
  }

  /** Its proposals keep every rule: with too many faulty, others may stand on another chain. */
  #keepsRules(publicKey: Uint8Array): boolean {
    const { honest, scenario } = this.#world
    return !scenario.tooManyFaulty && honest.has(validatorOf(publicKey))
  }

  #createMachine(): MachineState {
    const { scenario, timing } = this.#world
    const head = this.disk.head()
    const epoch = Math.floor(head.header.height / scenario.epochBlocks) + 1
    const setup: EpochSetup = {
      epoch,
      validators: setOf(scenario, epoch),
      previousValidators: epoch === 1 ? [] : setOf(scenario, epoch - 1),
      start: this.disk.blockAt((epoch - 1) * scenario.epochBlocks),
      lastHeight: epoch * scenario.epochBlocks,
    }
    const crypto = cheapCrypto(simulatedKey(this.validator))
    const index = setup.validators.findIndex(
      ({ publicKey }) => validatorOf(publicKey) === this.validator,
    )
    // One that is not of the set follows as an observer.
    const self = index < 0 ? undefined : index
    const signAbove = this.lease.signAbove(epoch)
    return createMachine({ setup, head, self, signAbove, timing, crypto })
  }

  /** Effects in order, with a crash possible between any two. */
  #perform(effects: readonly RelayEffect[]): void {
    const { random, scenario, network } = this.#world
    const generation = this.#generation
    const crashes = !network.isCalm && random.chance(scenario.crashRate)
    const crashAt = crashes ? random.between(0, effects.length) : -1
    for (const [position, effect] of effects.entries()) {
      if (position === crashAt) {
        // A vote may be written and not yet synced, so that nobody can have seen it.
        if (effect.type === 'persist' && random.chance(0.5)) this.#append(effect.record)
        return this.crash()
      }
      this.#performOne(effect)
      if (generation !== this.#generation) return
    }
    if (crashAt === effects.length) this.crash()
  }

  #performOne(effect: RelayEffect): void {
    this.#world.observe(this, effect)
    switch (effect.type) {
      case 'persist':
        this.#append(effect.record)
        this.#checkRecord(effect.record)
        if (effect.record.type !== 'vote') return
        this.disk.sync()
        if (effect.record.vote.statement.kind === VoteKind.finalize) this.#forget()
        return
      case 'broadcast':
        this.#checkSent(effect.message, true)
        this.#world.judge.heard(effect.message)
        if (effect.message.type === 'proposal' && !this.proposesHonestly) return
        for (const peer of this.#world.instances) {
          if (peer !== this) this.#world.deliver(this, peer, effect.message)
        }
        return
      case 'sendTo': {
        this.#checkSent(effect.message, false)
        const peer = this.#world.instanceOf(effect.peer)
        if (peer) this.#world.deliver(this, peer, effect.message)
        return
      }
      case 'setTimer':
        return this.#setTimer(effect)
      case 'validateBlock':
        return this.#validate(effect.block)
      case 'buildBlock':
        return this.#build(effect)
      case 'fetchBlock':
        this.#checkAsked(effect.hash)
        return this.#world.fetch(this, effect.hash, effect.attempt)
      case 'commit':
        this.#checkCommit(effect.blocks, effect.certificate)
        return this.disk.commit(effect.blocks, effect.certificate, effect.reproposals)
      case 'epochEnded':
        return this.#nextEpoch()
      case 'evidence':
        this.#listener?.accused(effect.second)
        if (this.honest) this.#world.checker.accused(effect.first, effect.second)
        return
      case 'behind':
      case 'epochAhead':
        return this.#world.requestSync(this)
      case 'doppelganger':
        this.#listener?.alarmed()
        if (this.honest) throw new Violation('an honest node saw a vote of its own it did not sign')
        return
      case 'halt':
        return this.#halt(effect)
    }
  }

  /** Only where more are faulty than may be; then it must be right about who they are. */
  #halt({ reason, guilty }: Extract<RelayEffect, { type: 'halt' }>): void {
    if (!this.honest) return
    if (!this.#world.scenario.tooManyFaulty) throw new Violation(`an honest node halted: ${reason}`)
    this.#world.checker.blamed(guilty, this.machine?.config.setup.epoch ?? 0)
  }

  #append(record: LogRecord): void {
    const epoch = this.machine?.config.setup.epoch ?? 0
    if (record.type === 'vote') this.lease.cover(epoch, record.vote.statement.view)
    this.disk.append(record, epoch)
  }

  #setTimer({ timer, view, atMs }: Extract<RelayEffect, { type: 'setTimer' }>): void {
    const { heap, scenario } = this.#world
    const drift = scenario.timerDrifts[this.validator] ?? 1
    const delay = Math.max(0, atMs - this.nowMs) * drift
    const setting = (this.#timers.get(timer) ?? 0) + 1
    this.#timers.set(timer, setting)
    const fire = () => {
      if (this.#timers.get(timer) !== setting) return
      this.step({ type: 'timer', nowMs: this.nowMs, timer, view })
    }
    this.#later(delay, fire, heap.now)
  }

  /** Runs later, unless this machine is gone by then. */
  #later(delayMs: number, run: () => void, fromMs: number): void {
    const generation = this.#generation
    this.#world.heap.schedule(fromMs + Math.ceil(delayMs), () => {
      if (generation === this.#generation) run()
    })
  }

  #validate({ hash, header }: JustifiedBlock): void {
    const parent = bytesToHex(header.parentHash)
    if (parent !== this.disk.head().hash && !this.#executed.has(parent)) {
      throw new Violation('a block is to be executed before its parent')
    }
    const { heap, random } = this.#world
    const verdict = this.#verdictOn(header)
    this.#later(
      random.between(1, 30),
      () => {
        if (verdict !== 'invalid') this.#executed.add(hash)
        this.step({ type: 'blockValidated', nowMs: this.nowMs, hash, verdict })
      },
      heap.now,
    )
  }

  #verdictOn({ txRoot, height }: Header): BlockVerdict {
    if (txRoot[0] === BAD_CONTENT) return 'invalid'
    const { network, opinions, scenario } = this.#world
    const { objections, epochBlocks } = scenario
    if (scenario.refusing && !network.isCalm) return 'refused'
    if (objections === undefined || network.isCalm || height % epochBlocks !== 0) return 'valid'
    return opinions.chance(objections) ? 'refused' : 'valid'
  }

  #build({ fields }: Extract<RelayEffect, { type: 'buildBlock' }>): void {
    const { heap, random, rare, scenario } = this.#world
    const fails = random.chance(0.02) && !scenario.refusing
    const txRoot = random.bytes(32)
    txRoot[0] = 1
    const header = completeHeader(fields, txRoot)
    const delayMs = random.between(1, 50)
    const answer = () => {
      const { view } = fields
      const nowMs = this.nowMs
      if (fails) return this.step({ type: 'blockNotBuilt', nowMs, view })
      this.#executed.add(bytesToHex(hashHeader(header)))
      return this.step({ type: 'blockBuilt', nowMs, view, header })
    }
    // What a slow host was asked before comes first, when its view is long over.
    this.#overdue?.()
    this.#overdue = undefined
    const later = () => this.#later(delayMs, answer, heap.now)
    if (scenario.slowHost !== this.validator || !rare.chance(OVERDUE)) return later()
    const generation = this.#generation
    this.#overdue = () => {
      if (generation === this.#generation) this.#later(0, answer, heap.now)
    }
  }

  #nextEpoch(): void {
    if (!this.#relay) return
    this.#generation += 1
    this.#executed = new Set()
    const machine = this.#createMachine()
    const before = this.#nextEpochDuty
    this.#listen(machine)
    this.#forkWatch?.nextEpoch()
    const records = this.disk.records(machine.config.setup.epoch)
    const effects = nextEpoch(this.#relay, machine, records, this.nowMs)
    before.check(machine, (key) => this.#keepsRules(key))
    this.#pace?.start(effects, this.nowMs, machine)
    this.#perform(effects)
  }

  #checkCommit(blocks: readonly JustifiedBlock[], certificate: CommitCertificate): void {
    if (!this.honest) return
    const { hash, header } = this.disk.head()
    this.#world.checker.committed(hash, header.height, blocks, certificate)
  }

  #checkSent(message: ConsensusMessage, isToAll: boolean): void {
    this.#duties?.checkSent(message, isToAll)
    if (!this.honest) return
    for (const vote of votesIn(message)) this.#world.checker.sent(this.validator, vote)
  }

  /** Another end of the epoch before is never ours. */
  #checkAsked(hash: Hex): void {
    const { judge, scenario } = this.#world
    const { height = 0 } = this.machine?.config.setup.start.header ?? {}
    const asked = judge.heightOf(hash)
    if (asked === undefined || asked > height || scenario.liars.has(this.validator)) return
    throw new Violation(`height ${asked} is asked for in an epoch that starts at ${height}`)
  }

  #checkRecord(record: LogRecord): void {
    const { judge, checker } = this.#world
    if (record.type === 'block') judge.held(record.block)
    if (record.type === 'reproposal') {
      judge.reproposed(this.machine?.config.setup.epoch ?? 0, record.view, record.justification)
    }
    if (record.type === 'vote') this.#checkVote(record.vote)
    if (record.type !== 'certificate') return
    this.#listener?.certified(record.certificate)
    this.#forkWatch?.accepted(record.certificate, this.#world.heap.now)
    if (this.honest) checker.certified(record.certificate)
  }

  /** At the moment of signing. */
  #checkVote(vote: Vote): void {
    this.#listener?.signed(vote)
    const { epoch, kind } = vote.statement
    if (kind !== VoteKind.notarize || !this.honest) return
    const { hash, certificate } = this.disk.head()
    const start = this.disk.blockAt((epoch - 1) * this.#world.scenario.epochBlocks)
    const ofEpoch = hash !== start.hash && certificate?.statement.epoch === epoch
    this.#world.judge.judge(vote, {
      startHash: start.hash,
      nowMs: this.nowMs,
      committedView: ofEpoch ? certificate.statement.view : 0,
    })
  }

  #checkStep(): void {
    const { machine } = this
    if (!this.#relay || !machine) return
    this.#steps += 1
    checkSizes(this.#relay, this.#steps, this.#world.scenario.tooManyFaulty)
    if (!machine.finished && !machine.halted) this.#listener?.check(machine)
  }
}

type CommitCertificate = Extract<RelayEffect, { type: 'commit' }>['certificate']
