import { assert } from '../bytes/assert.ts'
import { bytesEqual, bytesToHex, fromHex, type Hex } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import type { ConsensusFields } from '../consensus/machine-interface.ts'
import {
  applyTransaction,
  beginBlock,
  type BlockInput,
  type BlockOutcome,
  checkHeaderRoots,
  endBlock,
  executeBlock,
} from '../rules/execute-block.ts'
import { laneOf } from '../rules/transaction-checks.ts'
import { paramsAt } from '../params/forks.ts'
import { draftOf } from '../state/ledger.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { BlockBodyType } from '../types/block.ts'
import type { Header } from '../types/consensus-objects.ts'
import type { Receipt } from '../types/receipts.ts'
import { transactionId } from '../types/transaction-codec.ts'
import { BLOCK_BODY_BYTES_MAX, type Transaction } from '../types/transactions.ts'

/** An executed block: its open draft and what it left. */
export interface Executed {
  readonly draft: LedgerDraft
  readonly transactions: readonly Transaction[]
  readonly receipts: readonly Receipt[]
  /** Hex, in order. */
  readonly transactionIds: readonly Hex[]
}

export interface ExecutionInputs {
  readonly chainId: Uint8Array
  readonly participants: readonly number[]
  isVerified(transactionRoot: Hex): boolean
}

export interface BuildInputs extends ExecutionInputs {
  readonly fields: ConsensusFields
  readonly parentHash: Hex
  readonly system: readonly Transaction[]
  readonly waiting: Iterable<Transaction>
  /** Asked before each that waits: true ends the filling. Default never. */
  readonly isTimeUp?: () => boolean
}

/** Faults that say "not in this block"; any other means the transaction can be left out for good. */
const BLOCK_IS_FULL: ReadonlySet<string> = new Set(['BLOCK_FULL'])

/** Bodies are values that several steps read: each is decoded once while somebody holds it. */
const decodedBodies = new WeakMap<Uint8Array, Transaction[]>()

/** Decodes a body from outside: bounded and canonical. */
export function decodeBody(bytes: Uint8Array): Result<Transaction[]> {
  const known = decodedBodies.get(bytes)
  if (known) return ok(known)
  const body = decodeCanonical(BlockBodyType, bytes, BLOCK_BODY_BYTES_MAX)
  if (!body.ok) return body
  const transactions = body.value.transactions as Transaction[]
  decodedBodies.set(bytes, transactions)
  return ok(transactions)
}

/** Executes a proposed block on its parent's ledger and compares every root its header states. */
export function executeOn(
  parent: LedgerDraft,
  header: Header,
  transactions: readonly Transaction[],
  inputs: ExecutionInputs,
): Result<Executed> {
  const { protocolVersion } = paramsAt(parent.params, header.epoch)
  if (header.version !== protocolVersion) {
    const { version, epoch } = header
    const message = `epoch ${epoch} has protocol version ${protocolVersion}, not ${version}`
    return fault('BLOCK_VERSION', message, { version, epoch, protocolVersion })
  }
  if (!bytesEqual(header.chainId, inputs.chainId)) {
    return fault('BLOCK_CHAIN', 'the block is of another chain')
  }
  const draft = draftOf(parent)
  const block: BlockInput = { ...placeOf(header, inputs), parentHash: header.parentHash }
  const outcome = executeBlock(draft, transactions, block, inputs)
  if (!outcome.ok) return outcome
  const same = checkHeaderRoots(header, outcome.value.roots)
  return same.ok ? ok(executed(draft, outcome.value)) : same
}

/**
 * Fills a block on a parent's ledger: the system lane, which is bounded by its own bytes, then
 * whatever of the rest still fits and there is time for.
 */
export function buildOn(parent: LedgerDraft, inputs: BuildInputs): Executed & { header: Header } {
  const { fields, isTimeUp = () => false } = inputs
  const draft = draftOf(parent)
  const parentHash = fromHex(inputs.parentHash)
  const begun = beginBlock(draft, { ...placeOf(fields, inputs), parentHash })
  assert(begun.ok, 'consensus gives a block its place')
  for (const transaction of inputs.system) applyTransaction(begun.value, transaction, inputs)
  for (const transaction of inputs.waiting) {
    if (isTimeUp()) break
    const applied = applyTransaction(begun.value, transaction, inputs)
    if (!applied.ok && BLOCK_IS_FULL.has(applied.fault.code)) break
  }
  const outcome = endBlock(begun.value)
  const header: Header = {
    version: draft.params.protocolVersion,
    chainId: inputs.chainId,
    ...fields,
    ...outcome.roots,
  }
  return { ...executed(draft, outcome), header }
}

/**
 * What waits, less what a block below that is not final yet holds already. Where a nonce does not
 * forbid it, a redeem could stand in both and pay its byte fee twice.
 */
export function* notYetIn(
  waiting: Iterable<Transaction>,
  held: ReadonlySet<Hex>,
): Iterable<Transaction> {
  for (const transaction of waiting) {
    const mayRepeat = held.size > 0 && laneOf(transaction.body) !== 'account'
    if (mayRepeat && held.has(bytesToHex(transactionId(transaction)))) continue
    yield transaction
  }
}

function placeOf(
  { height, epoch, timeMs, proposer }: ConsensusFields,
  { participants }: ExecutionInputs,
): Omit<BlockInput, 'parentHash'> {
  return { height, epoch, timeMs, proposer, participants }
}

function executed(draft: LedgerDraft, { transactions, receipts }: BlockOutcome): Executed {
  const transactionIds = transactions.map((transaction) => bytesToHex(transactionId(transaction)))
  return { draft, transactions, receipts, transactionIds }
}
