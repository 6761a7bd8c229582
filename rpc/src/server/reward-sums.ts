import type { NodeIncome } from '@ioex/chain/rules'
import { type Epoch, type Node, type Receipt, ReceiptKind } from '@ioex/chain/types'
import type { LedgerSource } from './ledger-source.ts'
import { eachReceipt } from './receipt-pages.ts'

export function addSums(total: NodeIncome, part: NodeIncome): void {
  total.fees += part.fees
  total.burned += part.burned
  total.toValidators += part.toValidators
  total.net += part.net
  total.held += part.held
  total.released += part.released
  total.forfeited += part.forfeited
  total.byteFees += part.byteFees
  total.debtPaid += part.debtPaid
  total.paid += part.paid
  total.subsidy += part.subsidy
  total.forfeits += part.forfeits
}

export function sumsToJson(sums: NodeIncome) {
  return {
    fees: sums.fees.toString(),
    burned: sums.burned.toString(),
    toValidators: sums.toValidators.toString(),
    net: sums.net.toString(),
    held: sums.held.toString(),
    released: sums.released.toString(),
    forfeited: sums.forfeited.toString(),
    byteFees: sums.byteFees.toString(),
    debtPaid: sums.debtPaid.toString(),
    paid: sums.paid.toString(),
    subsidy: sums.subsidy.toString(),
    forfeits: sums.forfeits,
  }
}

/**
 * A node's receipts by the epoch they count for: settlements and forfeits in the epoch that
 * booked them, subsidies in their source epoch, which lies before the one that credited them.
 */
export async function receiptsByEpoch(
  ledger: LedgerSource,
  node: Uint8Array,
  fromEpoch: number,
  toEpoch: number,
): Promise<Map<number, Receipt[]>> {
  const byEpoch = new Map<number, Receipt[]>()
  const add = (epoch: number, receipt: Receipt) => {
    const list = byEpoch.get(epoch)
    if (list) list.push(receipt)
    else byEpoch.set(epoch, [receipt])
  }
  for await (const receipt of eachReceipt(ledger, { node, fromEpoch, toEpoch })) {
    if (receipt.body.selector !== ReceiptKind.reward) add(receipt.epoch, receipt)
  }
  for await (const receipt of eachReceipt(ledger, { node, kind: 'reward', fromEpoch })) {
    if (receipt.body.selector !== ReceiptKind.reward) continue
    const source = receipt.body.value.epoch
    // A node's subsidies are credited in the order of their source epochs.
    if (source > toEpoch) break
    if (source >= fromEpoch) add(source, receipt)
  }
  return byEpoch
}

/**
 * The subsidy that waits for the node's next touch: floor(M(e) x fee / F(e)), known once the
 * epoch is closed (PROTOCOL 7). Undefined when nothing of the epoch is pending.
 */
export function pendingSubsidy(
  node: Node | undefined,
  epoch: number,
  record: Epoch | undefined,
  isClosed: boolean,
): bigint | undefined {
  if (!node || node.pendingEpoch !== epoch || node.pendingFee === 0n) return undefined
  if (!record || !isClosed || record.fees === 0n) return 0n
  return (record.emission * node.pendingFee) / record.fees
}
