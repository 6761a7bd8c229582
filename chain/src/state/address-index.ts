import { assert } from '../bytes/assert.ts'
import type { Hex } from '../bytes/hex.ts'

const BLOCK_ENTRIES_MAX = 1024

/**
 * Addresses (lower-case hex) of a draft's new accounts with their indexes, by hash and in order.
 * Insertion and search of a predecessor cost O(sqrt n) in the worst case.
 */
export class AddressIndex {
  readonly #indexes = new Map<Hex, number>()
  /** Sorted runs in sorted order; none is empty. */
  readonly #blocks: Hex[][] = []

  get(address: Hex): number | undefined {
    return this.#indexes.get(address)
  }

  add(address: Hex, index: number): void {
    assert(!this.#indexes.has(address), 'an address has one account')
    this.#indexes.set(address, index)
    const at = Math.max(0, firstGreater(this.#blocks.length, (i) => this.#first(i) > address) - 1)
    const block = this.#blocks[at]
    if (block === undefined) {
      this.#blocks.push([address])
      return
    }
    block.splice(
      firstGreater(block.length, (i) => (block[i] as Hex) > address),
      0,
      address,
    )
    if (block.length > BLOCK_ENTRIES_MAX) {
      this.#blocks.splice(at + 1, 0, block.splice(BLOCK_ENTRIES_MAX / 2))
    }
  }

  /** The greatest address below `address`. */
  below(address: Hex): Hex | undefined {
    const after = firstGreater(this.#blocks.length, (i) => this.#first(i) >= address)
    const block = this.#blocks[after - 1]
    if (block === undefined) return undefined
    return block[firstGreater(block.length, (i) => (block[i] as Hex) >= address) - 1]
  }

  greatest(): Hex | undefined {
    return this.#blocks.at(-1)?.at(-1)
  }

  entries(): IterableIterator<[Hex, number]> {
    return this.#indexes.entries()
  }

  #first(block: number): Hex {
    return this.#blocks[block]?.[0] as Hex
  }
}

/** The first index of [0, length) for which the monotone `holds` is true; length if none. */
function firstGreater(length: number, holds: (index: number) => boolean): number {
  let low = 0
  let high = length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (holds(middle)) high = middle
    else low = middle + 1
  }
  return low
}
