import { assert } from '../bytes/assert.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import type { InternalHash } from '../elastos/hash-orientation.ts'
import { verifyTransactionInclusion } from '../elastos/merkle.ts'
import { decodeTransaction, type DecodedTransaction } from '../elastos/transaction.ts'
import type { NetworkParams } from '../params/network-params.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { U64_MAX, ZERO_ADDRESS } from '../types/primitives.ts'
import { DepositFailure, type DepositRecord, DepositState, type Peg } from '../types/records.ts'
import { DepositOutcome, type DepositReceipt, ReceiptKind } from '../types/receipts.ts'
import type { Deposit } from '../types/transactions.ts'
import type { TransactionContext } from './block-context.ts'
import { type DepositContent, depositContent } from './deposit-content.ts'
import { confirmationsOf, mainHeaderAt } from './main-chain.ts'
import { bookPeg, pegOfDay } from './peg-account.ts'
import { circulatingSupply } from './supply.ts'
import { receiveUnits } from './transfer.ts'

/**
 * Credits what a main-chain transaction pays to this chain's X address, once, when its block has
 * the deposit confirmations on the recorded main chain; nobody's own node is asked (PROTOCOL 9).
 * What cannot be credited is recorded as failed, for refund there. A deposit whose block was
 * replaced after its credit only gets its backing back when it is proven again.
 */
export function applyDeposit(
  draft: LedgerDraft,
  deposit: Deposit,
  context: TransactionContext,
): Result<undefined> {
  const proven = provenTransaction(draft, deposit)
  if (!proven.ok) return proven
  const { id, transaction } = proven.value
  const known = draft.depositIndex(id)
  if (known !== undefined) return backAgain(draft, deposit, context, known)
  const content = depositContent(transaction, draft.chainId, draft.params.addressPrefix)
  if (!content.ok) return content
  const judged = withinSupply(draft, content.value)
  if (judged.failure === DepositFailure.none) creditEntries(draft, deposit, context, id, judged)
  else recordFailure(draft, deposit, context, id, judged.failure)
  return ok()
}

/**
 * Main blocks that a deposit needs on top of and with its own. While the peg is paused only what
 * can no longer be replaced is credited, so a disturbed main chain makes no coin without backing.
 */
export function depositDepth(draft: LedgerDraft): number {
  return depositDepthOf(draft.params, draft.peg())
}

export function depositDepthOf(params: NetworkParams, { paused }: Readonly<Peg>): number {
  const { depositConfirmations, anchorFinalMainBlocks } = params
  return paused ? Math.max(depositConfirmations, anchorFinalMainBlocks) : depositConfirmations
}

function provenTransaction(draft: LedgerDraft, deposit: Deposit): Result<DecodedTransaction> {
  const { mainHeight, branch, branchIndex } = deposit
  const header = mainHeaderAt(draft, mainHeight)
  if (header === undefined) {
    return fault('DEPOSIT_HEADER_UNKNOWN', 'the main block of the deposit is not on record', {
      mainHeight,
    })
  }
  const confirmations = confirmationsOf(draft, mainHeight)
  const needed = depositDepth(draft)
  if (confirmations < needed) {
    return fault('DEPOSIT_UNCONFIRMED', `a deposit needs ${needed} main blocks`, {
      confirmations,
      needed,
    })
  }
  const decoded = decodeTransaction(deposit.transaction)
  if (!decoded.ok) return decoded
  const included = verifyTransactionInclusion(
    decoded.value.id,
    branch,
    branchIndex,
    header.merkleRoot,
  )
  return included.ok ? decoded : included
}

/** What no supply of 64 bits could hold is not credited, whatever the main chain says. */
function withinSupply(draft: LedgerDraft, content: DepositContent): DepositContent {
  if (content.failure !== DepositFailure.none || !('amount' in content)) return content
  const peg = draft.peg()
  const circulating = circulatingSupply(draft.globals(), peg) + content.amount
  const fits = circulating <= U64_MAX && peg.deposited + content.amount <= U64_MAX
  return fits ? content : { failure: DepositFailure.supply }
}

function creditEntries(
  draft: LedgerDraft,
  deposit: Deposit,
  context: TransactionContext,
  id: InternalHash,
  content: DepositContent,
): void {
  assert('entries' in content, 'a deposit without failure has entries')
  const { entries, amount } = content
  const index = addRecord(draft, {
    ...newRecord(deposit, context, id),
    amount,
    entries: entries.length,
  })
  for (const entry of entries) {
    receiveUnits(draft, entry.to, entry.amount)
    emitReceipt(draft, context, index, { account: entry.to, amount: entry.amount })
  }
  const peg = pegOfDay(draft, context.epoch)
  bookPeg(draft, { ...peg, deposited: peg.deposited + amount })
}

function recordFailure(
  draft: LedgerDraft,
  deposit: Deposit,
  context: TransactionContext,
  id: InternalHash,
  failure: number,
): void {
  const record = newRecord(deposit, context, id)
  const index = addRecord(draft, { ...record, state: DepositState.failed, failure })
  emitReceipt(draft, context, index, { outcome: DepositOutcome.failed, failure })
}

/** A known transaction counts again only where a reorganisation took its backing away. */
function backAgain(
  draft: LedgerDraft,
  deposit: Deposit,
  context: TransactionContext,
  known: number,
): Result<undefined> {
  const before = draft.deposits.get(known)
  assert(before !== undefined, 'an indexed deposit has its record')
  if (before.state !== DepositState.orphaned) {
    return fault('DEPOSIT_KNOWN', 'the deposit was recorded before', {
      deposit: known,
      state: before.state,
    })
  }
  const { amount, entries, mainTransaction } = before
  draft.deposits.set(known, { ...before, state: DepositState.replaced })
  const record = newRecord(deposit, context, mainTransaction)
  const index = addRecord(draft, { ...record, amount, entries })
  const peg = pegOfDay(draft, context.epoch)
  bookPeg(draft, { ...peg, unbacked: peg.unbacked - amount })
  emitReceipt(draft, context, index, { amount, outcome: DepositOutcome.backedAgain })
  return ok()
}

function newRecord(
  { mainHeight }: Deposit,
  { height }: TransactionContext,
  mainTransaction: Uint8Array,
): DepositRecord {
  return {
    mainTransaction,
    mainHeight,
    amount: 0n,
    entries: 0,
    state: DepositState.credited,
    failure: DepositFailure.none,
    height,
  }
}

function addRecord(draft: LedgerDraft, record: DepositRecord): number {
  const index = draft.deposits.count
  draft.deposits.set(index, record)
  return index
}

function emitReceipt(
  draft: LedgerDraft,
  context: TransactionContext,
  index: number,
  fields: Partial<DepositReceipt>,
): void {
  const record = draft.deposits.get(index)
  const header = record && mainHeaderAt(draft, record.mainHeight)
  assert(record !== undefined && header !== undefined, 'a deposit was just recorded')
  context.emit({
    selector: ReceiptKind.deposit,
    value: {
      deposit: index,
      mainTransaction: record.mainTransaction,
      mainHeight: record.mainHeight,
      mainHash: header.hash,
      account: ZERO_ADDRESS,
      amount: 0n,
      outcome: DepositOutcome.credited,
      failure: DepositFailure.none,
      ...fields,
    },
  })
}
