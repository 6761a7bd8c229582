import { digest64Into, hashInto, zeroHash } from '@chainsafe/persistent-merkle-tree'
import { assert } from './assert.ts'
import { HASH_BYTES } from './hash.ts'
import { bytesEqual } from './hex.ts'
import { fault, ok, type Result } from './result.ts'

/**
 * The Merkle tree of a slot (PROTOCOL 1.4): the slot's bytes as 32-byte chunks, padded with zero
 * chunks to a power of two, hashed pairwise. It is the SSZ root of the slot as a byte vector.
 * A leaf is 8 chunks, so it is a node of level 3; a block of 64 KiB is a node of level 11. Whoever
 * keeps only the block hashes (512 B per MiB) can open any leaf by reading one block.
 */

export const LEAF_BYTES = 256
export const SLOT_LEAVES_MAX = 2 ** 22
export const SLOT_BLOCK_BYTES = 65_536

const LEAF_LEVEL = 3
const BLOCK_LEVEL = 11
const BLOCK_LEAVES = SLOT_BLOCK_BYTES / LEAF_BYTES
/** Half a block, what its first hashing step gives, and room for one zero chunk. */
const SCRATCH_BYTES = SLOT_BLOCK_BYTES / 2 + HASH_BYTES

/** A leaf of 256 bytes and the siblings from level 3 up, lowest first. */
export interface SlotOpening {
  leaf: Uint8Array
  path: Uint8Array[]
}

export interface SlotTree {
  root: Uint8Array
  /** Leaves of 256 B, 1..2^22. */
  leafCount: number
  /** One 32-byte hash per block of 64 KiB, in order. */
  blockHashes: Uint8Array
}

/** Leaves of a slot of so many bytes: the last one is padded with zero bytes. */
export function slotLeafCount(slotBytes: number): number {
  return Math.ceil(slotBytes / LEAF_BYTES)
}

/** Blocks of 64 KiB of a slot; the last one may be shorter. */
export function slotBlockCount(leafCount: number): number {
  return Math.ceil(leafCount / BLOCK_LEAVES)
}

/** Bytes of block `blockIndex`: 65,536, or fewer for the last block. */
export function slotBlockBytes(leafCount: number, blockIndex: number): number {
  return Math.min(SLOT_BLOCK_BYTES, (leafCount - blockIndex * BLOCK_LEAVES) * LEAF_BYTES)
}

/** Siblings of an opening: the levels between a leaf and the root, 0..22. */
export function openingPathLength(leafCount: number): number {
  return 32 - Math.clz32(leafCount - 1)
}

function rootLevel(leafCount: number): number {
  return LEAF_LEVEL + openingPathLength(leafCount)
}

/** Level of the nodes in `blockHashes`: 11, or the root's where the whole slot is one block. */
function blockLevel(leafCount: number): number {
  return Math.min(BLOCK_LEVEL, rootLevel(leafCount))
}

function isLeafCount(leafCount: number): boolean {
  return Number.isInteger(leafCount) && leafCount >= 1 && leafCount <= SLOT_LEAVES_MAX
}

function isIndex(index: number, count: number): boolean {
  return Number.isInteger(index) && index >= 0 && index < count
}

/**
 * Hashes the nodes of `fromLevel` pairwise up to the single node of `toLevel`; an odd node is
 * paired with the zero subtree of its level. Whole levels are hashed at once, which is what the
 * native hasher is fast at. `scratch` holds every level but the first, so the input stays as it
 * is. The last node is returned as a view of `scratch`.
 */
function fold(
  input: Uint8Array,
  fromLevel: number,
  toLevel: number,
  scratch: Uint8Array,
  onLevel?: (level: number, nodes: Uint8Array) => void,
): Uint8Array {
  let nodes = input
  for (let level = fromLevel; level < toLevel; level++) {
    nodes = evenNodes(nodes, level, scratch)
    onLevel?.(level, nodes)
    const parents = scratch.subarray(0, nodes.length / 2)
    hashInto(nodes, parents)
    nodes = parents
  }
  assert(nodes.length === HASH_BYTES, 'folding ends at one node')
  return nodes
}

/** The nodes, and the zero subtree of their level behind them if their number is odd. */
function evenNodes(nodes: Uint8Array, level: number, scratch: Uint8Array): Uint8Array {
  if (nodes.length % (2 * HASH_BYTES) === 0) return nodes
  const even = scratch.subarray(0, nodes.length + HASH_BYTES)
  even.set(nodes)
  even.set(zeroHash(level), nodes.length)
  return even
}

