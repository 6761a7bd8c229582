import { hashInto, zeroHash } from '@chainsafe/persistent-merkle-tree'
import { assert } from './assert.ts'
import { HASH_BYTES, sha256 } from './hash.ts'
import { bytesEqual } from './hex.ts'

/** Changed leaves: strictly ascending indexes, and 32 bytes for each, one after the other. */
export interface LeafRow {
  /** From the tree's count on they append, without gaps. */
  readonly indexes: Uint32Array
  readonly leaves: Uint8Array
}

/** Leaves by index, in any order, as a row. */
export function leafRow(changes: ReadonlyMap<number, Uint8Array>): LeafRow {
  const indexes = Uint32Array.from(changes.keys()).sort()
  const leaves = new Uint8Array(indexes.length * HASH_BYTES)
  for (let i = 0; i < indexes.length; i++) {
    const leaf = changes.get(indexes[i] as number)
    assert(leaf?.length === HASH_BYTES, 'a leaf is 32 bytes')
    leaves.set(leaf, i * HASH_BYTES)
  }
  return { indexes, leaves }
}

/** Two rows as one; where both have an index, the leaf of `upper` counts. */
export function overlayRows(lower: LeafRow, upper: LeafRow): LeafRow {
  if (lower.indexes.length === 0) return upper
  if (upper.indexes.length === 0) return lower
  const indexes = new Uint32Array(lower.indexes.length + upper.indexes.length)
  const leaves = new Uint8Array(indexes.length * HASH_BYTES)
  let length = 0
  let l = 0
  let u = 0
  while (l < lower.indexes.length || u < upper.indexes.length) {
    const low = lower.indexes[l] ?? INDEX_END
    const high = upper.indexes[u] ?? INDEX_END
    const [row, at] = low < high ? [lower, l] : [upper, u]
    if (low <= high) l++
    if (high <= low) u++
    indexes[length] = row.indexes[at] as number
    leaves.set(row.leaves.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES), length * HASH_BYTES)
    length++
  }
  return { indexes: indexes.subarray(0, length), leaves: leaves.subarray(0, length * HASH_BYTES) }
}

/** Levels above the leaves of a tree with `count` leaves, padded to a power of two. */
export function denseDepth(count: number): number {
  let depth = 0
  while (2 ** depth < count) depth++
  return depth
}

/** The SSZ length chunk: the count as a little-endian 256-bit number. */
export function countChunk(count: number): Uint8Array {
  const chunk = new Uint8Array(HASH_BYTES)
  new DataView(chunk.buffer).setBigUint64(0, BigInt(count), true)
  return chunk
}

/** Parents of a row of nodes: `pairs` is a multiple of 64 bytes, the answer half as long. */
export function hashPairs(pairs: Uint8Array): Uint8Array {
  const parents = new Uint8Array(pairs.length / 2)
  if (pairs.length > 0) hashInto(pairs, parents)
  return parents
}

/** Above every index. */
const INDEX_END = 2 ** 32
/** Nodes and pairs are copied as 32-bit words: far cheaper than a call per 32 bytes. */
const NODE_WORDS = HASH_BYTES / 4
const PAIR_WORDS = 2 * NODE_WORDS
/** Rows longer than this get buffers of their own, which are not kept. */
const KEPT_ROW_MAX = 1 << 16

/** A level of the tree: the same memory as bytes and as words. */
class Nodes {
  readonly bytes: Uint8Array
  readonly words: Int32Array
  /** Nodes it has room for, always even, so that a pair is either in it or not. */
  readonly room: number

  constructor(count: number) {
    this.room = count + (count % 2)
    const memory = new ArrayBuffer(this.room * HASH_BYTES)
    this.bytes = new Uint8Array(memory)
    this.words = new Int32Array(memory)
  }

  /** What stands where the list has nothing. */
  fillZero(level: number, from: number): void {
    for (let index = from; index < this.room; index++) {
      this.bytes.set(zeroHash(level), index * HASH_BYTES)
    }
  }
}

/** Memory in which changed nodes climb from level to level; used again for the next change. */
class ClimbBuffers {
  readonly room: number
  readonly indexes: Uint32Array
  readonly nodes: Nodes
  readonly pairs: Nodes

  constructor(room: number) {
    this.room = room
    this.indexes = new Uint32Array(room)
    this.nodes = new Nodes(room)
    this.pairs = new Nodes(2 * room)
  }
}

/**
 * Merkle tree over a dense list of 32-byte leaves, one flat buffer per level. Changed nodes climb
 * level by level: the pairs above them are gathered into one buffer and hashed in one call. Its
 * root equals the SSZ root of List[Bytes32, N] where N is the count rounded up to a power of two:
 * zero padding and the count mixed in (PROTOCOL 2). Work grows with changed leaves x depth.
 */
