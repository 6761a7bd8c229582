/** Allows so many units a second on average, and as many at once after a quiet second. */
export class TokenBucket {
  readonly #perSecond: number
  readonly #most: number
  #tokens: number
  #atMs: number

  constructor(perSecond: number, nowMs: number, most = perSecond) {
    this.#perSecond = perSecond
    this.#most = most
    this.#tokens = most
    this.#atMs = nowMs
  }

  /** Takes one unit; false where none is left. */
  take(nowMs: number): boolean {
    this.#refill(nowMs)
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }

  /** True where nothing was taken for so long that forgetting it changes nothing. */
  isFull(nowMs: number): boolean {
    this.#refill(nowMs)
    return this.#tokens >= this.#most
  }

  #refill(nowMs: number): void {
    const seconds = Math.max(0, nowMs - this.#atMs) / 1000
    this.#tokens = Math.min(this.#most, this.#tokens + seconds * this.#perSecond)
    this.#atMs = nowMs
  }
}
