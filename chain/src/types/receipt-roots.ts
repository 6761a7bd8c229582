import { ContainerType, type ValueOf } from '@chainsafe/ssz'
import { flatRootsOf, listRoot, unionRootsOf } from '../bytes/flat-roots.ts'
import { Bytes32, Count64, U32 } from './primitives.ts'
import {
  FeeReceiptType,
  type Receipt,
  type ReceiptBody,
  ReceiptBodyType,
  ReceiptKind,
  RECEIPTS_PER_BLOCK_MAX,
} from './receipts.ts'

/** A receipt with the root of its body. */
const ReceiptOfRootType = new ContainerType({
  height: Count64,
  epoch: U32,
  transaction: U32,
  index: U32,
  body: Bytes32,
})

const rootsOfFees = flatRootsOf<ValueOf<typeof FeeReceiptType>>(FeeReceiptType)
const rootsOfReceiptBodies = unionRootsOf<ReceiptBody, typeof ReceiptKind.fee>(
  ReceiptBodyType,
  ReceiptKind.fee,
  rootsOfFees,
)
const rootsOfReceipts = flatRootsOf<Receipt>(ReceiptOfRootType)

/** hash_tree_root of a block's receipts in order; the most frequent kind is hashed in one batch. */
export function rootOfReceipts(receipts: readonly Receipt[]): Uint8Array {
  const body = rootsOfReceiptBodies(receipts.map((receipt) => receipt.body))
  return listRoot(rootsOfReceipts(receipts, { body }), RECEIPTS_PER_BLOCK_MAX)
}
