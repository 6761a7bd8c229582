import { bytesToHex, type Hex } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { addressOf } from '../bytes/signature.ts'
import { checkForm, laneOf } from '../rules/transaction-checks.ts'
import type { Transaction } from '../types/transactions.ts'
import { AccountQueue } from './account-queue.ts'
import { checkFunds, payableRun, replacing, worthOf } from './account-terms.ts'
import { bestFirst } from './best-first.ts'
import { FeeFloor } from './fee-floor.ts'
import {
  EVICTIONS_PER_ADMISSION_MAX,
  POOL_LIMITS,
  type PoolLimits,
  VERIFICATIONS_PER_SECOND,
} from './pool-limits.ts'
import type { PoolView } from './pool-view.ts'
import { TokenBucket } from './token-bucket.ts'
import { type Waiting, waitingOf } from './waiting.ts'
import { WaitingLanes } from './waiting-lanes.ts'

/** What the pool asks of its owner. */
export interface PoolRules {
  /** The newest final ledger. */
  view(): PoolView
  /** Whether the sender signed it. */
  isSigned(transaction: Transaction): boolean
  /**
   * Executes a transaction whose signature was checked in the next block, after `before`, its
   * sender's own: every rule is checked by the rule itself.
   */
  trial(waiting: Waiting, before: readonly Waiting[]): Result<unknown>
  /** Milliseconds of a clock that only goes forward. */
  nowMs(): number
}

/** A transaction that a final block took. */
export interface IncludedTransaction {
  readonly id: Hex
  readonly sender: Uint8Array
}

/**
 * Transactions that wait for a block. Admission asks the cheapest questions first and checks the
 * signature when nothing but it and the rule's own trial is left. Kinds with an account stand in
 * nonce order and compete by tip; all others have a lane of their own, one of a node per subject.
 */
export class TransactionPool {
  readonly #rules: PoolRules
  readonly #limits: PoolLimits
  readonly #lanes = new WaitingLanes()
  readonly #floor = new FeeFloor()
  readonly #verifications: TokenBucket
  #epoch = 0

  constructor(rules: PoolRules, limits: PoolLimits = POOL_LIMITS) {
    this.#rules = rules
    this.#limits = limits
    this.#verifications = new TokenBucket(VERIFICATIONS_PER_SECOND, rules.nowMs())
  }

  get size(): number {
    return this.#lanes.byId.size
  }

  get bytes(): number {
    return this.#lanes.accountTotals.bytes + this.#lanes.freeTotals.bytes
  }

