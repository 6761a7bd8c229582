import type { PeerName } from '../consensus/machine-interface.ts'

const INTERVAL_MS = 1000
const PEERS_MAX = 256

/** Which peers were just said to be ahead: a host need not hear it with each of their messages. */
export class BehindNotices {
  readonly #lastMs = new Map<PeerName | undefined, number>()

  get size(): number {
    return this.#lastMs.size
  }

  /** True where the host is to be told now; undefined stands for no peer in particular. */
  isDue(peer: PeerName | undefined, nowMs: number): boolean {
    const last = this.#lastMs.get(peer)
    if (last !== undefined && nowMs - last < INTERVAL_MS) return false
    if (this.#lastMs.size > PEERS_MAX) this.#lastMs.clear()
    this.#lastMs.set(peer, nowMs)
    return true
  }
}
