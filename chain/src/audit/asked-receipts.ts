import { bytesEqual } from '../bytes/hex.ts'
import { type Receipt, ReceiptKind } from '../types/receipts.ts'
import type { ReceiptQuestion } from './audited-node.ts'

/** Receipts kept for comparison and statements at most; about a kilobyte each. */
const KEPT_MAX = 50_000

/**
 * Keeps the receipts that a question is about, as the replay brings them: what a node must list
 * for the same question, and what a statement of those epochs is made of.
 */
export class AskedReceipts {
  readonly question: ReceiptQuestion
  #listed: Receipt[] = []
  /** Subsidies for the asked epoch, which are booked in a later one. */
  #later: Receipt[] = []
  #overflowed = false

  constructor(question: ReceiptQuestion) {
    this.question = question
  }

  /** True when there were too many to keep: then nothing was. */
  get overflowed(): boolean {
    return this.#overflowed
  }

  /** Receipts that answer the question, oldest first. */
  get listed(): readonly Receipt[] {
    return this.#listed
  }

  /** Everything a statement of the asked node and epoch is made of, oldest first. */
  get forStatements(): readonly Receipt[] {
    return [...this.#listed, ...this.#later]
  }

  add(receipts: readonly Receipt[]): void {
    if (this.#overflowed) return
    for (const receipt of receipts) {
      if (isAsked(receipt, this.question)) this.#listed.push(receipt)
      else if (isLaterSubsidy(receipt, this.question)) this.#later.push(receipt)
    }
    if (this.#listed.length + this.#later.length <= KEPT_MAX) return
    this.#overflowed = true
    this.#listed = []
    this.#later = []
  }
}

/** True where a receipt answers the question: all given conditions hold. */
export function isAsked(receipt: Receipt, { epoch, node, contract }: ReceiptQuestion): boolean {
  if (epoch !== undefined && receipt.epoch !== epoch) return false
  if (node !== undefined && !isOfNode(receipt, node)) return false
  if (contract === undefined) return true
  const { value } = receipt.body
  return 'contract' in value && value.contract === contract
}

function isLaterSubsidy(receipt: Receipt, { epoch, node, contract }: ReceiptQuestion): boolean {
  const { body } = receipt
  if (body.selector !== ReceiptKind.reward || contract !== undefined) return false
  return body.value.epoch === epoch && (node === undefined || isOfNode(receipt, node))
}

function isOfNode({ body: { value } }: Receipt, node: Uint8Array): boolean {
  return 'node' in value && bytesEqual(value.node, node)
}
