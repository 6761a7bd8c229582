import { type Receipt, ReceiptKind } from '../types/receipts.ts'

/** What receipts book for a node, units (PROTOCOL 7); `forfeits` is a count. */
export interface NodeIncome {
  /** Fees moved to the node by redeems and closes, and what they burned and shared. */
  fees: bigint
  burned: bigint
  toValidators: bigint
  net: bigint
  /** Of net: kept back, and of what was kept back earlier: paid out now. */
  held: bigint
  released: bigint
  /** Held pay lost by eviction or loss. */
  forfeited: bigint
  byteFees: bigint
  debtPaid: bigint
  /** What reached the payout address for the fees: net - held + released - byteFees - debtPaid. */
  paid: bigint
  subsidy: bigint
  forfeits: number
}

export const noIncome = (): NodeIncome => ({
  fees: 0n,
  burned: 0n,
  toValidators: 0n,
  net: 0n,
  held: 0n,
  released: 0n,
  forfeited: 0n,
  byteFees: 0n,
  debtPaid: 0n,
  paid: 0n,
  subsidy: 0n,
  forfeits: 0,
})

/**
 * Adds what the receipt books. Released pay stands in the settlement of a close; the close's own
 * receipt only repeats it. At an eviction, the receipts of the single rails say what was lost.
 */
export function addReceipt(income: NodeIncome, { body }: Receipt): void {
  switch (body.selector) {
    case ReceiptKind.storage:
    case ReceiptKind.relay:
      addSettlement(income, body.value)
      income.held += body.value.held
      income.released += body.value.released
      return
    case ReceiptKind.repair:
      addSettlement(income, body.value)
      return
    case ReceiptKind.payout:
      income.byteFees += body.value.byteFee
      income.debtPaid += body.value.debtPaid
      income.paid += body.value.paid
      return
    case ReceiptKind.eviction:
      income.forfeited += body.value.burned + body.value.toPots
      return
    case ReceiptKind.reward:
      income.subsidy += body.value.amount
      return
    case ReceiptKind.forfeit:
      income.forfeits += 1
      return
    case ReceiptKind.proof:
    case ReceiptKind.anchor:
    case ReceiptKind.close:
    case ReceiptKind.fee:
    case ReceiptKind.creation:
    case ReceiptKind.contractEnd:
    case ReceiptKind.deposit:
    case ReceiptKind.withdrawal:
    case ReceiptKind.peg:
    case ReceiptKind.refill:
    case ReceiptKind.delegateFee:
    case ReceiptKind.slash:
    case ReceiptKind.stake:
    case ReceiptKind.unregister:
      return
  }
}

type Settlement = Pick<NodeIncome, 'fees' | 'burned' | 'toValidators' | 'net'>

function addSettlement(
  income: Settlement,
  { fee, burned, toValidators, net }: Omit<Settlement, 'fees'> & { readonly fee: bigint },
): void {
  income.fees += fee
  income.burned += burned
  income.toValidators += toValidators
  income.net += net
}
