import type { Hex } from '../bytes/hex.ts'

const GENERATION_MS = 60_000
const GENERATION_MAX = 50_000

/** Ids of the last minute or two: two sets, of which the older is dropped whole. */
export class RecentIds {
  readonly #nowMs: () => number
  #young = new Set<Hex>()
  #old = new Set<Hex>()
  #sinceMs: number

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
    this.#sinceMs = nowMs()
  }

  get size(): number {
    return this.#young.size + this.#old.size
  }

  has(id: Hex): boolean {
    return this.#young.has(id) || this.#old.has(id)
  }

  add(id: Hex): void {
    const now = this.#nowMs()
    if (this.#young.size >= GENERATION_MAX || now - this.#sinceMs > GENERATION_MS) {
      this.#old = this.#young
      this.#young = new Set()
      this.#sinceMs = now
    }
    this.#young.add(id)
  }
}
