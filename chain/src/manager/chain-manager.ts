import type { Logger } from 'pino'
import { assert } from '../bytes/assert.ts'
import { bytesEqual, bytesToHex, type Hex } from '../bytes/hex.ts'
import { type Fault, fault } from '../bytes/result.ts'
import { signersOf } from '../consensus/certificate.ts'
import type { EpochSetup, FinalBlock } from '../consensus/machine-interface.ts'
import type {
  BehindHint,
  BlockEnvelope,
  BlockHost,
  BuildRequest,
  BuiltBlock,
  FinalCommit,
  HaltReason,
  Validation,
} from '../driver/block-host.ts'
import { signatureChecks } from '../rules/signature-checks.ts'
import type { SignatureCheck } from '../bytes/signature.ts'
import { checkpointHeight, type NetworkParams } from '../params/network-params.ts'
import { validatorSetOf } from '../rules/validator-set.ts'
import { type Ledger, merge } from '../state/ledger.ts'
import { changesOf } from '../state/state-changes.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { BlockBodyType, BlockType, blockHash, isJustificationOf } from '../types/block.ts'
import {
  type Certificate,
  CertificateType,
  type Header,
  HeaderType,
  type Justification,
  JustificationType,
  ReproposalsType,
  type Vote,
} from '../types/consensus-objects.ts'
import type { Receipt } from '../types/receipts.ts'
import { transactionListRoot } from '../types/transaction-codec.ts'
import type { Transaction } from '../types/transactions.ts'
import type { ValidatorSet } from '../types/validator-set.ts'
import {
  type BuildInputs,
  buildOn,
  decodeBody,
  type Executed,
  executeOn,
  notYetIn,
} from './block-execution.ts'
import type { ChainStore, CommittedBlock } from './chain-store.ts'
import { readBlock } from './read-block.ts'
import { epochProofOf } from './epoch-proof-builder.ts'

/** A block that became final, after it can be read from the store and the ledger. */
export interface FinalizedBlock {
  readonly hash: Hex
  readonly header: Header
  readonly transactions: readonly Transaction[]
  readonly receipts: readonly Receipt[]
  readonly certificate: Certificate | undefined
  readonly justification: Justification
}

/** Where blocks get their transactions from, and what this node knows of the world outside. */
export interface BlockInputs {
  /** System-lane transactions for a block on `ledger`: main headers, anchors, evidence. */
  systemLane(ledger: LedgerDraft): Transaction[]
  /** Waiting transactions, best first. */
  waiting(ledger: LedgerDraft): Iterable<Transaction>
  /** True for a transaction (by the hex of transactionRoot) whose signature was checked before. */
  isVerified(transactionRoot: Hex): boolean
  /** Why this node will not vote for a valid block, e.g. its main node contradicts it. */
  objection(
    header: Header,
    transactions: readonly Transaction[],
    ledger: LedgerDraft,
  ): string | undefined | Promise<string | undefined>
}

/** Checks many signatures at once, on more than one thread, and knows the answers for a while. */
export interface SignaturesAhead {
  /** Runs what will ask for these, in this order; afterwards they may be forgotten. */
  during<T>(listChecks: () => readonly SignatureCheck[], run: () => Promise<T>): Promise<T>
}

/** How long a proposer fills a block, an eighth of the first skip timeout of the main network. */
export const BUILD_MS_MAX = 250

export interface ChainManagerOptions {
  readonly params: NetworkParams
  readonly chainId: Uint8Array
  readonly ledger: Ledger
  readonly head: FinalBlock
  readonly store: ChainStore
  readonly inputs: BlockInputs
  /** Absent: every signature is checked when the rule asks for it. */
  readonly signatures?: SignaturesAhead
  readonly logger: Logger
  /** Milliseconds of a clock that never goes back; default the process's own. */
  readonly nowMs?: (() => number) | undefined
  readonly onBehind: (hint: BehindHint) => void
  /** False for a vote that its validator did not sign. */
  readonly onVote?: (vote: Vote) => boolean
  readonly onEvidence: (first: Vote, second: Vote) => void
  readonly onHalt: (reason: HaltReason) => void
}

