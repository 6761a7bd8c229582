import { PAGE_ITEMS_DEFAULT } from '../contract/json-forms.ts'
import type { CheckedParamsOf } from '../contract/methods.ts'
import type { Handlers } from './handler.ts'
import type { LedgerSource, ReceiptQuery } from './ledger-source.ts'
import { explanationOf } from './receipt-explanation.ts'
import { receiptView } from './record-views.ts'
import { notFound } from './rpc-fault.ts'
import { nodeAddressOf, readHex, readReceiptCursor, receiptCursor } from './subjects.ts'
import { receiptProof } from './transaction-handlers.ts'

export function receiptsHandlers(ledger: LedgerSource) {
  const prefix = ledger.params.addressPrefix
  return {
    async receipts_list(params) {
      const limit = params.limit ?? PAGE_ITEMS_DEFAULT
      const query = await readQuery(ledger, params)
      const { receipts, next } = await ledger.receipts({ ...query, limit })
      return {
        receipts: receipts.map((receipt) => receiptView(receipt, prefix)),
        next: receiptCursor(next),
      }
    },
    async receipts_get({ id, prove, explain }) {
      const receipt = await ledger.receiptById(readHex(id))
      if (!receipt)
        throw notFound('no receipt has this id: receipts_list gives those of the ledger')
      const explanation = explain ? { explanation: await explanationOf(ledger, receipt) } : {}
      const view = { receipt: receiptView(receipt, prefix), ...explanation }
      if (!prove) return view
      const block = await ledger.block(receipt.height)
      if (!block) throw notFound(`block ${receipt.height} is not on this node any more`)
      return { ...view, proof: receiptProof(block, receipt) }
    },
  } satisfies Handlers
}

async function readQuery(
  ledger: LedgerSource,
  params: CheckedParamsOf<'receipts_list'>,
): Promise<Omit<ReceiptQuery, 'limit'>> {
  const { node, rail, contract, type, fromEpoch, toEpoch, cursor } = params
  return {
    ...(node !== undefined && { node: await nodeAddressOf(ledger, node) }),
    ...(rail !== undefined && { rail }),
    ...(contract !== undefined && { contract }),
    ...(type !== undefined && { kind: type }),
    ...(fromEpoch !== undefined && { fromEpoch }),
    ...(toEpoch !== undefined && { toEpoch }),
    ...(cursor !== undefined && { from: readReceiptCursor(cursor) }),
  }
}
