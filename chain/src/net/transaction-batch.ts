import { ListCompositeType } from '@chainsafe/ssz'
import { decodeCanonical } from '../bytes/ssz.ts'
import { byteList } from '../types/primitives.ts'
import { TRANSACTION_BYTES_MAX } from '../types/transactions.ts'

/** Bytes of one gossiped batch of transactions. */
export const BATCH_BYTES_MAX = 1024 * 1024
const BATCH_TRANSACTIONS_MAX = 1024

/** Serialized transactions travel in batches: gossip carries few messages, not many. */
const BatchType = new ListCompositeType(byteList(TRANSACTION_BYTES_MAX), BATCH_TRANSACTIONS_MAX)

/** Packs transactions into as few batches as the bounds allow, in order. */
export function encodeBatches(transactions: readonly Uint8Array[]): Uint8Array[] {
  const batches: Uint8Array[][] = []
  let bytes = BATCH_BYTES_MAX
  for (const transaction of transactions) {
    const size = transaction.length + 4
    const last = batches.at(-1)
    if (!last || bytes + size > BATCH_BYTES_MAX || last.length === BATCH_TRANSACTIONS_MAX) {
      batches.push([transaction])
      bytes = size
    } else {
      last.push(transaction)
      bytes += size
    }
  }
  return batches.map((batch) => BatchType.serialize(batch))
}

/** Transactions of a batch from outside; none if it is malformed. */
export function decodeBatch(bytes: Uint8Array): Uint8Array[] {
  const batch = decodeCanonical(BatchType, bytes, BATCH_BYTES_MAX)
  return batch.ok ? batch.value : []
}
