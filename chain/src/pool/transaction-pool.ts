import { bytesToHex, type Hex } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { laneOf } from '../rules/transaction-checks.ts'
import { type Payload, PayloadKind, type Transaction } from '../types/transactions.ts'
import { addressOf } from '../bytes/signature.ts'

export const POOL_TRANSACTIONS_MAX = 10_000
export const POOL_BYTES_MAX = 16 * 1024 * 1024
/** Transactions of one account that may wait, consecutive nonces. */
export const POOL_PER_ACCOUNT_MAX = 64

/**
 * Executes a transaction on a scratch draft of the newest final ledger, after `before`, the
 * sender's own waiting ones: every rule is checked by the rule itself, the signature last.
 */
export type Trial = (transaction: Transaction, before: readonly Transaction[]) => Result<unknown>

interface Waiting {
  readonly id: Hex
  readonly transaction: Transaction
  readonly bytes: number
  /** What makes it exclusive: (sender, nonce) of an account, (node, subject) of a free one. */
  readonly slot: string
  readonly sender: Hex
}

/**
 * Transactions that wait for a block. Bounded in number and bytes; one of a node per kind (per
 * slot for fills); of an account consecutive nonces only, so that all can execute.
 */
export class TransactionPool {
  readonly #trial: Trial
  readonly #byId = new Map<Hex, Waiting>()
  readonly #bySlot = new Map<string, Waiting>()
  /** Waiting transactions of an account, ascending nonces. */
  readonly #byAccount = new Map<Hex, Waiting[]>()
  #bytes = 0

  constructor(trial: Trial) {
    this.#trial = trial
  }

  get size(): number {
    return this.#byId.size
  }

  has(id: Hex): boolean {
    return this.#byId.has(id)
  }

  get(id: Hex): Transaction | undefined {
    return this.#byId.get(id)?.transaction
  }

  /** Admits a decoded transaction of `bytes` serialized length, or says why not. */
  add(id: Hex, transaction: Transaction, bytes: number): Result<undefined> {
    const { body } = transaction
    if (this.#byId.has(id)) return fault('ALREADY_KNOWN', 'the transaction is already waiting')
    if (laneOf(body) === 'system') {
      return fault('SYSTEM_LANE', 'only proposers put this kind of transaction into a block')
    }
    if (this.#byId.size >= POOL_TRANSACTIONS_MAX || this.#bytes + bytes > POOL_BYTES_MAX) {
      return fault('POOL_FULL', 'too many transactions wait: try again in a few blocks')
    }
    const waiting = entryOf(id, transaction, bytes)
    const queue = this.#byAccount.get(waiting.sender) ?? []
    if (this.#bySlot.has(waiting.slot)) {
      return fault('POOL_SLOT_TAKEN', 'another transaction of this sender waits in its place')
    }
    if (!isOfAccount(transaction)) {
      const verdict = this.#trial(transaction, [])
      if (!verdict.ok) return verdict
    } else {
      if (queue.length >= POOL_PER_ACCOUNT_MAX) {
        return fault('POOL_ACCOUNT_FULL', `an account may have ${POOL_PER_ACCOUNT_MAX} waiting`)
      }
      const before = queue.map((entry) => entry.transaction)
      const verdict = this.#trial(transaction, before)
      if (!verdict.ok) return verdict
      this.#byAccount.set(waiting.sender, [...queue, waiting])
    }
    this.#byId.set(id, waiting)
    this.#bySlot.set(waiting.slot, waiting)
    this.#bytes += bytes
    return ok()
  }

  /** The nonce after an account's waiting transactions, given the one of the ledger. */
  nextNonce(address: Uint8Array, ledgerNonce: number): number {
    const last = this.#byAccount.get(bytesToHex(address))?.at(-1)
    return last ? Math.max(ledgerNonce, last.transaction.body.nonce + 1) : ledgerNonce
  }

  /**
   * Best first: node-signed ones, whose windows are short, then accounts by the tip of their
   * first waiting transaction, each account's in nonce order.
   */
  *best(): Iterable<Transaction> {
    for (const waiting of this.#byId.values()) {
      if (!isOfAccount(waiting.transaction)) yield waiting.transaction
    }
    const queues = [...this.#byAccount.values()].sort((a, b) => tipOf(b) - tipOf(a))
    for (const queue of queues) for (const { transaction } of queue) yield transaction
  }

  /** Takes out what a final block included, and what can no longer execute on the new ledger. */
  afterBlock(included: readonly Hex[], ledger: LedgerDraft): void {
    for (const id of included) this.#remove(id)
    for (const waiting of this.#byId.values()) {
      if (waiting.transaction.body.validUntil <= ledger.globals().height) {
        this.#removeWithTail(waiting)
      } else if (!isOfAccount(waiting.transaction)) {
        if (!this.#trial(waiting.transaction, []).ok) this.#remove(waiting.id)
      }
    }
    for (const queue of this.#byAccount.values()) this.#recheck(queue)
  }

  /** Cuts an account's queue at its first transaction that no longer executes. */
  #recheck(queue: readonly Waiting[]): void {
    const [first] = queue
    if (!first) return
    if (!this.#trial(first.transaction, []).ok) this.#removeWithTail(first)
  }

  /** A later nonce cannot execute without the earlier ones. */
  #removeWithTail(waiting: Waiting): void {
    const queue = this.#byAccount.get(waiting.sender) ?? []
    const from = queue.indexOf(waiting)
    if (from < 0) this.#remove(waiting.id)
    else for (const entry of queue.slice(from)) this.#remove(entry.id)
  }

  #remove(id: Hex): void {
    const waiting = this.#byId.get(id)
    if (!waiting) return
    this.#byId.delete(id)
    this.#bySlot.delete(waiting.slot)
    this.#bytes -= waiting.bytes
    const queue = this.#byAccount.get(waiting.sender)?.filter((entry) => entry.id !== id)
    if (queue?.length) this.#byAccount.set(waiting.sender, queue)
    else this.#byAccount.delete(waiting.sender)
  }
}

/** Paid for from an account, in nonce order; all others are bound to something scarce. */
function isOfAccount({ body }: Transaction): boolean {
  return laneOf(body) === 'account'
}

function entryOf(id: Hex, transaction: Transaction, bytes: number): Waiting {
  const { body } = transaction
  const sender = bytesToHex(addressOf(body.sender))
  const { payload } = body
  if (isOfAccount(transaction)) {
    return { id, transaction, bytes, sender, slot: `${sender} nonce ${body.nonce}` }
  }
  return { id, transaction, bytes, sender, slot: `${sender} ${subjectOf(payload)}` }
}

/** One waits per node and kind; of fills one per slot, as each spends a grant of its own. */
function subjectOf(payload: Payload): string {
  switch (payload.selector) {
    case PayloadKind.fill:
      return `fill ${payload.value.grant.contract} ${payload.value.grant.slot}`
    case PayloadKind.evict:
      return `evict ${bytesToHex(payload.value.node)}`
    case PayloadKind.clearWeight:
      return `clearWeight ${payload.value.rail}`
    default:
      return `kind ${payload.selector}`
  }
}

function tipOf(queue: readonly Waiting[]): number {
  return Number(queue[0]?.transaction.body.tip ?? 0n)
}
