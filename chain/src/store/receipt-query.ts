import { bytesToHex } from '../bytes/hex.ts'
import type { ReceiptFilter, ReceiptPosition } from '../manager/chain-store.ts'
import { type Receipt, ReceiptKind } from '../types/receipts.ts'
import { indexKey, Prefix, receiptKey, u32Key } from './layout.ts'
import { subjectsOf } from './receipt-subjects.ts'

/** Receipts that one page looks at: a caller whose condition none fulfils buys no more work. */
export const RECEIPT_READS_MAX = 10_000

/** The narrowest index that the filter allows, as a key range. */
export function rangeOf(filter: ReceiptFilter, start: ReceiptPosition | undefined) {
  const from = start ?? { height: filter.fromHeight, index: 0 }
  const key = (height: number, index: number) => {
    if (filter.rail !== undefined) {
      return indexKey(Prefix.byRail, u32Key(filter.rail), height, index)
    }
    if (filter.contract !== undefined) {
      return indexKey(Prefix.byContract, u32Key(filter.contract), height, index)
    }
    if (filter.node !== undefined) return indexKey(Prefix.byNode, filter.node, height, index)
    return receiptKey(height, index)
  }
  return { gte: key(from.height, from.index), lt: key(filter.toHeight + 1, 0) }
}

export function matches(receipt: Receipt, filter: ReceiptFilter): boolean {
  if (filter.kind !== undefined && receipt.body.selector !== ReceiptKind[filter.kind]) return false
  const { nodes, rail, contract } = subjectsOf(receipt)
  if (filter.rail !== undefined && rail !== filter.rail) return false
  if (filter.contract !== undefined && contract !== filter.contract) return false
  const wanted = filter.node
  if (wanted === undefined) return true
  return nodes.some((node) => bytesToHex(node) === bytesToHex(wanted))
}
