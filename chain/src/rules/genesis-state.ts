import { assert } from '../bytes/assert.ts'
import { bytesToHex } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { type DecodedHeader, decodeHeaderWithAuxPow } from '../elastos/main-header.ts'
import { retargetWindow } from '../elastos/header-rules.ts'
import { INSTANT_POW_LIMIT_BITS } from '../elastos/difficulty.ts'
import { withForks } from '../params/forks.ts'
import type { NetworkParams, ParamsFork } from '../params/network-params.ts'
import { decodeParams, encodeParams } from '../params/params-codec.ts'
import { historyRoot } from '../state/history-list.ts'
import { createLedger, draftOf, type Ledger, merge, stateRoot } from '../state/ledger.ts'
import { changesOf } from '../state/state-changes.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import type { StateChange } from '../state/record-tables.ts'
import { type Block, blockHash } from '../types/block.ts'
import { type Header, JustificationType } from '../types/consensus-objects.ts'
import {
  type Allocation,
  chainIdOf,
  GENESIS_VERSION,
  type GenesisDocument,
  type GenesisNode,
  type GenesisValidator,
} from '../types/genesis-document.ts'
import { U64_MAX, ZERO_HASH } from '../types/primitives.ts'
import { MAIN_HEADERS_KEPT, MainHeaderRecordType } from '../types/records.ts'
import { ReceiptListType } from '../types/receipts.ts'
import { transactionListRoot } from '../types/transaction-codec.ts'
import { credit, moveToBond } from './accounts.ts'
import { closeEpoch, newEpoch } from './epoch-boundary.ts'
import { mainHeaderRecord } from './main-headers.ts'
import { newNode } from './new-node.ts'
import { newValidator } from './new-validator.ts'
import { nextSet, stakePower } from './next-set.ts'
import { assertConserved } from './supply.ts'
import { setHashes } from './validator-set.ts'

/** What a network starts from, before it is a document. */
export interface GenesisInput {
  readonly params: NetworkParams
  readonly timeMs: number
  readonly allocations: readonly Allocation[]
  readonly validators: readonly GenesisValidator[]
  readonly nodes: readonly GenesisNode[]
  /** Raw main-chain header with its AuxPow, recent and trusted. */
  readonly mainCheckpoint: Uint8Array
}

export interface Genesis {
  readonly chainId: Uint8Array
  readonly params: NetworkParams
  /** The committed state at height 0. */
  readonly ledger: Ledger
  /** Everything in it, as the first entries of a database. */
  readonly entries: readonly StateChange[]
  /** Block 0: no transactions; its header carries chainId and stateRoot. */
  readonly block: Block
  readonly hash: Uint8Array
}

export function genesisDocument(input: GenesisInput): GenesisDocument {
  return {
    version: GENESIS_VERSION,
    params: encodeParams(input.params),
    timeMs: input.timeMs,
    allocations: [...input.allocations],
    validators: [...input.validators],
    nodes: [...input.nodes],
    mainCheckpoint: input.mainCheckpoint,
  }
}

/**
 * Builds state and block 0 from a document, which may come from a stranger, with the forks that
 * the program knows, which may not: it asserts that they fit. Faults with
 * GENESIS_VERSION, GENESIS_VALIDATORS, GENESIS_NODES, GENESIS_SUPPLY or GENESIS_CHECKPOINT, and
 * with what decoding parameters or the main header finds.
 */
export function buildGenesis(
  document: GenesisDocument,
  forks: readonly ParamsFork[] = [],
): Result<Genesis> {
  if (document.version !== GENESIS_VERSION) {
    return fault('GENESIS_VERSION', `this program knows genesis version ${GENESIS_VERSION}`)
  }
  const params = decodeParams(document.params)
  if (!params.ok) return params
  const checked = checkDocument(document, params.value)
  if (!checked.ok) return checked
  const checkpoint = decodeCheckpoint(params.value, document.mainCheckpoint)
  if (!checkpoint.ok) return checkpoint
  const chainId = chainIdOf(document)
  const schedule = withForks(params.value, forks)
  const ledger = createLedger(schedule, chainId)
  const draft = draftOf(ledger)
  const epochDataRoot = writeState(draft, document, checkpoint.value)
  assertConserved(draft)
  // Written although nothing changed it: a database holds every part of the state.
  draft.setPeg(draft.peg())
  const entries = changesOf(draft)
  merge(draft)
  const header = genesisHeader(ledger, document.timeMs, epochDataRoot)
  const block: Block = { header, body: { transactions: [] } }
  return ok({ chainId, params: schedule, ledger, entries, block, hash: blockHash(header) })
}

