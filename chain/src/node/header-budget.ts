import { TokenBucket } from '../pool/token-bucket.ts'
import { RestingPeers } from '../sync/resting-peers.ts'

/** What one peer may bring: twice as many headers as there are blocks, and some at once. */
const HEADERS_PER_BLOCK = 2
const HEADERS_AT_ONCE = 16
/** Certificates a second of all peers that have not brought one that holds. */
const OF_STRANGERS_PER_SECOND = 16
const PEERS_MAX = 512

/**
 * Whose certificates are verified: up to 100 signatures each, from anybody who connects. One that
 * fails is no accident, so its sender is not heard for a minute; who has not shown a good one yet
 * shares a budget with all others of whom that is true, so that new names buy nothing.
 */
export class HeaderBudget {
  readonly #perSecond: number
  readonly #nowMs: () => number
  /** Budgets of those that have brought a certificate that holds, and of all others. */
  readonly #known = new Map<string, TokenBucket>()
  readonly #unknown = new Map<string, TokenBucket>()
  readonly #ofStrangers: TokenBucket
  readonly #resting: RestingPeers

  constructor(blockIntervalMs: number, nowMs: () => number) {
    this.#perSecond = (HEADERS_PER_BLOCK * 1000) / blockIntervalMs
    this.#nowMs = nowMs
    this.#ofStrangers = new TokenBucket(OF_STRANGERS_PER_SECOND, nowMs())
    this.#resting = new RestingPeers(nowMs)
  }

  /** False where nothing of this peer is looked at now. */
  take(peer: string): boolean {
    if (this.#resting.isResting(peer)) return false
    const nowMs = this.#nowMs()
    const known = this.#known.get(peer)
    if (known) return known.take(nowMs)
    const budget = this.#unknown.get(peer) ?? this.#newBudget(nowMs)
    remember(this.#unknown, peer, budget)
    return budget.take(nowMs) && this.#ofStrangers.take(nowMs)
  }

  /** What the peer brought was verified and holds, or does not. */
  judged(peer: string, holds: boolean): void {
    const budget = this.#known.get(peer) ?? this.#unknown.get(peer)
    if (holds) {
      this.#unknown.delete(peer)
      remember(this.#known, peer, budget ?? this.#newBudget(this.#nowMs()))
    } else {
      this.#known.delete(peer)
      this.#resting.rest(peer)
    }
  }

  #newBudget(nowMs: number): TokenBucket {
    return new TokenBucket(this.#perSecond, nowMs, HEADERS_AT_ONCE)
  }
}

/** As the newest; the oldest is forgotten for it. New names never push out known ones. */
function remember(budgets: Map<string, TokenBucket>, peer: string, budget: TokenBucket): void {
  budgets.delete(peer)
  budgets.set(peer, budget)
  const [oldest] = budgets.keys()
  if (budgets.size > PEERS_MAX && oldest !== undefined) budgets.delete(oldest)
}
