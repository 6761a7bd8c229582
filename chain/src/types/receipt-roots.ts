import { ContainerType, type ValueOf } from '@chainsafe/ssz'
import { flatRootsOf, listRoot, mixInSelector } from '../bytes/flat-roots.ts'
import { HASH_BYTES } from '../bytes/hash.ts'
import { Bytes32, Count64, U32 } from './primitives.ts'
import {
  FeeReceiptType,
  type Receipt,
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
const rootsOfReceipts = flatRootsOf<Receipt>(ReceiptOfRootType)

/** hash_tree_root of a block's receipts in order; the most frequent kind is hashed in one batch. */
export function rootOfReceipts(receipts: readonly Receipt[]): Uint8Array {
  const bodies = new Uint8Array(receipts.length * HASH_BYTES)
  const fees: ValueOf<typeof FeeReceiptType>[] = []
  const places: number[] = []
  for (const [i, { body }] of receipts.entries()) {
    if (body.selector === ReceiptKind.fee) {
      fees.push(body.value)
      places.push(i)
    } else {
      bodies.set(ReceiptBodyType.hashTreeRoot(body), i * HASH_BYTES)
    }
  }
  const mixed = mixInSelector(rootsOfFees(fees), ReceiptKind.fee)
  for (const [f, i] of places.entries()) {
    bodies.set(mixed.subarray(f * HASH_BYTES, (f + 1) * HASH_BYTES), i * HASH_BYTES)
  }
  return listRoot(rootsOfReceipts(receipts, { body: bodies }), RECEIPTS_PER_BLOCK_MAX)
}
