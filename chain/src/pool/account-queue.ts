import type { Waiting } from './waiting.ts'

/** Waiting transactions of one account, ascending nonces; after a missing one they are held. */
export class AccountQueue {
  #entries: Waiting[] = []

  get entries(): readonly Waiting[] {
    return this.#entries
  }

  get tail(): Waiting | undefined {
    return this.#entries.at(-1)
  }

  get cost(): bigint {
    return this.#entries.reduce((sum, { cost }) => sum + cost, 0n)
  }

  withNonce(nonce: number): Waiting | undefined {
    return this.#entries.find(({ transaction }) => transaction.body.nonce === nonce)
  }

  /** Puts it at its nonce, in place of what stood there. */
  put(waiting: Waiting): void {
    const { nonce } = waiting.transaction.body
    const before = this.#entries.filter((entry) => entry.transaction.body.nonce < nonce)
    const after = this.#entries.filter((entry) => entry.transaction.body.nonce > nonce)
    this.#entries = [...before, waiting, ...after]
  }

  remove(waiting: Waiting): void {
    this.#entries = this.#entries.filter((entry) => entry !== waiting)
  }

  /** Those that a block can take from this nonce on: without a gap, each tried. */
  ready(nonce: number): Waiting[] {
    const run: Waiting[] = []
    for (const entry of this.#entries) {
      const own = entry.transaction.body.nonce
      if (own < nonce) continue
      if (own !== nonce + run.length || !entry.isTried) break
      run.push(entry)
    }
    return run
  }

  /** Nonces that are missing up to the highest, if one with `nonce` came in. */
  missing(next: number, nonce: number): number {
    const known = new Set(this.#entries.map(({ transaction }) => transaction.body.nonce))
    known.add(nonce)
    const highest = Math.max(...known)
    let missing = 0
    for (let at = next; at < highest; at++) if (!known.has(at)) missing++
    return missing
  }
}
