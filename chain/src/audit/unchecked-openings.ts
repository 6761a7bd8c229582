import { bytesToHex, type Hex } from '../bytes/hex.ts'
import { addressOf } from '../bytes/signature.ts'
import { hasOpenings } from '../types/pruned-block.ts'
import { payloadKind, transactionId } from '../types/transaction-codec.ts'
import type { Transaction } from '../types/transactions.ts'
import type { ExportRecord } from './export-format.ts'

/** Transactions told one by one at most, of each kind. */
const LISTED_MAX = 1000

/** A transaction whose openings nobody asked had any more. */
export interface UncheckedTransaction {
  readonly height: number
  /** Position among the block's transactions. */
  readonly index: number
  readonly id: Hex
  /** Address of the node that showed them. */
  readonly node: Uint8Array
}

/**
 * Openings that were not checked, because they are gone. All else of their transactions was:
 * ids, signatures, draws, money. That the leaves were there is what the validators signed.
 */
export interface UncheckedOpenings {
  readonly kind: 'prove' | 'fill' | 'claimSlot'
  readonly count: number
  /** Transactions of this kind in all audited blocks. */
  readonly of: number
  /** Heights of the first and the last one. */
  readonly first: number
  readonly last: number
  /** The first thousand of them, oldest first. */
  readonly transactions: readonly UncheckedTransaction[]
}

interface Tally {
  count: number
  of: number
  first: number
  last: number
  readonly transactions: UncheckedTransaction[]
}

/** Counts transactions with openings, and lists those whose openings are gone. */
export class OpeningsTally {
  readonly #kinds = new Map<UncheckedOpenings['kind'], Tally>()

  add({ block, pruned }: ExportRecord): void {
    const { height } = block.header
    for (const [index, transaction] of block.body.transactions.entries()) {
      if (hasOpenings(transaction)) this.#count(transaction, { height, index }, !pruned)
    }
  }

  #count(
    transaction: Transaction,
    { height, index }: { height: number; index: number },
    isWhole: boolean,
  ): void {
    const kind = payloadKind(transaction.body) as UncheckedOpenings['kind']
    const tally = this.#kinds.get(kind) ?? { count: 0, of: 0, first: 0, last: 0, transactions: [] }
    this.#kinds.set(kind, tally)
    tally.of++
    if (isWhole) return
    if (tally.count === 0) tally.first = height
    tally.last = height
    tally.count++
    if (tally.transactions.length === LISTED_MAX) return
    const { body } = transaction
    const id = bytesToHex(transactionId(transaction))
    tally.transactions.push({ height, index, id, node: addressOf(body.sender) })
  }

  /** Kinds of which something was not checked. */
  get unchecked(): UncheckedOpenings[] {
    return [...this.#kinds]
      .filter(([, { count }]) => count > 0)
      .map(([kind, tally]) => ({ kind, ...tally }))
  }

  /** Highest height without openings; undefined where all were there. */
  get lastUnchecked(): number | undefined {
    const { unchecked } = this
    return unchecked.length === 0 ? undefined : Math.max(...unchecked.map(({ last }) => last))
  }

  /** Transactions whose openings were checked. */
  get checked(): number {
    let sum = 0
    for (const { of, count } of this.#kinds.values()) sum += of - count
    return sum
  }
}
