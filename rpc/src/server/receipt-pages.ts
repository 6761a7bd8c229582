import type { Receipt } from '@ioex/chain/types'
import type { LedgerSource, ReceiptQuery } from './ledger-source.ts'
import { RpcFault } from './rpc-fault.ts'

/** Receipts read from the source at a time, and by one call in all. */
const RECEIPTS_PER_READ = 1000
const RECEIPTS_PER_CALL_MAX = 100_000

/** All receipts that the query finds, in order, without holding more than one read of them. */
export async function* eachReceipt(
  ledger: LedgerSource,
  query: Omit<ReceiptQuery, 'limit' | 'after'>,
): AsyncGenerator<Receipt> {
  let after: ReceiptQuery['after']
  let count = 0
  for (;;) {
    const found = await ledger.receipts({
      ...query,
      ...(after && { after }),
      limit: RECEIPTS_PER_READ,
    })
    yield* found
    count += found.length
    const last = found.at(-1)
    if (!last || found.length < RECEIPTS_PER_READ) return
    if (count >= RECEIPTS_PER_CALL_MAX) {
      throw new RpcFault(
        'LIMIT_EXCEEDED',
        'too many receipts for one answer: ask for fewer epochs, or page through receipts_list',
      )
    }
    after = { height: last.height, index: last.index }
  }
}