function checkDocument(document: GenesisDocument, params: NetworkParams): Result<undefined> {
  const { validators, nodes, allocations } = document
  const { validatorBondMin, stakeUnit } = params
  if (validators.length === 0 || validators.some(({ bond }) => bond < validatorBondMin)) {
    return fault(
      'GENESIS_VALIDATORS',
      `a network needs validators, each with a bond of at least ${validatorBondMin} units`,
    )
  }
  // Later sets follow from the stake alone: another power would only last two epochs.
  if (validators.some(({ power, bond }) => power !== stakePower(params, bond))) {
    return fault('GENESIS_VALIDATORS', `power is the bond in whole steps of ${stakeUnit} units`)
  }
  if (hasTwins(validators.map(({ consensusKey }) => consensusKey))) {
    return fault('GENESIS_VALIDATORS', 'two validators share a consensus key')
  }
  if (hasTwins(nodes.map(({ nodeKey }) => nodeKey))) {
    return fault('GENESIS_NODES', 'two nodes share a node key')
  }
  const supply =
    allocations.reduce((sum, { amount }) => sum + amount, 0n) +
    validators.reduce((sum, { bond }) => sum + bond, 0n)
  return supply <= U64_MAX
    ? ok()
    : fault('GENESIS_SUPPLY', 'allocations and bonds together exceed 64 bits', { supply })
}

function hasTwins(keys: readonly Uint8Array[]): boolean {
  return new Set(keys.map(bytesToHex)).size !== keys.length
}

/**
 * A checkpoint above the main chain's own genesis must start a retarget window: the rules walk
 * back one window to compute the next difficulty.
 */
function decodeCheckpoint(params: NetworkParams, raw: Uint8Array): Result<DecodedHeader> {
  const decoded = decodeHeaderWithAuxPow(raw)
  if (!decoded.ok) return decoded
  if (decoded.value.length !== raw.length) {
    return fault('GENESIS_CHECKPOINT', 'bytes follow the end of the main-chain header')
  }
  const window = retargetWindow(params.mainChain)
  const retargets = params.mainChain.powLimitBits !== INSTANT_POW_LIMIT_BITS
  const { height } = decoded.value.header
  if (retargets && height % window !== 0) {
    return fault('GENESIS_CHECKPOINT', `the main checkpoint's height is a multiple of ${window}`, {
      height,
    })
  }
  return decoded
}

/** Fills the draft of height 0; returns the root of epoch 0's reward tree, which is empty. */
function writeState(
  draft: LedgerDraft,
  document: GenesisDocument,
  checkpoint: DecodedHeader,
): Uint8Array {
  for (const { address, amount } of document.allocations) credit(draft, address, amount)
  for (const validator of document.validators) addValidator(draft, validator)
  for (const node of document.nodes) {
    draft.nodes.set(draft.nodes.count, newNode({ ...node, deposit: 0n, epoch: 0 }))
  }
  writeCheckpoint(draft, checkpoint)
  const { height } = checkpoint.header
  const supply =
    document.allocations.reduce((sum, { amount }) => sum + amount, 0n) +
    document.validators.reduce((sum, { bond }) => sum + bond, 0n)
  draft.setGlobals({
    ...draft.globals(),
    timeMs: document.timeMs,
    genesisSupply: supply,
    mainTipHeight: height,
    mainBaseHeight: height,
    baseFee: draft.params.baseFeePerByte,
  })
  draft.epochs.set(0, newEpoch(height, { q1: 0n, q2: 0n }, nextSet(draft, [])))
  return closeEpoch(draft, 0)
}

function addValidator(draft: LedgerDraft, validator: GenesisValidator): void {
  const { owner, payout, consensusKey, mainKey, bond } = validator
  credit(draft, owner, bond)
  // The bond stands on the owner's account; the validator's record only mirrors it.
  const moved = moveToBond(draft, owner, bond)
  assert(moved.ok, 'the bond was credited before')
  const identity = { owner, payout, consensusKey, mainKey }
  draft.validators.set(draft.validators.count, { ...newValidator(identity), bond })
}

/** The ring of main headers has all its places from the start, so that heights index it. */
function writeCheckpoint(draft: LedgerDraft, checkpoint: DecodedHeader): void {
  const empty = MainHeaderRecordType.defaultValue()
  for (let place = 0; place < MAIN_HEADERS_KEPT; place++) draft.mainHeaders.set(place, empty)
  const { height } = checkpoint.header
  draft.mainHeaders.set(height % MAIN_HEADERS_KEPT, mainHeaderRecord(checkpoint, 0n, 0))
}

function genesisHeader(ledger: Ledger, timeMs: number, epochDataRoot: Uint8Array): Header {
  assert(ledger.globals().height === 0, 'genesis stands at height 0')
  return {
    version: ledger.params.protocolVersion,
    chainId: ledger.chainId,
    epoch: 0,
    view: 0,
    height: 0,
    timeMs,
    parentHash: ZERO_HASH,
    parentView: 0,
    justHash: JustificationType.hashTreeRoot({ parent: [], skips: [] }),
    proposer: 0,
    txRoot: transactionListRoot([]),
    receiptRoot: ReceiptListType.hashTreeRoot([]),
    evidenceRoot: transactionListRoot([]),
    stateRoot: stateRoot(ledger),
    historyRoot: historyRoot(ledger.globals()),
    epochDataRoot,
    ...setHashes(ledger, 0),
  }
}
