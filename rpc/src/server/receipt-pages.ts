import type { Receipt } from '@ioex/chain/types'
import type { LedgerSource, ReceiptPosition, ReceiptQuery } from './ledger-source.ts'
import { RpcFault } from './rpc-fault.ts'

/** Receipts of a page, and pages that one call reads, however few receipts are on them. */
const RECEIPTS_PER_PAGE = 1000
const PAGES_PER_CALL_MAX = 100

/** All receipts that the query finds, in order, without holding more than one page of them. */
export async function* eachReceipt(
  ledger: LedgerSource,
  query: Omit<ReceiptQuery, 'limit' | 'from'>,
): AsyncGenerator<Receipt> {
  let from: ReceiptPosition | undefined
  for (let page = 0; page < PAGES_PER_CALL_MAX; page++) {
    const found = await ledger.receipts({
      ...query,
      ...(from && { from }),
      limit: RECEIPTS_PER_PAGE,
    })
    yield* found.receipts
    if (!found.next) return
    from = found.next
  }
  throw new RpcFault(
    'LIMIT_EXCEEDED',
    'too many receipts for one answer: ask for fewer epochs, or page through receipts_list',
  )
}