interface Candidate extends Executed {
  readonly envelope: BlockEnvelope
}

/**
 * The chain as this node knows it: the final ledger, and executed blocks above it that are not
 * final yet. decode -> validate -> apply -> commit -> announce.
 */
export class ChainManager implements BlockHost {
  readonly params: NetworkParams
  readonly chainId: Uint8Array
  readonly ledger: Ledger
  readonly store: ChainStore
  readonly #options: ChainManagerOptions
  readonly #candidates = new Map<Hex, Candidate>()
  readonly #listeners = new Set<(block: FinalizedBlock) => void>()
  #head: FinalBlock
  /** Newest block seen whose protocol version is not what this program knows for its epoch. */
  #foreign: Header | undefined

  constructor(options: ChainManagerOptions) {
    this.#options = options
    this.params = options.params
    this.chainId = options.chainId
    this.ledger = options.ledger
    this.store = options.store
    this.#head = options.head
  }

  /** Newest final block. */
  get final(): FinalBlock {
    return this.#head
  }

  /** Executed blocks that are not final. */
  get candidates(): number {
    return this.#candidates.size
  }

  /** Calls back once per final block, in order; returns the way to stop. */
  onFinal(listener: (block: FinalizedBlock) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  head(): Promise<FinalBlock> {
    return Promise.resolve(this.#head)
  }

  /** The set of an epoch, in index order; undefined where it is not fixed yet. */
  validators(epoch = this.#head.header.epoch): ValidatorSet | undefined {
    return validatorSetOf(this.ledger, epoch)
  }

  async epochSetup(epoch: number): Promise<EpochSetup> {
    const validators = this.validators(epoch)
    const previousValidators = epoch === 1 ? [] : this.validators(epoch - 1)
    const start = await this.finalAt(checkpointHeight(this.params, epoch - 1))
    assert(validators && previousValidators && start, 'an epoch starts on a final checkpoint')
    const lastHeight = checkpointHeight(this.params, epoch)
    return { epoch, validators, previousValidators, start, lastHeight }
  }

  /** A final block's header with its certificate. */
  async finalAt(height: number): Promise<FinalBlock | undefined> {
    const kept = await readBlock(this.store, height)
    if (!kept) return undefined
    const certificate = kept.certificate && CertificateType.deserialize(kept.certificate)
    return { hash: bytesToHex(kept.hash), header: kept.header, certificate }
  }

  buildBlock(request: BuildRequest): Promise<BuiltBlock | undefined> {
    const parent = this.#parentLedger(request.parentHash)
    if (!parent) return Promise.resolve(undefined)
    const inputs: BuildInputs = {
      chainId: this.chainId,
      fields: request.fields,
      participants: participantsOf(request.justification),
      parentHash: request.parentHash,
      ...this.#blockInputs(parent, request.parentHash),
    }
    const built = buildOn(parent, { ...inputs, isTimeUp: this.#deadline() })
    const body = BlockBodyType.serialize({ transactions: [...built.transactions] })
    const envelope: BlockEnvelope = {
      hash: bytesToHex(blockHash(built.header)),
      header: built.header,
      justification: request.justification,
      body,
    }
    this.#candidates.set(envelope.hash, { ...built, envelope })
    return Promise.resolve({ header: built.header, body })
  }

  /** What waits is taken for so long only: filling a block holds up all else in the process. */
  #deadline(): () => boolean {
    const { nowMs = () => performance.now() } = this.#options
    const endMs = nowMs() + BUILD_MS_MAX
    return () => nowMs() >= endMs
  }

  isBodyOf(header: Header, body: Uint8Array): boolean {
    const decoded = decodeBody(body)
    return decoded.ok && bytesEqual(transactionListRoot(decoded.value), header.txRoot)
  }

  async validateBlock(envelope: BlockEnvelope): Promise<Validation> {
    const validation = await this.withSignatures([envelope], () => this.#validate(envelope))
    if (validation.verdict !== 'valid') {
      const { height, view, proposer } = envelope.header
      this.#options.logger.warn({ height, view, proposer, ...validation }, 'block not voted for')
    }
    return validation
  }

  /** Checks the signatures of these blocks ahead, where that pays, and runs what executes them. */
  withSignatures<T>(envelopes: readonly BlockEnvelope[], run: () => Promise<T>): Promise<T> {
    const { signatures, inputs } = this.#options
    if (!signatures) return run()
    const listChecks = () =>
      envelopes.flatMap(({ hash, body }) => {
        if (this.#candidates.has(hash)) return []
        const transactions = decodeBody(body)
        if (!transactions.ok) return []
        return signatureChecks(transactions.value, this.chainId, (root) => inputs.isVerified(root))
      })
    return signatures.during(listChecks, run)
  }

  async commitBlocks(commit: FinalCommit): Promise<void> {
    const last = commit.blocks.at(-1)
    assert(last, 'a commit finalises at least one block')
    const candidates = commit.blocks.map(({ hash }) => {
      const candidate = this.#candidates.get(hash)
      assert(candidate, 'only executed blocks become final')
      return candidate
    })
    const epochProof = await this.#epochProof(commit, candidates.at(-1) as Candidate)
    await this.store.commit({
      epochProof,
      blocks: candidates.map((candidate, i) =>
        committedBlock(candidate, i === candidates.length - 1 ? commit : undefined),
      ),
      // Collected before anything is merged: a draft knows what it changes only while it is open.
      state: candidates.flatMap(({ draft }) => changesOf(draft)),
    })
    for (const candidate of candidates) merge(candidate.draft)
    this.#head = { hash: last.hash, header: last.header, certificate: commit.certificate }
    this.#dropStale(commit.blocks.map(({ hash }) => hash))
    candidates.forEach((candidate, i) => {
      this.#announce(candidate, i === candidates.length - 1 ? commit.certificate : undefined)
    })
  }

  async readBlock(hash: Hex): Promise<BlockEnvelope | undefined> {
    const height = await this.store.heightOf(hash)
    const stored = height === undefined ? undefined : await this.store.block(height)
    if (!stored) return undefined
    const { header, body } = BlockType.deserialize(stored.block)
    return {
      hash,
      header,
      justification: JustificationType.deserialize(stored.justification),
      body: BlockBodyType.serialize(body),
    }
  }

  onBehind(hint: BehindHint): void {
    this.#options.onBehind(hint)
  }

  onVote(vote: Vote): boolean {
    return this.#options.onVote?.(vote) ?? true
  }

  onEvidence(first: Vote, second: Vote): void {
    this.#options.onEvidence(first, second)
  }

  onHalt(reason: HaltReason): void {
    const foreign = reason.code === 'FINAL_INVALID' ? this.#foreign : undefined
    const follows = foreign && foreign.height > this.#head.header.height
    this.#options.onHalt(follows ? unknownVersion(foreign) : reason)
  }

  /** A certified block of a protocol version that this program does not know: the node stops. */
  haltAtVersion(header: Header): void {
    this.#options.onHalt(unknownVersion(header))
  }

  /** Executed once, but asked each time whether this node objects: what it sees outside changes. */
  async #validate(envelope: BlockEnvelope): Promise<Validation> {
    const parent = this.#parentLedger(bytesToHex(envelope.header.parentHash))
    assert(parent, 'the driver asks for blocks whose parent it has')
    const candidate = this.#candidates.get(envelope.hash) ?? this.#execute(envelope, parent)
    if ('fault' in candidate) return { verdict: 'invalid', fault: candidate.fault }
    const { header } = envelope
    const objection = await this.#options.inputs.objection(header, candidate.transactions, parent)
    if (objection === undefined) return { verdict: 'valid' }
    return { verdict: 'refused', fault: { code: 'OBJECTION', message: objection } }
  }

  #execute(envelope: BlockEnvelope, parent: LedgerDraft): Candidate | { readonly fault: Fault } {
    const body = decodeBody(envelope.body)
    if (!body.ok) return body
    // Whoever brings a block should have looked: here is where it gets kept under its hash.
    if (!isJustificationOf(envelope.header, envelope.justification)) {
      return fault('BLOCK_JUSTIFICATION', 'the justification is not the one of the header')
    }
    const executed = executeOn(parent, envelope.header, body.value, {
      chainId: this.chainId,
      participants: participantsOf(envelope.justification),
      isVerified: (root) => this.#options.inputs.isVerified(root),
    })
    if (!executed.ok) {
      if (executed.fault.code === 'BLOCK_VERSION') this.#foreign = envelope.header
      return executed
    }
    const candidate = { ...executed.value, envelope }
    this.#candidates.set(envelope.hash, candidate)
    return candidate
  }

  #epochProof(commit: FinalCommit, { draft }: Candidate) {
    const { params, store } = this
    const nextValidators = validatorSetOf(draft, draft.globals().epoch + 1)
    assert(nextValidators, 'the next set is fixed an epoch ahead')
    return epochProofOf({ params, store, commit, nextValidators })
  }

  #blockInputs(parent: LedgerDraft, parentHash: Hex) {
    const { inputs } = this.#options
    return {
      system: inputs.systemLane(parent),
      waiting: notYetIn(inputs.waiting(parent), this.#idsAboveHead(parentHash)),
      isVerified: (root: Hex) => inputs.isVerified(root),
    }
  }

  /** The ledger after a block that is the head or an executed candidate. */
  #parentLedger(hash: Hex): LedgerDraft | undefined {
    return hash === this.#head.hash ? this.ledger : this.#candidates.get(hash)?.draft
  }

  /** Transactions of a block and of its ancestors down to the final one. */
  #idsAboveHead(hash: Hex): Set<Hex> {
    const ids = new Set<Hex>()
    let candidate = this.#candidates.get(hash)
    while (candidate) {
      for (const id of candidate.transactionIds) ids.add(id)
      candidate = this.#candidates.get(bytesToHex(candidate.envelope.header.parentHash))
    }
    return ids
  }