export class DenseTree {
  #count = 0
  /** Level l holds ceil(count / 2^l) nodes, then zero hashes of its level. */
  readonly #levels: Nodes[] = []
  #kept: ClimbBuffers | undefined

  /** Builds a tree over `leaves`, a multiple of 32 bytes, in one pass per level. */
  static fromLeaves(leaves: Uint8Array): DenseTree {
    assert(leaves.length % HASH_BYTES === 0, 'leaves are 32 bytes each')
    const tree = new DenseTree()
    tree.#count = leaves.length / HASH_BYTES
    let nodes = tree.#roomFor(0, tree.#count)
    nodes.bytes.set(leaves)
    for (let level = 0; level < denseDepth(tree.#count); level++) {
      const pairs = Math.ceil(tree.#count / 2 ** (level + 1))
      const parents = tree.#roomFor(level + 1, pairs)
      hashInto(
        nodes.bytes.subarray(0, pairs * 2 * HASH_BYTES),
        parents.bytes.subarray(0, pairs * HASH_BYTES),
      )
      nodes = parents
    }
    return tree
  }

  get count(): number {
    return this.#count
  }

  leaf(index: number): Uint8Array {
    assert(index >= 0 && index < this.#count, 'no leaf at this index')
    return this.#node(0, index)
  }

  root(): Uint8Array {
    return sha256(this.#node(denseDepth(this.#count), 0), countChunk(this.#count))
  }

  /** The root after `changes`, without changing the tree. */
  rootWith(changes: LeafRow): Uint8Array {
    if (changes.indexes.length === 0) return this.root()
    const count = this.#countWith(changes)
    const buffers = this.#load(changes)
    let length = changes.indexes.length
    for (let level = 0; level < denseDepth(count); level++) {
      length = this.#climb(buffers, length, level)
    }
    return sha256(buffers.nodes.bytes.subarray(0, HASH_BYTES), countChunk(count))
  }

  apply(changes: LeafRow): void {
    if (changes.indexes.length === 0) return
    const count = this.#countWith(changes)
    const depth = denseDepth(count)
    const buffers = this.#load(changes)
    let length = changes.indexes.length
    for (let level = 0; level <= depth; level++) {
      this.#store(level, buffers, length, Math.ceil(count / 2 ** level))
      if (level < depth) length = this.#climb(buffers, length, level)
    }
    this.#count = count
  }

  /** The node over all leaves, before the count is mixed in. */
  top(): Uint8Array {
    return this.#node(denseDepth(this.#count), 0)
  }

  /** Siblings of the node `index` of a level, from there up to the top. */
  subtreeBranch(level: number, index: number): Uint8Array[] {
    const branch: Uint8Array[] = []
    for (let at = level; at < denseDepth(this.#count); at++) {
      branch.push(this.#node(at, Math.floor(index / 2 ** (at - level)) ^ 1))
    }
    return branch
  }

  /** Siblings of a leaf from the bottom up, then the count chunk: an SSZ branch of the list. */
  proof(index: number): Uint8Array[] {
    assert(index >= 0 && index < this.#count, 'no leaf at this index')
    const branch: Uint8Array[] = []
    for (let level = 0; level < denseDepth(this.#count); level++) {
      branch.push(this.#node(level, Math.floor(index / 2 ** level) ^ 1))
    }
    branch.push(countChunk(this.#count))
    return branch
  }

  /** The count after `changes`; asserts that they are a row and append without gaps. */
  #countWith({ indexes, leaves }: LeafRow): number {
    assert(leaves.length === indexes.length * HASH_BYTES, 'a leaf is 32 bytes')
    let next = this.#count
    let previous = -1
    for (const index of indexes) {
      assert(index > previous, 'a row of leaves ascends')
      if (index >= next) {
        assert(index === next, 'a dense list grows without gaps')
        next++
      }
      previous = index
    }
    return next
  }

  #load({ indexes, leaves }: LeafRow): ClimbBuffers {
    const { length } = indexes
    let buffers = this.#kept
    if (buffers === undefined || buffers.room < length) {
      buffers = new ClimbBuffers(2 ** denseDepth(length))
      if (buffers.room <= KEPT_ROW_MAX) this.#kept = buffers
    }
    buffers.indexes.set(indexes)
    buffers.nodes.bytes.set(leaves)
    return buffers
  }

  /** Replaces a row of changed nodes of one level by their parents; returns how many those are. */
  #climb({ indexes, nodes, pairs }: ClimbBuffers, length: number, level: number): number {
    const base = this.#levels[level]
    let parents = 0
    for (let i = 0; i < length; i++) {
      const index = indexes[i] as number
      const parent = index >>> 1
      this.#copyPair(base, level, parent, pairs.words, parents * PAIR_WORDS)
      copyNode(nodes.words, i, pairs.words, parents * 2 + (index & 1))
      if (i + 1 < length && (indexes[i + 1] as number) >>> 1 === parent) {
        i++
        copyNode(nodes.words, i, pairs.words, parents * 2 + 1)
      }
      indexes[parents++] = parent
    }
    hashInto(
      pairs.bytes.subarray(0, parents * 2 * HASH_BYTES),
      nodes.bytes.subarray(0, parents * HASH_BYTES),
    )
    return parents
  }

  /** The base's pair under a parent; zero hashes where the base has nothing. */
  #copyPair(
    base: Nodes | undefined,
    level: number,
    parent: number,
    target: Int32Array,
    offset: number,
  ): void {
    if (base !== undefined && 2 * parent < base.room) {
      const from = parent * PAIR_WORDS
      const { words } = base
      for (let i = 0; i < PAIR_WORDS; i++) target[offset + i] = words[from + i] as number
    } else {
      const zero = zeroWords(level)
      for (let i = 0; i < PAIR_WORDS; i++) target[offset + i] = zero[i % NODE_WORDS] as number
    }
  }

  /** A node of the base; the zero hash of its level where the list has nothing. */
  #node(level: number, index: number): Uint8Array {
    const nodes = this.#levels[level]
    if (nodes === undefined || index >= nodes.room) return zeroHash(level)
    return nodes.bytes.slice(index * HASH_BYTES, (index + 1) * HASH_BYTES)
  }

  #store(level: number, { indexes, nodes }: ClimbBuffers, length: number, count: number): void {
    const { words } = this.#roomFor(level, count)
    for (let i = 0; i < length; i++) copyNode(nodes.words, i, words, indexes[i] as number)
  }

  /** A level with room for so many nodes. */
  #roomFor(level: number, count: number): Nodes {
    const nodes = this.#levels[level]
    if (nodes !== undefined && nodes.room >= count) return nodes
    // Doubling: a list that grows one by one copies each node O(1) times.
    const grown = new Nodes(nodes === undefined ? count : Math.max(count, 2 * nodes.room))
    if (nodes !== undefined) grown.bytes.set(nodes.bytes)
    grown.fillZero(level, nodes === undefined ? count : nodes.room)
    this.#levels[level] = grown
    return grown
  }
}

function copyNode(source: Int32Array, from: number, target: Int32Array, to: number): void {
  const start = from * NODE_WORDS
  const offset = to * NODE_WORDS
  for (let i = 0; i < NODE_WORDS; i++) target[offset + i] = source[start + i] as number
}

function zeroWords(level: number): Int32Array {
  return new Int32Array(zeroHash(level).slice().buffer)
}

/** Recomputes a dense tree's root from a leaf and its branch. */
export function verifyDenseProof(
  root: Uint8Array,
  leaf: Uint8Array,
  index: number,
  count: number,
  branch: readonly Uint8Array[],
): boolean {
  if (!Number.isSafeInteger(count) || count < 1 || index < 0 || index >= count) return false
  const siblings = branch.slice(0, -1)
  const last = branch.at(-1)
  if (siblings.length !== denseDepth(count) || last === undefined) return false
  if (leaf.length !== HASH_BYTES || branch.some((node) => node.length !== HASH_BYTES)) return false
  if (!bytesEqual(last, countChunk(count))) return false
  return bytesEqual(sha256(foldBranch(leaf, index, siblings), last), root)
}

/** The node of a level over so many leaves (32 bytes each) from its first place on. */
export function subtreeNode(leaves: Uint8Array, level: number): Uint8Array {
  const tree = DenseTree.fromLeaves(leaves)
  const depth = denseDepth(tree.count)
  assert(depth <= level, 'more leaves than the subtree has places')
  const padding = Array.from({ length: level - depth }, (_, i) => zeroHash(depth + i))
  return foldBranch(tree.top(), 0, padding)
}

/** Hashes a leaf upwards; bit l of the index says on which side the sibling of level l stands. */
export function foldBranch(
  leaf: Uint8Array,
  index: number,
  siblings: readonly Uint8Array[],
): Uint8Array {
  let node = leaf
  let position = index
  for (const sibling of siblings) {
    node = position % 2 === 0 ? sha256(node, sibling) : sha256(sibling, node)
    position = Math.floor(position / 2)
  }
  return node
}
