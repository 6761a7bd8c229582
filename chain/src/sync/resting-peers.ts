/** How long a peer that gave false bytes is left alone: one range in a minute costs little. */
export const REST_MS = 60_000
/** Whoever comes under ever new names makes us forget others, not remember without end. */
const RESTING_MAX = 256

/** Peers that were caught with false bytes and are not asked for a while. */
export class RestingPeers {
  readonly #nowMs: () => number
  /** When each may be asked again, oldest catch first. */
  readonly #until = new Map<string, number>()

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  rest(peer: string): void {
    this.#until.delete(peer)
    this.#until.set(peer, this.#nowMs() + REST_MS)
    const [oldest] = this.#until.keys()
    if (this.#until.size > RESTING_MAX && oldest !== undefined) this.#until.delete(oldest)
  }

  isResting(peer: string): boolean {
    const until = this.#until.get(peer)
    if (until === undefined) return false
    if (this.#nowMs() < until) return true
    this.#until.delete(peer)
    return false
  }
}
