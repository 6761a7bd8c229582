import { bytesEqual } from '../bytes/hex.ts'
import { type InternalHash, toInternalHex } from '../elastos/hash-orientation.ts'
import type { HeaderContext } from '../elastos/header-rules.ts'
import type { FollowedBlock, MainTip } from './followed-block.ts'

/** Blocks that left the best chain, remembered so that whoever stands on one is led back. */
const ORPHANS_MAX = 4096

/** A block of the best chain, and since when it is in it, by the monotonic clock. */
interface HeldBlock extends FollowedBlock {
  readonly sinceMs: number
  /** First height at or above this one that the main chain's arbiters confirm. */
  readonly dposFrom: number
}

/**
 * The recent blocks of the best main chain that a follower knows, without a gap, and the way back
 * from blocks that left it. Everything is named by its height, since the oldest blocks may be
 * forgotten at any time.
 */
export class BlockWindow {
  /** Context of the block below the window's first. */
  #base: HeaderContext
  /** What the blocks below the window say of the mode at its start. */
  #baseDposFrom = 0
  readonly #blocks: HeldBlock[] = []
  readonly #places = new Map<string, { height: number; index: number }>()
  /** Left blocks by hash, with the hash of the block below. Insertion order is age. */
  readonly #orphans = new Map<string, { height: number; previous: string }>()

  constructor(start: HeaderContext) {
    this.#base = start
  }

  /** The block below the oldest one held here. */
  get floor(): MainTip {
    return this.#base.previous
  }

  get tip(): MainTip {
    return this.tipContext.previous
  }

  /** The header rules' context for a block after the tip. */
  get tipContext(): HeaderContext {
    return this.#blocks.at(-1)?.context ?? this.#base
  }

  /** All blocks, oldest first. */
  get blocks(): readonly FollowedBlock[] {
    return this.#blocks
  }

  /** Context for a block above this height; undefined where the height is not held. */
  contextAfter(height: number): HeaderContext | undefined {
    return height === this.#base.previous.height ? this.#base : this.blockAt(height)?.context
  }

  blockAt(height: number): FollowedBlock | undefined {
    return this.#blocks[this.#count(height) - 1]
  }

  /** Blocks above `low` up to `high`, as far as they are held. */
  between(low: number, high: number): readonly FollowedBlock[] {
    const from = Math.max(0, this.#count(low))
    return this.#blocks.slice(from, Math.max(from, this.#count(high)))
  }

  hashAt(height: number): InternalHash | undefined {
    return this.contextAfter(height)?.previous.hash
  }

  /** Whether the block belongs to a time when the main chain ran without its arbiters. */
  isPowAt(height: number): boolean {
    const block = this.#blocks[this.#count(height) - 1]
    return block !== undefined && height < block.dposFrom
  }

  /** Height of the newest block that has been in the best chain for so long. */
  heightKnownFor(ms: number): number {
    const before = performance.now() - ms
    const newest = this.#blocks.findLast(({ sinceMs }) => sinceMs <= before)
    return newest?.header.header.height ?? this.floor.height
  }

  hasTransaction(id: InternalHash): boolean {
    return this.#places.has(toInternalHex(id))
  }

  /** Where a transaction stands. */
  placeOf(id: InternalHash): { block: FollowedBlock; index: number } | undefined {
    const place = this.#places.get(toInternalHex(id))
    const block = place && this.blockAt(place.height)
    return place && block && { block, index: place.index }
  }

  /** Height of the last block that the best chain shares with this one's; undefined: unknown. */
  sharedHeight(tip: MainTip): number | undefined {
    let { height } = tip
    let key: string = toInternalHex(tip.hash)
    for (;;) {
      const best = this.hashAt(height)
      if (best && toInternalHex(best) === key) return height
      const orphan = this.#orphans.get(key)
      if (!orphan) return undefined
      key = orphan.previous
      height = orphan.height - 1
    }
  }

  /** Whether another block stands at the header's height. */
  contradicts(header: MainTip): boolean {
    const known = this.hashAt(header.height)
    return known !== undefined && !bytesEqual(known, header.hash)
  }

  /** The blocks above `height`, which is held, give way to the branch. */
  adopt(height: number, branch: readonly FollowedBlock[]): void {
    for (const left of this.#blocks.splice(this.#count(height))) {
      this.#forget(left)
      const { height: at, previous } = left.header.header
      const orphan = { height: at, previous: toInternalHex(previous) }
      this.#orphans.set(toInternalHex(left.header.hash), orphan)
    }
    const sinceMs = performance.now()
    for (const block of branch) this.#append(block, sinceMs)
    for (const key of this.#orphans.keys()) {
      if (this.#orphans.size <= ORPHANS_MAX) break
      this.#orphans.delete(key)
    }
  }

  /** Forgets the blocks up to this height. */
  dropUpTo(height: number): void {
    const surplus = Math.min(this.#count(height), this.#blocks.length)
    if (surplus <= 0) return
    const { context, dposFrom } = this.#blocks[surplus - 1] as HeldBlock
    this.#base = context
    this.#baseDposFrom = dposFrom
    for (const block of this.#blocks.splice(0, surplus)) this.#forget(block)
  }

  #append(block: FollowedBlock, sinceMs: number): void {
    const dposFrom = block.dposFrom ?? this.#blocks.at(-1)?.dposFrom ?? this.#baseDposFrom
    this.#blocks.push({ ...block, sinceMs, dposFrom })
    const { height } = block.header.header
    this.#orphans.delete(toInternalHex(block.header.hash))
    block.transactionIds.forEach((id, index) => {
      this.#places.set(toInternalHex(id), { height, index })
    })
  }

  /** Blocks of the window up to a height. */
  #count(height: number): number {
    return height - this.#base.previous.height
  }

  #forget(block: FollowedBlock): void {
    for (const id of block.transactionIds) this.#places.delete(toInternalHex(id))
  }
}
