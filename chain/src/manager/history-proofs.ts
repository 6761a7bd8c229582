import { HISTORY_CHUNK, historyBranch, historyChunkRoot } from '../state/history-list.ts'
import type { ChainStore } from './chain-store.ts'

/** Chunks read from the store at the same time while their roots are first made. */
const PARALLEL_READS = 64

/**
 * Shows old blocks under the historyRoot of a final header. Keeps one hash for every 1,024
 * blocks, made at the first question: final blocks never change.
 */
export class HistoryProofs {
  readonly #store: ChainStore
  /** Roots of whole chunks, in order. */
  readonly #roots: Uint8Array[] = []
  #work: Promise<unknown> = Promise.resolve()

  constructor(store: ChainStore) {
    this.#store = store
  }

  /**
   * The branch of block `height` in the list of the `count` blocks before a final header;
   * undefined where this node does not keep all of them.
   */
  branch(height: number, count: number): Promise<Uint8Array[] | undefined> {
    const branch = this.#work.then(() => this.#branch(height, count))
    this.#work = branch.catch(() => undefined)
    return branch
  }

  async #branch(height: number, count: number): Promise<Uint8Array[] | undefined> {
    const whole = Math.floor(count / HISTORY_CHUNK)
    while (this.#roots.length < whole) {
      const start = this.#roots.length * HISTORY_CHUNK
      const hashes = await this.#hashes(start, start + HISTORY_CHUNK)
      if (!hashes) return undefined
      this.#roots.push(historyChunkRoot(hashes))
    }
    const roots = this.#roots.slice(0, whole)
    if (count % HISTORY_CHUNK > 0) {
      const hashes = await this.#hashes(whole * HISTORY_CHUNK, count)
      if (!hashes) return undefined
      roots.push(historyChunkRoot(hashes))
    }
    const start = height - (height % HISTORY_CHUNK)
    const chunk = await this.#hashes(start, Math.min(count, start + HISTORY_CHUNK))
    return chunk && historyBranch(height, count, chunk, roots)
  }

  async #hashes(from: number, to: number): Promise<Uint8Array[] | undefined> {
    const hashes: Uint8Array[] = []
    for (let start = from; start < to; start += PARALLEL_READS) {
      const length = Math.min(PARALLEL_READS, to - start)
      const read = Array.from({ length }, (_, i) => this.#store.hashAt(start + i))
      for (const hash of await Promise.all(read)) {
        if (!hash) return undefined
        hashes.push(hash)
      }
    }
    return hashes
  }
}
