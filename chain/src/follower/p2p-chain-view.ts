import { assert } from '../bytes/assert.ts'
import { type InternalHash, toInternalHex } from '../elastos/hash-orientation.ts'

/** Locator entries one height apart before the steps double. */
const LOCATOR_NEAR = 10

/** A block that is trusted to be on the chain. */
export interface ViewBase {
  readonly height: number
  readonly hash: InternalHash
}

/**
 * What one peer says its best chain is: hashes by height above a block that we trust. Nothing of
 * it is believed before the blocks themselves were checked.
 */
export class P2pChainView {
  readonly #hashes: InternalHash[]
  readonly #heights = new Map<string, number>()
  #baseHeight: number

  constructor({ height, hash }: ViewBase) {
    this.#baseHeight = height
    this.#hashes = [hash]
    this.#heights.set(toInternalHex(hash), height)
  }

  get baseHeight(): number {
    return this.#baseHeight
  }

  get tipHeight(): number {
    return this.#baseHeight + this.#hashes.length - 1
  }

  at(height: number): InternalHash | undefined {
    return this.#hashes[height - this.#baseHeight]
  }

  heightOf(hash: InternalHash): number | undefined {
    return this.#heights.get(toInternalHex(hash))
  }

  /** Hashes from this height down to the base: near ones all, further ones ever more rarely. */
  locator(fromHeight: number): InternalHash[] {
    const locator: InternalHash[] = []
    let step = 1
    for (let height = fromHeight; height > this.#baseHeight; height -= step) {
      locator.push(this.at(height) as InternalHash)
      if (locator.length >= LOCATOR_NEAR) step *= 2
    }
    locator.push(this.#hashes[0] as InternalHash)
    return locator
  }

  /** What stands from this height on gives way to the hashes. */
  replaceFrom(height: number, hashes: readonly InternalHash[]): void {
    assert(height > this.#baseHeight && height <= this.tipHeight + 1, 'a place above the base')
    for (const left of this.#hashes.splice(height - this.#baseHeight)) {
      this.#heights.delete(toInternalHex(left))
    }
    for (const hash of hashes) {
      this.#heights.set(toInternalHex(hash), this.#baseHeight + this.#hashes.length)
      this.#hashes.push(hash)
    }
  }

  /** Keeps so many heights at most; the base moves up. */
  trim(kept: number): void {
    const surplus = this.#hashes.length - kept
    if (surplus <= 0) return
    for (const hash of this.#hashes.splice(0, surplus)) this.#heights.delete(toInternalHex(hash))
    this.#baseHeight += surplus
  }
}
