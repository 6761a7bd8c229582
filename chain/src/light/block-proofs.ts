import type { Type } from '@chainsafe/ssz'
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
  return verifyElement<Transaction>(TransactionType, bytes, TRANSACTION_BYTES_MAX, {
    ...branch,
    root: txRoot,
    limit: TRANSACTIONS_PER_BLOCK_MAX,
  })
}

/** A receipt whose bytes stand at `index` of the block with this header. */
export function verifyReceiptIn(
  { receiptRoot }: Header,
  bytes: Uint8Array,
  branch: BlockBranch,
): Result<Receipt> {
  return verifyElement<Receipt>(ReceiptType, bytes, RECEIPT_BYTES_MAX, {
    ...branch,
    root: receiptRoot,
    limit: RECEIPTS_PER_BLOCK_MAX,
  })
}

/** An element of a list of this limit. SSZ types unions wider than our own type says. */
function verifyElement<T>(
  type: Type<unknown>,
  bytes: Uint8Array,
  bytesMax: number,
  { limit, ...place }: Omit<ListProof, 'leaf'> & { readonly limit: number },
): Result<T> {
  const decoded = decodeCanonical(type, bytes, bytesMax)
  if (!decoded.ok) return decoded
  const listed = checkListProof({ ...place, leaf: type.hashTreeRoot(decoded.value) }, limit)
  return listed.ok ? ok(decoded.value as T) : listed
}
