import { PEER_BAD_SIGNATURES_PER_MINUTE, PEER_TRANSACTIONS_PER_SECOND } from './pool-limits.ts'
import { TokenBucket } from './token-bucket.ts'

const MINUTE_SECONDS = 60
/** Peers remembered before quiet ones are forgotten. */
const PEERS_MAX = 1024

interface Budget {
  readonly transactions: TokenBucket
  readonly badSignatures: TokenBucket
}

/** What each peer may ask of this node: transactions a second, bad signatures a minute. */
export class PeerBudgets {
  readonly #budgets = new Map<string, Budget>()

  /** Peers remembered. */
  get size(): number {
    return this.#budgets.size
  }

  /** False where the peer has sent more than its share: the rest of it is not looked at. */
  takeTransaction(peer: string, nowMs: number): boolean {
    return this.#of(peer, nowMs).transactions.take(nowMs)
  }

  /** Counts a signature that failed; false where the peer is to be disconnected. */
  takeBadSignature(peer: string, nowMs: number): boolean {
    return this.#of(peer, nowMs).badSignatures.take(nowMs)
  }

  #of(peer: string, nowMs: number): Budget {
    const known = this.#budgets.get(peer)
    if (known) return known
    if (this.#budgets.size >= PEERS_MAX) this.#forgetQuiet(nowMs)
    const budget = {
      transactions: new TokenBucket(PEER_TRANSACTIONS_PER_SECOND, nowMs),
      badSignatures: new TokenBucket(
        PEER_BAD_SIGNATURES_PER_MINUTE / MINUTE_SECONDS,
        nowMs,
        PEER_BAD_SIGNATURES_PER_MINUTE,
      ),
    }
    this.#budgets.set(peer, budget)
    return budget
  }

  #forgetQuiet(nowMs: number): void {
    for (const [peer, { transactions, badSignatures }] of this.#budgets) {
      if (transactions.isFull(nowMs) && badSignatures.isFull(nowMs)) this.#budgets.delete(peer)
    }
    // All are busy: the one known longest starts anew.
    const [oldest] = this.#budgets.keys()
    if (this.#budgets.size >= PEERS_MAX && oldest !== undefined) this.#budgets.delete(oldest)
  }
}
