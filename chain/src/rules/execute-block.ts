import { assert } from '../bytes/assert.ts'
import { bytesEqual, bytesToHex, type Hex } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { addressOf } from '../bytes/signature.ts'
import { epochOfHeight, isCheckpointHeight } from '../params/network-params.ts'
import { appendHistory, historyRoot } from '../state/history-list.ts'
import { clear, draftOf, mergeAndClear, stateRoot } from '../state/ledger.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import type { Header } from '../types/consensus-objects.ts'
import { ZERO_ADDRESS, ZERO_HASH } from '../types/primitives.ts'
import { type Receipt, type ReceiptBody, RECEIPTS_PER_BLOCK_MAX } from '../types/receipts.ts'
import { rootOfReceipts } from '../types/receipt-roots.ts'
import { hasOpenings } from '../types/pruned-block.ts'
import { prepareRoots } from '../types/transaction-roots.ts'
import {
  payloadKind,
  transactionBytes,
  transactionId,
  transactionListRoot,
  transactionRoot,
  verifyTransaction,
} from '../types/transaction-codec.ts'
import {
  BLOCK_BODY_BYTES_MAX,
  type Transaction,
  TRANSACTIONS_PER_BLOCK_MAX,
} from '../types/transactions.ts'
import { raiseNonce } from './accounts.ts'
import { applyPayload } from './apply-payload.ts'
import { nextBaseFee, ORDINARY_BODY_BYTES_MAX } from './base-fee.ts'
import type { BlockContext, TransactionContext } from './block-context.ts'
import { closeEpoch, recordCheckpoint } from './epoch-boundary.ts'
import { chargeFee } from './fees.ts'
import { recordVotes } from './recent-votes.ts'
import { assertConserved } from './supply.ts'
import { checkAccount, checkForm, laneOf } from './transaction-checks.ts'
import { withShapedOpenings } from './shaped-openings.ts'
import { setHashes, setMembers } from './validator-set.ts'

/** Serialized body beside its transactions: the list's offset, and an offset per transaction. */
const OFFSET_BYTES = 4

/** Where a block stands and what consensus says of it. */
export interface BlockInput extends BlockContext {
  readonly parentHash: Uint8Array
}

export interface ExecutionOptions {
  /**
   * True for a transaction whose signature this node checked before. The key is the hex of
   * transactionRoot (signature included), never the id alone.
   */
  readonly isVerified?: (transactionRoot: Hex) => boolean
  /**
   * The block's openings are gone (types/pruned-block.ts), and it is believed that they were
   * true, as the validators said who made it final. Everything else is executed and checked.
   * For auditors, who then say what they could not check; never for a node.
   */
  readonly believesOpenings?: boolean
}

/** A block in execution: its own draft, what it holds so far and what that left. */
export interface BlockExecution {
  readonly draft: LedgerDraft
  /** Over the draft, empty: where a transaction is tried before it stands in the block. */
  readonly attempt: LedgerDraft
  readonly block: BlockInput
  readonly transactions: Transaction[]
  readonly receipts: Receipt[]
  /** Serialized size of the body so far. */
  bytes: number
  /** The part of it that is neither system lane nor proofs. */
  ordinaryBytes: number
}

/** Header fields that follow from executing the block. */
export type BlockRoots = Pick<
  Header,
  | 'txRoot'
  | 'receiptRoot'
  | 'evidenceRoot'
  | 'stateRoot'
  | 'historyRoot'
  | 'epochDataRoot'
  | 'validatorsHash'
  | 'nextValidatorsHash'
>

export interface BlockOutcome {
  readonly transactions: readonly Transaction[]
  readonly receipts: readonly Receipt[]
  readonly roots: BlockRoots
}

/**
 * Executes a whole block into `draft`, which must be fresh over its parent's ledger and is to be
 * dropped on a fault. The first faulting transaction makes the block invalid.
 */
export function executeBlock(
  draft: LedgerDraft,
  transactions: readonly Transaction[],
  block: BlockInput,
  options: ExecutionOptions = {},
): Result<BlockOutcome> {
  const begun = beginBlock(draft, block)
  if (!begun.ok) return begun
  prepareRoots(transactions)
  for (const transaction of transactions) {
    const isBelieved = options.believesOpenings === true && hasOpenings(transaction)
    const tried = isBelieved ? withShapedOpenings(draft, transaction, block.epoch) : transaction
    const applied = applyTransaction(begun.value, tried, options)
    if (!applied.ok) return applied
  }
  return ok(endBlock(begun.value))
}

