import { ReceiptKind, type Receipt } from '../types/receipts.ts'
import { NONE } from '../types/records.ts'

/** Whom a receipt is about: the keys under which it is found. */
export interface ReceiptSubjects {
  readonly nodes: readonly Uint8Array[]
  readonly rail: number | undefined
  readonly contract: number | undefined
}

export function subjectsOf(receipt: Receipt): ReceiptSubjects {
  const { body } = receipt
  switch (body.selector) {
    case ReceiptKind.proof:
    case ReceiptKind.forfeit:
    case ReceiptKind.reward:
    case ReceiptKind.payout:
    case ReceiptKind.unregister:
      return { nodes: [body.value.node], rail: undefined, contract: undefined }
    case ReceiptKind.eviction: {
      const { node, rail, contract } = body.value
      return { nodes: [node], rail: some(rail), contract: some(contract) }
    }
    case ReceiptKind.storage:
    case ReceiptKind.relay:
    case ReceiptKind.close: {
      const { node, rail, contract } = body.value
      return { nodes: [node], rail, contract: some(contract) }
    }
    case ReceiptKind.refill:
    case ReceiptKind.repair: {
      const { node, rail, contract } = body.value
      return { nodes: [node], rail, contract }
    }
    case ReceiptKind.delegateFee:
      return { nodes: [], rail: body.value.rail, contract: body.value.contract }
    case ReceiptKind.contractEnd:
      return { nodes: [], rail: undefined, contract: body.value.contract }
    case ReceiptKind.anchor:
    case ReceiptKind.fee:
    case ReceiptKind.creation:
    case ReceiptKind.deposit:
    case ReceiptKind.withdrawal:
    case ReceiptKind.peg:
    case ReceiptKind.slash:
    case ReceiptKind.stake:
      return { nodes: [], rail: undefined, contract: undefined }
  }
}

function some(index: number): number | undefined {
  return index === NONE ? undefined : index
}