  /** What waits now, by lane, and of the account that has most. */
  sizes() {
    const queues = [...this.#lanes.accounts.values()]
    return {
      accounts: { ...this.#lanes.accountTotals },
      free: { ...this.#lanes.freeTotals },
      ofAccount: Math.max(0, ...queues.map(({ entries }) => entries.length)),
    }
  }

  has(id: Hex): boolean {
    return this.#lanes.byId.has(id)
  }

  get(id: Hex): Transaction | undefined {
    return this.#lanes.byId.get(id)?.transaction
  }

  /** Admits a decoded transaction of `bytes` serialized length, or says why not. */
  add(id: Hex, transaction: Transaction, bytes: number): Result<undefined> {
    if (this.#lanes.byId.has(id))
      return fault('ALREADY_KNOWN', 'the transaction is already waiting')
    const lane = laneOf(transaction.body)
    if (lane === 'system') {
      return fault('SYSTEM_LANE', 'only proposers put this kind of transaction into a block')
    }
    const view = this.#rules.view()
    const form = checkForm(transaction, bytes, view.height + 1)
    if (!form.ok) return form
    if (lane !== 'account') return this.#addFree(waitingOf(id, transaction, bytes))
    const priced = this.#checkPrice(transaction, view)
    return priced.ok ? this.#addToAccount(waitingOf(id, transaction, bytes), view) : priced
  }

  /** The nonce after an account's waiting transactions, given the one of the ledger. */
  nextNonce(address: Uint8Array, ledgerNonce: number): number {
    const queue = this.#lanes.accounts.get(bytesToHex(address))
    return ledgerNonce + (queue?.ready(ledgerNonce).length ?? 0)
  }

  /**
   * What a block on the ledger of `view` can take, best first: proofs and what else nodes send,
   * whose windows are short, then accounts by tip, each in nonce order. Nothing that has expired,
   * stands behind a missing nonce or does not pay the block's base fee.
   */
  *best(view: PoolView): Iterable<Transaction> {
    const height = view.height + 1
    for (const { transaction } of this.#lanes.freeInOrder()) {
      if (transaction.body.validUntil >= height) yield transaction
    }
    const runs: Waiting[][] = []
    for (const queue of this.#lanes.accounts.values()) runs.push(payableRun(queue, view))
    for (const { transaction } of bestFirst(runs)) yield transaction
  }

  /** Takes out what a final block included, and what can no longer execute on the new ledger. */
  afterBlock(included: readonly IncludedTransaction[]): void {
    const view = this.#rules.view()
    const touched = new Set<Hex>()
    for (const { id, sender } of included) {
      const waiting = this.#lanes.byId.get(id)
      touched.add(waiting?.sender ?? bytesToHex(addressOf(sender)))
      if (waiting) this.#lanes.remove(waiting)
    }
    for (const waiting of this.#lanes.byId.values()) {
      if (waiting.transaction.body.validUntil <= view.height) this.#lanes.removeWithTail(waiting)
    }
    for (const sender of touched) {
      const queue = this.#lanes.accounts.get(sender)
      if (queue) this.#recheck(queue, view)
    }
    const isNewEpoch = view.epoch !== this.#epoch
    this.#epoch = view.epoch
    for (const waiting of this.#lanes.free.values()) {
      if (!isNewEpoch && !touched.has(waiting.sender)) continue
      if (!this.#rules.trial(waiting, []).ok) this.#lanes.remove(waiting)
    }
  }

  #addFree(waiting: Waiting): Result<undefined> {
    const { freeTransactionsMax, freeBytesMax } = this.#limits
    if (this.#lanes.free.has(waiting.slot)) {
      return fault('POOL_SLOT_TAKEN', 'another transaction of this sender waits in its place')
    }
    const { count, bytes } = this.#lanes.freeTotals
    if (count >= freeTransactionsMax || bytes + waiting.bytes > freeBytesMax) return poolFull()
    const signed = this.#checkSignature(waiting)
    if (!signed.ok) return signed
    const verdict = this.#rules.trial(waiting, [])
    if (!verdict.ok) return verdict
    this.#lanes.insert(waiting)
    return ok()
  }

  #addToAccount(asked: Waiting, view: PoolView): Result<undefined> {
    const queue = this.#lanes.accounts.get(asked.sender) ?? new AccountQueue()
    const placed = this.#checkPlace(asked, queue, view)
    if (!placed.ok) return placed
    const { waiting, replaced } = placed.value
    const funded = checkFunds(waiting, replaced, queue, view)
    if (!funded.ok) return funded
    const next = view.nonceOf(waiting.address)
    const { nonce } = waiting.transaction.body
    const before = queue.ready(next).filter(({ transaction }) => transaction.body.nonce < nonce)
    const isNext = nonce === next + before.length
    const room = this.#roomFor(waiting, replaced, isNext, view)
    if (!room.ok) return room
    const signed = this.#checkSignature(waiting)
    if (!signed.ok) return signed
    if (isNext) {
      const verdict = this.#rules.trial(waiting, before)
      if (!verdict.ok) return verdict
      waiting.isTried = true
    }
    for (const victim of room.value) this.#evict(victim, view)
    if (replaced) this.#lanes.remove(replaced)
    this.#lanes.insert(waiting)
    // Those behind it now stand on other ground, or on ground at all.
    if (isNext) this.#tryFrom(this.#lanes.accounts.get(waiting.sender), nonce + 1, view)
    return ok()
  }

  #checkPrice({ body }: Transaction, { baseFee }: PoolView): Result<undefined> {
    if (body.maxBaseFee < baseFee) {
      return fault('FEE_CAP_TOO_LOW', `the base fee is ${baseFee} units per byte`, {
        maxBaseFee: body.maxBaseFee,
        baseFee,
      })
    }
    const floor = this.#floor.at(this.#rules.nowMs())
    if (body.tip >= floor) return ok()
    return fault('POOL_FEE_FLOOR', `many wait: offer a tip of ${floor} units per byte`, { floor })
  }

  /** Window of nonces, room for one more of the account, and the terms of a replacement. */
  #checkPlace(
    waiting: Waiting,
    queue: AccountQueue,
    view: PoolView,
  ): Result<{ waiting: Waiting; replaced: Waiting | undefined }> {
    const { nonce } = waiting.transaction.body
    const next = view.nonceOf(waiting.address)
    if (nonce < next) {
      return fault('NONCE_TOO_LOW', `the next nonce of the account is ${next}`, { nonce, next })
    }
    const free = next + queue.ready(next).length
    if (nonce > free + this.#limits.nonceWindow) {
      return fault('NONCE_GAP', `the next nonce of the account is ${free}`, { nonce, next: free })
    }
    const old = queue.withNonce(nonce)
    if (old) return replacing(old, waiting, view.height)
    const { perAccountMax } = this.#limits
    if (queue.entries.length >= perAccountMax) {
      return fault('POOL_ACCOUNT_FULL', `an account may have ${perAccountMax} waiting`)
    }
    return ok({ waiting, replaced: undefined })
  }

  /**
   * Whom a newcomer pushes out, least worth first: tails of other accounts only, so that no nonce
   * chain breaks. POOL_FULL where that is not enough. One that is held pushes nobody out.
   */
  #roomFor(
    waiting: Waiting,
    replaced: Waiting | undefined,
    isNext: boolean,
    view: PoolView,
  ): Result<Waiting[]> {
    const { accountTransactionsMax, accountBytesMax } = this.#limits
    let count = this.#lanes.accountTotals.count + (replaced ? 0 : 1)
    let bytes = this.#lanes.accountTotals.bytes + waiting.bytes - (replaced?.bytes ?? 0)
    const victims: Waiting[] = []
    while (count > accountTransactionsMax || bytes > accountBytesMax) {
      const victim = this.#leastTail(waiting.sender, victims, view)
      const isLess = victim && worthOf(victim, view) < waiting.transaction.body.tip
      if (!isNext || !isLess || victims.length >= EVICTIONS_PER_ADMISSION_MAX) return poolFull()
      victims.push(victim)
      count -= 1
      bytes -= victim.bytes
    }
    return ok(victims)
  }

  #leastTail(except: Hex, gone: readonly Waiting[], view: PoolView): Waiting | undefined {
    let least: Waiting | undefined
    for (const [sender, queue] of this.#lanes.accounts) {
      if (sender === except) continue
      const tail = queue.entries.findLast((entry) => !gone.includes(entry))
      if (tail && (!least || worthOf(tail, view) < worthOf(least, view))) least = tail
    }
    return least
  }

