import { bytesToHex, fromHex } from '@ioex/chain/bytes'
import { type Receipt, ReceiptKind, ReceiptType } from '@ioex/chain/types'
import type { RpcClient } from '@ioex/rpc/client'

const PAGE = 200

/** Every receipt of the chain so far, decoded from its SSZ bytes. */
export async function allReceipts(rpc: RpcClient): Promise<Receipt[]> {
  const receipts: Receipt[] = []
  let cursor: string | undefined
  do {
    const page = await rpc.call('receipts_list', { limit: PAGE, ...(cursor && { cursor }) })
    for (const { ssz } of page.receipts) {
      receipts.push(ReceiptType.deserialize(fromHex(ssz)) as Receipt)
    }
    cursor = page.next ?? undefined
  } while (cursor !== undefined)
  return receipts
}

/** What the receipts say of one node. */
export interface NodeFigures {
  proofs: number
  forfeits: number
  storageReceipts: number
  relayReceipts: number
  fees: bigint
  burned: bigint
  paid: bigint
  held: bigint
  subsidy: bigint
}

function emptyFigures(): NodeFigures {
  return {
    proofs: 0,
    forfeits: 0,
    storageReceipts: 0,
    relayReceipts: 0,
    fees: 0n,
    burned: 0n,
    paid: 0n,
    held: 0n,
    subsidy: 0n,
  }
}

/** Sums by node (hex of the node key's address). */
export function figuresByNode(receipts: readonly Receipt[]): Map<string, NodeFigures> {
  const figures = new Map<string, NodeFigures>()
  const of = (node: Uint8Array): NodeFigures => {
    const key = bytesToHex(node)
    const known = figures.get(key) ?? emptyFigures()
    figures.set(key, known)
    return known
  }
  for (const { body } of receipts) {
    switch (body.selector) {
      case ReceiptKind.proof:
        of(body.value.node).proofs++
        break
      case ReceiptKind.forfeit:
        of(body.value.node).forfeits++
        break
      case ReceiptKind.reward:
        of(body.value.node).subsidy += body.value.amount
        break
      case ReceiptKind.storage:
      case ReceiptKind.relay:
        addSettlement(of(body.value.node), body)
        break
      default:
        break
    }
  }
  return figures
}

type Settlement = Extract<Receipt['body'], { selector: 1 | 2 }>

function addSettlement(figures: NodeFigures, { selector, value }: Settlement): void {
  if (selector === ReceiptKind.storage) figures.storageReceipts++
  else figures.relayReceipts++
  figures.fees += value.fee
  figures.burned += value.burned
  figures.paid += value.paid
  figures.held += value.held - value.released
}

export function totalOf(figures: Iterable<NodeFigures>): NodeFigures {
  const total = emptyFigures()
  for (const node of figures) {
    total.proofs += node.proofs
    total.forfeits += node.forfeits
    total.storageReceipts += node.storageReceipts
    total.relayReceipts += node.relayReceipts
    total.fees += node.fees
    total.burned += node.burned
    total.paid += node.paid
    total.held += node.held
    total.subsidy += node.subsidy
  }
  return total
}