/**
 * Opens a block: position, history, votes of the parent, and, in an epoch's first block, the
 * checkpoint before it. Faults with BLOCK_HEIGHT, BLOCK_EPOCH, BLOCK_TIME, BLOCK_PROPOSER or
 * BLOCK_PARTICIPANTS.
 */
export function beginBlock(draft: LedgerDraft, block: BlockInput): Result<BlockExecution> {
  const placed = checkPlace(draft, block)
  if (!placed.ok) return placed
  const { height, epoch, timeMs, parentHash } = block
  const isFirst = epochOfHeight(draft.params, height - 1) !== epoch
  if (isFirst) recordCheckpoint(draft, epoch, parentHash)
  const parent = { hash: parentHash, epoch: epochOfHeight(draft.params, height - 1) }
  recordVotes(draft, parent, block.participants)
  const globals = draft.globals()
  draft.setGlobals({ ...globals, ...appendHistory(globals, parentHash), height, epoch, timeMs })
  const transactions: Transaction[] = []
  return ok({
    draft,
    attempt: draftOf(draft),
    block,
    transactions,
    receipts: [],
    bytes: OFFSET_BYTES,
    ordinaryBytes: 0,
  })
}

function checkPlace(draft: LedgerDraft, block: BlockInput): Result<undefined> {
  const { height, epoch, timeMs, proposer, participants } = block
  const globals = draft.globals()
  if (height !== globals.height + 1) {
    return fault('BLOCK_HEIGHT', `height ${height} does not follow ${globals.height}`)
  }
  if (epoch !== epochOfHeight(draft.params, height)) {
    return fault('BLOCK_EPOCH', `height ${height} is not in epoch ${epoch}`)
  }
  if (timeMs <= globals.timeMs) {
    return fault('BLOCK_TIME', `the time of a block is after its parent's`, {
      timeMs,
      parentTimeMs: globals.timeMs,
    })
  }
  if (setMembers(draft, epoch)?.[proposer] === undefined) {
    return fault('BLOCK_PROPOSER', "the proposer is not in the epoch's set")
  }
  const { length: count } = parentMembers(draft, height)
  const ascending = participants.every((index, i) => i === 0 || index > (participants[i - 1] ?? 0))
  if (!ascending || participants.some((index) => index < 0 || index >= count)) {
    return fault('BLOCK_PARTICIPANTS', 'participants are indexes of the set in ascending order')
  }
  return ok()
}

/** The set that voted for the parent of the block at a height: in a first block, the one before. */
function parentMembers(draft: LedgerDraft, height: number) {
  const members = setMembers(draft, epochOfHeight(draft.params, height - 1))
  assert(members !== undefined, 'the set of a past epoch is on record')
  return members
}

/**
 * Adds one transaction to a block, or returns why it cannot stand there and leaves everything as
 * it was. Checks go from cheap to dear, the signature last.
 */
export function applyTransaction(
  execution: BlockExecution,
  transaction: Transaction,
  options: ExecutionOptions = {},
): Result<undefined> {
  const { draft, attempt, block } = execution
  const bytes = transactionBytes(transaction)
  const fits = checkFits(execution, transaction, bytes)
  if (!fits.ok) return fits
  const form = checkForm(transaction, bytes, block.height)
  if (!form.ok) return form
  const emitted: ReceiptBody[] = []
  const believesOpenings = options.believesOpenings === true
  const context = { ...contextOf(block, transaction, bytes, emitted), believesOpenings }
  try {
    const applied = tryBody(execution, transaction, context, emitted)
    const signed = applied.ok ? checkSignature(draft, transaction, options) : applied
    if (!signed.ok) return signed
    mergeAndClear(attempt)
  } finally {
    // After a failed assertion too: nothing of this transaction may stand in the next one's try.
    clear(attempt)
  }
  addReceipts(execution, emitted)
  execution.transactions.push(transaction)
  execution.bytes += bytes + OFFSET_BYTES
  if (isOrdinary(transaction)) execution.ordinaryBytes += bytes + OFFSET_BYTES
  return ok()
}

/** Executes it into the block's attempt, if the block has room for its receipts. */
function tryBody(
  { attempt, receipts }: BlockExecution,
  transaction: Transaction,
  context: TransactionContext,
  emitted: readonly ReceiptBody[],
): Result<undefined> {
  const applied = applyBody(attempt, transaction, context)
  if (!applied.ok) return applied
  return receipts.length + emitted.length > RECEIPTS_PER_BLOCK_MAX
    ? fault('BLOCK_FULL', 'the block has no room for the receipts of this transaction')
    : ok()
}

