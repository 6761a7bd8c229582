import type { PeerName } from '../consensus/machine-interface.ts'

/** Bytes of blocks a second, and at once after a quiet time: of one peer, and of all. */
const PEER_BYTES = { perSecond: 2 * 1024 * 1024, most: 8 * 1024 * 1024 }
const ALL_BYTES = { perSecond: 32 * 1024 * 1024, most: 64 * 1024 * 1024 }
const PEERS_MAX = 512

interface Account {
  /** Below zero: an answer was longer than what was left. */
  bytes: number
  atMs: number
}

/**
 * What blocks that peers ask for may cost. A question of 33 bytes is answered by up to a MiB that
 * is put together anew, and names are free: without it a few strangers fill our line.
 */
export class AnswerBudget {
  readonly #all: Account
  readonly #peers = new Map<PeerName, Account>()

  constructor(nowMs: number) {
    this.#all = { bytes: ALL_BYTES.most, atMs: nowMs }
  }

  /** Whether this peer is answered now. */
  allows(peer: PeerName, nowMs: number): boolean {
    refill(this.#all, ALL_BYTES, nowMs)
    const account = this.#accountOf(peer, nowMs)
    refill(account, PEER_BYTES, nowMs)
    return account.bytes > 0 && this.#all.bytes > 0
  }

  /** After an answer that was allowed. */
  spend(peer: PeerName, bytes: number, nowMs: number): void {
    this.#accountOf(peer, nowMs).bytes -= bytes
    this.#all.bytes -= bytes
  }

  #accountOf(peer: PeerName, nowMs: number): Account {
    const account = this.#peers.get(peer) ?? { bytes: PEER_BYTES.most, atMs: nowMs }
    this.#peers.delete(peer)
    this.#peers.set(peer, account)
    const [oldest] = this.#peers.keys()
    if (this.#peers.size > PEERS_MAX && oldest !== undefined) this.#peers.delete(oldest)
    return account
  }
}

function refill(account: Account, { perSecond, most }: typeof PEER_BYTES, nowMs: number): void {
  const seconds = Math.max(0, nowMs - account.atMs) / 1000
  account.bytes = Math.min(most, account.bytes + seconds * perSecond)
  account.atMs = nowMs
}
