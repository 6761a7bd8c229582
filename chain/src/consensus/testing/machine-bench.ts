import { sha256 } from '../../bytes/hash.ts'
import { bytesEqual, bytesToHex, concatBytes, type Hex } from '../../bytes/hex.ts'
import { blockHash } from '../../types/block.ts'
import {
  type Certificate,
  type Header,
  type Justification,
  JustificationType,
  type Statement,
  StatementType,
  type Vote,
  VoteKind,
} from '../../types/consensus-objects.ts'
import { ZERO_HASH } from '../../types/primitives.ts'
import { assembleCertificate } from '../certificate.ts'
import type {
  BlockVerdict,
  ConsensusCrypto,
  ConsensusEffect,
  ConsensusEvent,
  ConsensusMessage,
  ConsensusTiming,
  EpochSetup,
  FinalBlock,
  LogRecord,
  Proposal,
} from '../machine-interface.ts'
import { createMachine, leaderOf, type MachineConfig, type MachineState } from '../machine-state.ts'
import { startMachine, stepMachine } from '../simplex-machine.ts'

export const GENESIS_MS = 1_000_000

export const TIMING: ConsensusTiming = {
  blockIntervalMs: 1000,
  skipTimeoutMs: 2000,
  skipTimeoutGrowthPercent: 150,
  skipTimeoutCapMs: 60_000,
  rebroadcastMs: 1000,
  clockAheadMs: 1000,
  clockBehindMs: 10_000,
}

const keyOf = (validator: number) => new Uint8Array(33).fill(validator + 1)

/** A keyed hash stands in for ECDSA: the machine only ever calls these functions. */
export function keyedCrypto(self: number): ConsensusCrypto {
  const sign = (statement: Statement, key: Uint8Array) => {
    const half = sha256(key, StatementType.hashTreeRoot(statement))
    return concatBytes(half, half)
  }
  return {
    sign: (statement) => sign(statement, keyOf(self)),
    verify: (statement, key, signature) => bytesEqual(sign(statement, key), signature),
    hashHeader: blockHash,
    hashJustification: (justification) => JustificationType.hashTreeRoot(justification),
  }
}

export function headerWith(fields: Partial<Header>): Header {
  return {
    version: 1,
    chainId: ZERO_HASH,
    epoch: 1,
    view: 0,
    height: 0,
    timeMs: GENESIS_MS,
    parentHash: ZERO_HASH,
    parentView: 0,
    justHash: ZERO_HASH,
    proposer: 0,
    txRoot: ZERO_HASH,
    receiptRoot: ZERO_HASH,
    evidenceRoot: ZERO_HASH,
    stateRoot: ZERO_HASH,
    historyRoot: ZERO_HASH,
    epochDataRoot: ZERO_HASH,
    validatorsHash: ZERO_HASH,
    nextValidatorsHash: ZERO_HASH,
    ...fields,
  }
}

export function genesisBlock(): FinalBlock {
  const header = headerWith({ epoch: 0 })
  return { hash: bytesToHex(blockHash(header)), header, certificate: undefined }
}

export function setupOf(weights: readonly number[], lastHeight: number): EpochSetup {
  const validators = weights.map((weight, index) => ({ publicKey: keyOf(index), weight }))
  return { epoch: 1, validators, previousValidators: [], start: genesisBlock(), lastHeight }
}

export interface BenchOptions {
  readonly weights?: readonly number[]
  readonly lastHeight?: number
  readonly self?: number | undefined
  readonly signAbove?: number
  readonly records?: readonly LogRecord[]
  readonly setup?: EpochSetup
  readonly head?: FinalBlock
}

export interface ProposedBlock extends Proposal {
  readonly hash: Hex
}

/** One machine and everything that other validators could send to it. */
export class MachineBench {
  readonly setup: EpochSetup
  readonly self: number | undefined
  readonly machine: MachineState
  /** All effects since the last take(). */
  effects: ConsensusEffect[]
  nowMs = GENESIS_MS + 1000

  constructor(options: BenchOptions = {}) {
    this.setup =
      options.setup ?? setupOf(options.weights ?? [1, 1, 1, 1], options.lastHeight ?? 100)
    this.self = 'self' in options ? options.self : 0
    const config: MachineConfig = {
      setup: this.setup,
      head: options.head ?? this.setup.start,
      self: this.self,
      signAbove: options.signAbove ?? 0,
      timing: TIMING,
      crypto: keyedCrypto(this.self ?? 0),
    }
    this.machine = createMachine(config)
    this.effects = startMachine(this.machine, options.records ?? [], this.nowMs)
  }

  get view(): number {
    return this.machine.view
  }

  take(): ConsensusEffect[] {
    const { effects } = this
    this.effects = []
    return effects
  }

  step(event: ConsensusEvent): ConsensusEffect[] {
    const effects = stepMachine(this.machine, event)
    this.effects.push(...effects)
    return effects
  }

