import type { PeerName } from '../consensus/machine-interface.ts'

/** Peers remembered that sent a vote which its validator did not sign. */
const FORGERS_MAX = 256

/** Peers that sent false signatures of late. Honest peers send their own votes only. */
export class Forgers {
  readonly #restMs: number
  readonly #forgedAtMs = new Map<PeerName, number>()

  /** `restMs`: how long a forger is not heard. */
  constructor(restMs: number) {
    this.#restMs = restMs
  }

  note(peer: PeerName, nowMs: number): void {
    const [oldest] = this.#forgedAtMs.keys()
    if (this.#forgedAtMs.size >= FORGERS_MAX && oldest !== undefined)
      this.#forgedAtMs.delete(oldest)
    this.#forgedAtMs.set(peer, nowMs)
  }

  isResting(peer: PeerName, nowMs: number): boolean {
    const forgedAtMs = this.#forgedAtMs.get(peer)
    return forgedAtMs !== undefined && nowMs - forgedAtMs < this.#restMs
  }
}
