import type { Hex } from '../bytes/hex.ts'
import { laneOf } from '../rules/transaction-checks.ts'
import { BLOCK_BODY_BYTES_MAX, PayloadKind } from '../types/transactions.ts'
import { AccountQueue } from './account-queue.ts'
import { REDEEM_BODY_PERCENT } from './pool-limits.ts'
import type { Waiting } from './waiting.ts'

interface Totals {
  count: number
  bytes: number
}

/** What waits, by id and by lane, and how much of it; who may come in is for others to say. */
export class WaitingLanes {
  readonly #byId = new Map<Hex, Waiting>()
  /** Kinds without an account, by slot. */
  readonly #free = new Map<string, Waiting>()
  readonly #accounts = new Map<Hex, AccountQueue>()
  readonly #accountTotals: Totals = { count: 0, bytes: 0 }
  readonly #freeTotals: Totals = { count: 0, bytes: 0 }

  get byId(): ReadonlyMap<Hex, Waiting> {
    return this.#byId
  }

  get free(): ReadonlyMap<string, Waiting> {
    return this.#free
  }

  get accounts(): ReadonlyMap<Hex, AccountQueue> {
    return this.#accounts
  }

  get accountTotals(): Readonly<Totals> {
    return this.#accountTotals
  }

  get freeTotals(): Readonly<Totals> {
    return this.#freeTotals
  }

  /** Kinds without an account as a block takes them: redeems last, and never more than a part. */
  *freeInOrder(): Iterable<Waiting> {
    const isRedeem = ({ transaction }: Waiting) =>
      transaction.body.payload.selector === PayloadKind.redeem
    for (const waiting of this.#free.values()) if (!isRedeem(waiting)) yield waiting
    let left = (BLOCK_BODY_BYTES_MAX * REDEEM_BODY_PERCENT) / 100
    for (const waiting of this.#free.values()) {
      if (!isRedeem(waiting) || waiting.bytes > left) continue
      left -= waiting.bytes
      yield waiting
    }
  }

  insert(waiting: Waiting): void {
    this.#byId.set(waiting.id, waiting)
    const { sender, slot } = waiting
    if (isOfAccount(waiting)) {
      const queue = this.#accounts.get(sender) ?? new AccountQueue()
      queue.put(waiting)
      this.#accounts.set(sender, queue)
    } else {
      this.#free.set(slot, waiting)
    }
    const totals = this.#totalsOf(waiting)
    totals.count += 1
    totals.bytes += waiting.bytes
  }

  remove(waiting: Waiting): void {
    if (!this.#byId.delete(waiting.id)) return
    if (isOfAccount(waiting)) {
      const queue = this.#accounts.get(waiting.sender)
      queue?.remove(waiting)
      if (queue?.entries.length === 0) this.#accounts.delete(waiting.sender)
    } else {
      this.#free.delete(waiting.slot)
    }
    const totals = this.#totalsOf(waiting)
    totals.count -= 1
    totals.bytes -= waiting.bytes
  }

  /** A later nonce cannot execute without the earlier ones. */
  removeWithTail(waiting: Waiting): void {
    const entries = this.#accounts.get(waiting.sender)?.entries ?? []
    const from = entries.indexOf(waiting)
    if (from < 0) this.remove(waiting)
    else for (const entry of entries.slice(from)) this.remove(entry)
  }

  #totalsOf(waiting: Waiting): Totals {
    return isOfAccount(waiting) ? this.#accountTotals : this.#freeTotals
  }
}

function isOfAccount({ transaction }: Waiting): boolean {
  return laneOf(transaction.body) === 'account'
}