  receive(message: ConsensusMessage, from = 'peer'): ConsensusEffect[] {
    return this.step({ type: 'message', nowMs: this.nowMs, from, message })
  }

  timer(timer: 'skip' | 'standstill' | 'propose' | 'recheck' | 'fetch'): ConsensusEffect[] {
    return this.step({ type: 'timer', nowMs: this.nowMs, timer, view: this.view })
  }

  validated(hash: Hex, verdict: BlockVerdict = 'valid'): ConsensusEffect[] {
    return this.step({ type: 'blockValidated', nowMs: this.nowMs, hash, verdict })
  }

  leader(view: number): number {
    return leaderOf(this.machine, view)
  }

  /** The first view from `from` on that this node leads, or does not. */
  viewLed(byUs: boolean, from = 1): number {
    let view = from
    while ((this.leader(view) === this.self) !== byUs) view += 1
    return view
  }

  /** Moves on to a view by nullify certificates. */
  skipTo(view: number): void {
    for (let skipped = this.view; skipped < view; skipped++) this.certify(VoteKind.nullify, skipped)
  }

  /** Skips views whose time runs out. */
  waitOut(untilView: number): void {
    for (let view = this.view; view < untilView; view++) {
      this.nowMs = this.machine.skipAtMs
      this.certify(VoteKind.nullify, view)
    }
  }

  statement(kind: VoteKind, view: number, hash: Uint8Array = ZERO_HASH): Statement {
    return { kind, epoch: this.setup.epoch, view, hash }
  }

  vote(validator: number, kind: VoteKind, view: number, hash?: Uint8Array): Vote {
    const statement = this.statement(kind, view, hash)
    return { statement, validator, signature: keyedCrypto(validator).sign(statement) }
  }

  receiveVote(validator: number, kind: VoteKind, view: number, hash?: Uint8Array) {
    return this.receive({ type: 'vote', vote: this.vote(validator, kind, view, hash) })
  }

  /** Signed by the given validators; by all but the last one unless told. */
  certificate(
    kind: VoteKind,
    view: number,
    hash?: Uint8Array,
    signers = this.setup.validators.slice(1).map((_, i) => i + 1),
  ): Certificate {
    const votes = new Map(signers.map((i) => [i, this.vote(i, kind, view, hash)]))
    const { length } = this.setup.validators
    return assembleCertificate(this.statement(kind, view, hash), votes, length)
  }

  certify(kind: VoteKind, view: number, hash?: Uint8Array): ConsensusEffect[] {
    const certificate = this.certificate(kind, view, hash)
    return this.receive({ type: 'certificate', certificate })
  }

  /** A block of the view's leader on a certified parent, with all skips between. */
  propose(view: number, parent?: ProposedBlock, fields: Partial<Header> = {}): ProposedBlock {
    const parentView = parent?.leaderVote.statement.view ?? 0
    const parentHash = parent ? blockHash(parent.header) : blockHash(this.setup.start.header)
    const skips: Certificate[] = []
    for (let u = parentView + 1; u < view; u++) skips.push(this.certificate(VoteKind.nullify, u))
    const { certificate } = this.setup.start
    const ofStart = certificate ? [certificate] : []
    const justification: Justification = {
      parent: parent ? [this.certificate(VoteKind.notarize, parentView, parentHash)] : ofStart,
      skips,
    }
    const below = parent?.header ?? this.setup.start.header
    const header = headerWith({
      epoch: this.setup.epoch,
      view,
      height: below.height + 1,
      timeMs: below.timeMs + 1000,
      parentHash,
      parentView,
      justHash: JustificationType.hashTreeRoot(justification),
      proposer: this.leader(view),
      ...fields,
    })
    const leaderVote = this.vote(this.leader(view), VoteKind.notarize, view, blockHash(header))
    return { header, justification, leaderVote, hash: bytesToHex(blockHash(header)) }
  }

  receiveProposal({ header, justification, leaderVote }: ProposedBlock): ConsensusEffect[] {
    const proposal = { header, justification, leaderVote }
    return this.receive({ type: 'proposal', proposal })
  }

  /** Received and found valid. */
  accept(block: ProposedBlock): ConsensusEffect[] {
    return [...this.receiveProposal(block), ...this.validated(block.hash)]
  }
}

/** Own votes among effects, as kind names. */
export function votesCast(effects: readonly ConsensusEffect[]): string[] {
  const names = { 1: 'notarize', 2: 'nullify', 3: 'finalize' }
  return effects.flatMap((effect) =>
    effect.type === 'persist' && effect.record.type === 'vote'
      ? [
          `${names[effect.record.vote.statement.kind as VoteKind]} ${effect.record.vote.statement.view}`,
        ]
      : [],
  )
}

export function ofType<T extends ConsensusEffect['type']>(
  effects: readonly ConsensusEffect[],
  type: T,
): Extract<ConsensusEffect, { type: T }>[] {
  return effects.filter(
    (effect): effect is Extract<ConsensusEffect, { type: T }> => effect.type === type,
  )
}
