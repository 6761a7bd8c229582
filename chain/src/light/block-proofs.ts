import { checkListProof, type ListProof } from '../bytes/list-proof.ts'
import { ok, type Result } from '../bytes/result.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import type { Header } from '../types/consensus-objects.ts'
import { type Receipt, RECEIPTS_PER_BLOCK_MAX, ReceiptType } from '../types/receipts.ts'
import {
  type Transaction,
  TRANSACTION_BYTES_MAX,
  TRANSACTIONS_PER_BLOCK_MAX,
  TransactionType,
} from '../types/transactions.ts'

/** Longest serialized receipt that a reader takes. */
export const RECEIPT_BYTES_MAX = 4096

/** Where an element stands in its block's list. */
export type BlockBranch = Pick<ListProof, 'index' | 'branch'>

/** A transaction whose bytes stand at `index` of the block with this header. */
export function verifyTransactionIn(
  { txRoot }: Header,
  bytes: Uint8Array,
  branch: BlockBranch,
): Result<Transaction> {
  const decoded = decodeCanonical(TransactionType, bytes, TRANSACTION_BYTES_MAX)
  if (!decoded.ok) return decoded
  const leaf = TransactionType.hashTreeRoot(decoded.value)
  const listed = checkListProof({ ...branch, leaf, root: txRoot }, TRANSACTIONS_PER_BLOCK_MAX)
  return listed.ok ? ok(decoded.value as Transaction) : listed
}

/** A receipt whose bytes stand at `index` of the block with this header. */
export function verifyReceiptIn(
  { receiptRoot }: Header,
  bytes: Uint8Array,
  branch: BlockBranch,
): Result<Receipt> {
  const decoded = decodeCanonical(ReceiptType, bytes, RECEIPT_BYTES_MAX)
  if (!decoded.ok) return decoded
  const leaf = ReceiptType.hashTreeRoot(decoded.value)
  const listed = checkListProof({ ...branch, leaf, root: receiptRoot }, RECEIPTS_PER_BLOCK_MAX)
  return listed.ok ? ok(decoded.value as Receipt) : listed
}