  #evict(victim: Waiting, view: PoolView): void {
    const worth = worthOf(victim, view)
    if (worth >= 0n) this.#floor.raise(worth, this.#rules.nowMs())
    this.#lanes.remove(victim)
  }

  #checkSignature({ transaction }: Waiting): Result<undefined> {
    if (!this.#verifications.take(this.#rules.nowMs())) {
      return fault('POOL_BUSY', 'this node has no time to check more signatures: try again')
    }
    return this.#rules.isSigned(transaction)
      ? ok()
      : fault('SIGNATURE_INVALID', 'the signature is not by the sender over this transaction')
  }

  /** An account after a block that held one of its transactions. */
  #recheck(queue: AccountQueue, view: PoolView): void {
    const [first] = queue.entries
    if (!first) return
    const next = view.nonceOf(first.address)
    for (const entry of queue.entries) {
      if (entry.transaction.body.nonce < next) this.#lanes.remove(entry)
    }
    let rest = view.balanceOf(first.address)
    for (const entry of queue.entries) {
      rest -= entry.cost
      if (rest >= 0n) continue
      this.#lanes.removeWithTail(entry)
      break
    }
    this.#tryFrom(queue, next, view)
  }

  /** Tries an account's entries again from a nonce on; drops the first that fails, and its tail. */
  #tryFrom(queue: AccountQueue | undefined, nonce: number, view: PoolView): void {
    if (!queue) return
    const behind = queue.entries.filter(({ transaction }) => transaction.body.nonce >= nonce)
    for (const entry of behind) entry.isTried = false
    const [first] = queue.entries
    if (!first) return
    const before = queue.ready(view.nonceOf(first.address))
    let next = view.nonceOf(first.address) + before.length
    for (const entry of behind) {
      // What stands behind a gap is held until the gap is filled.
      if (entry.transaction.body.nonce !== next) return
      if (!this.#rules.trial(entry, before).ok) {
        this.#lanes.removeWithTail(entry)
        return
      }
      entry.isTried = true
      before.push(entry)
      next++
    }
  }
}

function poolFull() {
  return fault('POOL_FULL', 'too many transactions wait: try again in a few blocks')
}