/** A copy of its own; `slice` of a Node Buffer would be a view of memory that others reuse. */
function copyOf(bytes: Uint8Array, start: number, length: number): Uint8Array {
  return new Uint8Array(bytes.subarray(start, start + length))
}

/** The block with its last leaf filled up with zero bytes. */
function wholeLeaves(block: Uint8Array): Uint8Array {
  if (block.length % LEAF_BYTES === 0) return block
  const padded = new Uint8Array(slotLeafCount(block.length) * LEAF_BYTES)
  padded.set(block)
  return padded
}

/**
 * Builds a slot's tree from its blocks in order, keeping one hash per block. With the hashes of
 * the first whole blocks it goes on where an earlier builder stopped.
 */
export class SlotTreeBuilder {
  #hashes: Uint8Array
  #blocks: number
  #leaves: number
  readonly #scratch = new Uint8Array(SCRATCH_BYTES)

  constructor(wholeBlockHashes = new Uint8Array(0)) {
    assert(wholeBlockHashes.length % HASH_BYTES === 0, 'block hashes have 32 bytes each')
    this.#blocks = wholeBlockHashes.length / HASH_BYTES
    this.#leaves = this.#blocks * BLOCK_LEAVES
    assert(this.#leaves <= SLOT_LEAVES_MAX, 'a slot has at most 2^22 leaves')
    this.#hashes = Uint8Array.from(wholeBlockHashes)
  }

  /** Blocks so far. */
  get blockCount(): number {
    return this.#blocks
  }

  /**
   * Adds the next block: 65,536 bytes, or 1..65,536 for the last one, which is padded with zero
   * bytes to whole leaves. The caller bounds the slot beforehand; here excess is a bug.
   */
  append(block: Uint8Array): void {
    assert(block.length >= 1 && block.length <= SLOT_BLOCK_BYTES, 'a block has 1 to 65,536 bytes')
    assert(this.#leaves === this.#blocks * BLOCK_LEAVES, 'nothing follows a short block')
    const data = wholeLeaves(block)
    const leaves = data.length / LEAF_BYTES
    assert(this.#leaves + leaves <= SLOT_LEAVES_MAX, 'a slot has at most 2^22 leaves')
    // A first short block is the whole slot, whose tree is lower than that of a block.
    const level = this.#blocks === 0 ? blockLevel(leaves) : BLOCK_LEVEL
    this.#push(fold(data, 0, level, this.#scratch))
    this.#leaves += leaves
  }

  #push(hash: Uint8Array): void {
    const at = this.#blocks * HASH_BYTES
    if (at === this.#hashes.length) {
      const grown = new Uint8Array(Math.max(16 * HASH_BYTES, 2 * this.#hashes.length))
      grown.set(this.#hashes)
      this.#hashes = grown
    }
    this.#hashes.set(hash, at)
    this.#blocks += 1
  }

  /** The tree of the blocks so far, at least one. */
  finish(): SlotTree {
    assert(this.#leaves >= 1, 'a slot has at least one leaf')
    const leafCount = this.#leaves
    const blockHashes = this.#hashes.slice(0, this.#blocks * HASH_BYTES)
    return { root: rootOfBlockHashes(blockHashes, leafCount), leafCount, blockHashes }
  }
}

/** Root of a whole slot held in memory, 1..2^30 bytes, padded with zeros to whole leaves. */
export function slotRoot(slot: Uint8Array): Uint8Array {
  const builder = new SlotTreeBuilder()
  for (let start = 0; start < slot.length; start += SLOT_BLOCK_BYTES) {
    builder.append(slot.subarray(start, start + SLOT_BLOCK_BYTES))
  }
  return builder.finish().root
}

/** Root of the slot with these block hashes: what a reader of the hashes checks them against. */
export function rootOfBlockHashes(blockHashes: Uint8Array, leafCount: number): Uint8Array {
  assertBlockHashes(blockHashes, leafCount)
  const scratch = new Uint8Array(blockHashes.length + HASH_BYTES)
  const root = fold(blockHashes, blockLevel(leafCount), rootLevel(leafCount), scratch)
  return copyOf(root, 0, HASH_BYTES)
}

/** Node of one block; `block` has exactly the bytes that slotBlockBytes gives. */
function blockHash(block: Uint8Array, leafCount: number): Uint8Array {
  return fold(block, 0, blockLevel(leafCount), new Uint8Array(SCRATCH_BYTES))
}

function assertBlockHashes(blockHashes: Uint8Array, leafCount: number): void {
  assert(isLeafCount(leafCount), 'a slot has 1 to 2^22 leaves')
  assert(blockHashes.length === slotBlockCount(leafCount) * HASH_BYTES, 'one hash per block')
}

/** Collects the sibling of node `index` at each level that fold reports, lowest first. */
function siblingsOf(index: number, firstLevel: number, path: Uint8Array[]) {
  return (level: number, nodes: Uint8Array): void => {
    if (level < firstLevel) return
    const sibling = (index >>> (level - firstLevel)) ^ 1
    path.push(copyOf(nodes, sibling * HASH_BYTES, HASH_BYTES))
  }
}

/**
 * Opens a leaf from the block that holds it. Fault BLOCK_DAMAGED: the block read from disk is not
 * the one whose hash was kept, so an opening would not verify.
 */
export function openingFrom(slot: {
  blockHashes: Uint8Array
  leafCount: number
  leafIndex: number
  blockBytes: Uint8Array
}): Result<SlotOpening> {
  const { blockHashes, leafCount, leafIndex, blockBytes } = slot
  assertBlockHashes(blockHashes, leafCount)
  assert(isIndex(leafIndex, leafCount), 'the leaf is one of the slot')
  const blockIndex = Math.floor(leafIndex / BLOCK_LEAVES)
  const leafInBlock = leafIndex % BLOCK_LEAVES
  if (blockBytes.length !== slotBlockBytes(leafCount, blockIndex)) {
    return damaged(blockIndex)
  }
  const path: Uint8Array[] = []
  const collect = siblingsOf(leafInBlock, LEAF_LEVEL, path)
  const scratch = new Uint8Array(SCRATCH_BYTES)
  const hash = fold(blockBytes, 0, blockLevel(leafCount), scratch, collect)
  const kept = blockHashes.subarray(blockIndex * HASH_BYTES, (blockIndex + 1) * HASH_BYTES)
  if (!bytesEqual(hash, kept)) return damaged(blockIndex)
  const start = leafInBlock * LEAF_BYTES
  path.push(...blockPathFrom({ blockHashes, leafCount, blockIndex }))
  return ok({ leaf: copyOf(blockBytes, start, LEAF_BYTES), path })
}

function damaged(blockIndex: number) {
  return fault('BLOCK_DAMAGED', `block ${blockIndex} of the slot is not what was stored`, {
    blockIndex,
  })
}

/** Siblings from a block's hash up to the root: proves a whole block of 64 KiB. */
export function blockPathFrom(slot: {
  blockHashes: Uint8Array
  leafCount: number
  blockIndex: number
}): Uint8Array[] {
  const { blockHashes, leafCount, blockIndex } = slot
  assertBlockHashes(blockHashes, leafCount)
  assert(isIndex(blockIndex, slotBlockCount(leafCount)), 'the block is one of the slot')
  const path: Uint8Array[] = []
  const level = blockLevel(leafCount)
  const scratch = new Uint8Array(blockHashes.length + HASH_BYTES)
  fold(blockHashes, level, rootLevel(leafCount), scratch, siblingsOf(blockIndex, level, path))
  return path
}

/**
 * Paths of any blocks of one slot, as blockPathFrom gives them. Hashes the levels above the blocks
 * once (64 bytes kept per block), so that serving a range costs each block only its path.
 */
export function blockPaths(slot: {
  blockHashes: Uint8Array
  leafCount: number
}): (blockIndex: number) => Uint8Array[] {
  const { blockHashes, leafCount } = slot
  assertBlockHashes(blockHashes, leafCount)
  const count = slotBlockCount(leafCount)
  const levels: Uint8Array[] = []
  let nodes = blockHashes
  for (let level = blockLevel(leafCount); level < rootLevel(leafCount); level++) {
    const even = evenNodes(nodes, level, new Uint8Array(nodes.length + HASH_BYTES))
    levels.push(even)
    nodes = new Uint8Array(even.length / 2)
    hashInto(even, nodes)
  }
  return (blockIndex) => {
    assert(isIndex(blockIndex, count), 'the block is one of the slot')
    return levels.map((level, height) => {
      const sibling = (blockIndex >>> height) ^ 1
      return level.slice(sibling * HASH_BYTES, (sibling + 1) * HASH_BYTES)
    })
  }
}

/** A leaf with its path, and where it is said to stand. */
export interface OpeningClaim {
  readonly root: Uint8Array
  readonly leafCount: number
  readonly leafIndex: number
  readonly leaf: Uint8Array
  readonly path: readonly Uint8Array[]
}

/** True iff `leaf` is leaf `leafIndex` of the slot with this root. Takes untrusted input. */
export function verifyOpening(claim: OpeningClaim): boolean {
  return firstFalseOpening([claim]) === undefined
}

/**
 * Position of the first claim that is not true; undefined if all are. Takes untrusted input. All
 * paths climb together, a level of all of them in one call: the native hasher takes eight pairs in
 * little more than the time of one.
 */
export function firstFalseOpening(claims: readonly OpeningClaim[]): number | undefined {
  const malformed = claims.findIndex((claim) => !isWellFormed(claim))
  // What stands before a malformed one may be false too, and then is the first.
  const formed = malformed < 0 ? claims : claims.slice(0, malformed)
  const nodes = climbTogether(formed, leafNodes(formed))
  const wrong = formed.findIndex(({ root }, i) => !bytesEqual(nodeAt(nodes, i), root))
  if (wrong >= 0) return wrong
  return malformed < 0 ? undefined : malformed
}

function isWellFormed({ leafCount, leafIndex, leaf, path }: OpeningClaim): boolean {
  if (!isLeafCount(leafCount) || !isIndex(leafIndex, leafCount)) return false
  if (leaf.length !== LEAF_BYTES || path.length !== openingPathLength(leafCount)) return false
  return path.every((sibling) => sibling.length === HASH_BYTES)
}

function nodeAt(nodes: Uint8Array, index: number): Uint8Array {
  return nodes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES)
}

/** The node of level 3 of each leaf, one after the other. */
function leafNodes(claims: readonly OpeningClaim[]): Uint8Array {
  let row = new Uint8Array(claims.length * LEAF_BYTES)
  for (const [i, { leaf }] of claims.entries()) row.set(leaf, i * LEAF_BYTES)
  for (let level = 0; level < LEAF_LEVEL; level++) {
    const parents = new Uint8Array(row.length / 2)
    if (row.length > 0) hashInto(row, parents)
    row = parents
  }
  return row
}

/** Where each path ends, from the nodes where they begin; writes into `nodes`. */
function climbTogether(claims: readonly OpeningClaim[], nodes: Uint8Array): Uint8Array {
  const pairs = new Uint8Array(2 * nodes.length)
  const parents = new Uint8Array(nodes.length)
  for (let level = 0; ; level++) {
    const climbing: number[] = []
    for (const [i, { leafIndex, path }] of claims.entries()) {
      const sibling = path[level]
      if (!sibling) continue
      const at = 2 * HASH_BYTES * climbing.length
      const isRight = (leafIndex >>> level) & 1
      pairs.set(nodeAt(nodes, i), at + isRight * HASH_BYTES)
      pairs.set(sibling, at + (1 - isRight) * HASH_BYTES)
      climbing.push(i)
    }
    if (climbing.length === 0) return nodes
    const bytes = climbing.length * HASH_BYTES
    hashInto(pairs.subarray(0, 2 * bytes), parents.subarray(0, bytes))
    for (const [place, i] of climbing.entries()) nodes.set(nodeAt(parents, place), i * HASH_BYTES)
  }
}

/**
 * True iff `block` is block `blockIndex` of the slot with this root: how a reader checks each
 * range as it arrives. Takes untrusted input.
 */
export function verifyBlock(proof: {
  root: Uint8Array
  leafCount: number
  blockIndex: number
  block: Uint8Array
  path: readonly Uint8Array[]
}): boolean {
  const { root, leafCount, blockIndex, block, path } = proof
  if (!isLeafCount(leafCount) || !isIndex(blockIndex, slotBlockCount(leafCount))) return false
  if (block.length !== slotBlockBytes(leafCount, blockIndex)) return false
  if (path.length !== rootLevel(leafCount) - blockLevel(leafCount)) return false
  return climb(blockHash(block, leafCount), blockIndex, path, root)
}

function climb(
  start: Uint8Array,
  index: number,
  path: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  const node = copyOf(start, 0, HASH_BYTES)
  let position = index
  for (const sibling of path) {
    if (sibling.length !== HASH_BYTES) return false
    if (position & 1) digest64Into(sibling, node, node)
    else digest64Into(node, sibling, node)
    position >>>= 1
  }
  return bytesEqual(node, root)
}