  /** Candidates that do not stand on the new head can never become final. */
  #dropStale(committed: readonly Hex[]): void {
    for (const hash of committed) this.#candidates.delete(hash)
    const alive = new Set([this.#head.hash])
    // Parents come before children in insertion order: a child is validated after its parent.
    for (const [hash, { envelope }] of this.#candidates) {
      if (alive.has(bytesToHex(envelope.header.parentHash))) alive.add(hash)
      else this.#candidates.delete(hash)
    }
  }

  #announce(candidate: Candidate, certificate: Certificate | undefined): void {
    const { envelope, transactions, receipts } = candidate
    const { hash, header, justification } = envelope
    const block = { hash, header, justification, transactions, receipts, certificate }
    for (const listener of this.#listeners) listener(block)
  }
}

function unknownVersion({ version, epoch }: Header): HaltReason {
  return {
    code: 'VERSION_UNKNOWN',
    message:
      `the network runs protocol version ${version} in epoch ${epoch}, which this program does ` +
      'not know: install a release that knows it; the data folder stays as it is',
  }
}

/** Validators whose votes the parent's certificate carries: they earn the parent's participation. */
function participantsOf(justification: Justification): number[] {
  const [certificate] = justification.parent
  return certificate ? signersOf(certificate) : []
}

function committedBlock(candidate: Candidate, commit: FinalCommit | undefined): CommittedBlock {
  const { envelope, transactions, receipts, transactionIds, draft } = candidate
  const { header } = envelope
  return {
    height: header.height,
    hash: HeaderType.hashTreeRoot(header),
    block: BlockType.serialize({ header, body: { transactions: [...transactions] } }),
    justification: JustificationType.serialize(envelope.justification),
    certificate: commit && CertificateType.serialize(commit.certificate),
    reproposals: commit ? ReproposalsType.serialize([...commit.reproposals]) : new Uint8Array(0),
    transactionIds,
    receipts,
    supply: { ...draft.globals(), ...draft.peg() },
  }
}
