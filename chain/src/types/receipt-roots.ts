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
const rootsOfReceipts = flatRootsOf<ValueOf<typeof ReceiptOfRootType>>(ReceiptOfRootType)

/** hash_tree_root of a block's receipts in order; the most frequent kind is hashed in one batch. */
export function rootOfReceipts(receipts: readonly Receipt[]): Uint8Array {
  const bodies: Uint8Array[] = []
  const fees: ValueOf<typeof FeeReceiptType>[] = []
  const places: number[] = []
  for (const [i, { body }] of receipts.entries()) {
    if (body.selector === ReceiptKind.fee) {
      fees.push(body.value)
      places.push(i)
    } else {
      bodies[i] = ReceiptBodyType.hashTreeRoot(body)
    }
  }
  const mixed = mixInSelector(rootsOfFees(fees), ReceiptKind.fee)
  for (const [f, i] of places.entries()) {
    bodies[i] = mixed.subarray(f * HASH_BYTES, (f + 1) * HASH_BYTES)
  }
  const roots = rootsOfReceipts(
    receipts.map((receipt, i) => ({ ...receipt, body: bodies[i] as Uint8Array })),
  )
  return listRoot(roots, RECEIPTS_PER_BLOCK_MAX)
}
