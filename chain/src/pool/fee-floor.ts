/** Time in which the floor falls to a half, as Bitcoin Core's. */
const HALF_LIFE_MS = 10 * 60 * 1000
const RAISE_PERCENT = 110n

/**
 * The tip below which a pool that was full takes nothing: what was pushed out last, and a tenth
 * more. It falls by itself, so that a rush is forgotten.
 */
export class FeeFloor {
  #tip = 0
  #atMs = 0

  /** Units per byte. */
  at(nowMs: number): bigint {
    const halves = Math.max(0, nowMs - this.#atMs) / HALF_LIFE_MS
    return BigInt(Math.floor(this.#tip * 2 ** -halves))
  }

  /** A transaction with this tip was pushed out. */
  raise(evictedTip: bigint, nowMs: number): void {
    const wanted = (evictedTip * RAISE_PERCENT + 99n) / 100n
    if (wanted <= this.at(nowMs)) return
    this.#tip = Number(wanted)
    this.#atMs = nowMs
  }
}