function applyBody(
  attempt: LedgerDraft,
  { body }: Transaction,
  context: TransactionContext,
): Result<undefined> {
  if (laneOf(body) === 'account') {
    const able = checkAccount(attempt, body, context.senderAddress, context.bytes)
    if (!able.ok) return able
    const charged = chargeFee(attempt, body, context)
    if (!charged.ok) return charged
    raiseNonce(attempt, context.senderAddress)
  }
  return applyPayload(attempt, body.payload, context)
}

function contextOf(
  block: BlockInput,
  transaction: Transaction,
  bytes: number,
  emitted: ReceiptBody[],
): TransactionContext {
  const { body } = transaction
  const { sender } = body
  const senderAddress = laneOf(body) === 'system' ? ZERO_ADDRESS : addressOf(sender)
  return {
    ...block,
    sender,
    senderAddress,
    bytes,
    transactionId: () => transactionId(transaction),
    emit: (receipt) => void emitted.push(receipt),
  }
}

function checkSignature(
  draft: LedgerDraft,
  transaction: Transaction,
  options: ExecutionOptions,
): Result<undefined> {
  if (laneOf(transaction.body) === 'system') return ok()
  const { isVerified } = options
  if (isVerified?.(bytesToHex(transactionRoot(transaction)))) return ok()
  return verifyTransaction(transaction, draft.chainId)
    ? ok()
    : fault('SIGNATURE_INVALID', 'the signature is not by the sender over this transaction')
}

/** Room in the block, and the order of its lanes (PROTOCOL 4). */
function checkFits(
  execution: BlockExecution,
  transaction: Transaction,
  bytes: number,
): Result<undefined> {
  const { transactions } = execution
  const size = bytes + OFFSET_BYTES
  if (
    transactions.length >= TRANSACTIONS_PER_BLOCK_MAX ||
    execution.bytes + size > BLOCK_BODY_BYTES_MAX
  ) {
    return fault('BLOCK_FULL', 'the block has no room for this transaction')
  }
  if (isOrdinary(transaction) && execution.ordinaryBytes + size > ORDINARY_BODY_BYTES_MAX) {
    return fault('LANE_FULL', 'the rest of the block is kept for proofs')
  }
  const last = transactions.at(-1)
  const afterOthers = last !== undefined && laneOf(last.body) !== 'system'
  if (laneOf(transaction.body) === 'system' && afterOthers) {
    return fault('LANE_ORDER', 'headers and anchors stand before all other transactions')
  }
  return ok()
}

function isEvidence({ body }: Transaction): boolean {
  return payloadKind(body) === 'evidence'
}

function isOrdinary({ body }: Transaction): boolean {
  return laneOf(body) !== 'system' && payloadKind(body) !== 'prove'
}

/** Receipts of the transaction that is about to be added get their places. */
function addReceipts(execution: BlockExecution, bodies: readonly ReceiptBody[]): void {
  const { block, receipts, transactions } = execution
  const { height, epoch } = block
  for (const body of bodies) {
    const index = receipts.length
    receipts.push({ height, epoch, transaction: transactions.length, index, body })
  }
}

/** Closes the block: at a checkpoint the epoch too. Asserts that no unit came from nowhere. */
export function endBlock(execution: BlockExecution): BlockOutcome {
  const { draft, block, transactions, receipts } = execution
  const isCheckpoint = isCheckpointHeight(draft.params, block.height)
  const epochDataRoot = isCheckpoint ? closeEpoch(draft, block.epoch) : ZERO_HASH
  const globals = draft.globals()
  const { baseFeePerByte } = draft.params
  const baseFee = nextBaseFee(baseFeePerByte, globals.baseFee, execution.ordinaryBytes)
  draft.setGlobals({ ...globals, baseFee })
  assertConserved(draft)
  const roots: BlockRoots = {
    txRoot: transactionListRoot(transactions),
    receiptRoot: rootOfReceipts(receipts),
    evidenceRoot: transactionListRoot(transactions.filter(isEvidence)),
    stateRoot: stateRoot(draft),
    historyRoot: historyRoot(draft.globals()),
    epochDataRoot,
    ...setHashes(draft, block.epoch),
  }
  return { transactions, receipts, roots }
}

/** Whether a header states what executing its block gave; names the first field that does not. */
export function checkHeaderRoots(header: Header, roots: BlockRoots): Result<undefined> {
  for (const name of Object.keys(roots) as (keyof BlockRoots)[]) {
    if (!bytesEqual(header[name], roots[name])) {
      return fault('BLOCK_ROOT', `the header's ${name} is not what executing the block gives`, {
        name,
        stated: bytesToHex(header[name]),
        computed: bytesToHex(roots[name]),
      })
    }
  }
  return ok()
}
