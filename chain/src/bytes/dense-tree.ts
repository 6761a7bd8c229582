import { hashInto, zeroHash } from '@chainsafe/persistent-merkle-tree'
import { assert } from './assert.ts'
import { HASH_BYTES, sha256 } from './hash.ts'
import { bytesEqual } from './hex.ts'

/** Leaves by index; an index from the tree's count on appends, without gaps. */
export type LeafChanges = ReadonlyMap<number, Uint8Array>

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

/** Nodes of one level that differ from the base: ascending indexes and their 32-byte values. */
interface ChangedRow {
  readonly indexes: readonly number[]
  readonly nodes: Uint8Array
}

/**
 * Merkle tree over a dense list of 32-byte leaves, one flat buffer per level, hashed level by
 * level in batches. Its root equals the SSZ root of List[Bytes32, N] where N is the count
 * rounded up to a power of two: zero padding and the count mixed in (PROTOCOL 2). Work of a
 * change grows with changed leaves x depth.
 */
export class DenseTree {
  #count = 0
  /** Level 0 holds the leaves; level l holds ceil(count / 2^l) nodes. */
  readonly #levels: Uint8Array[] = [new Uint8Array(0)]

  /** Builds a tree over `leaves`, a multiple of 32 bytes, in one pass per level. */
  static fromLeaves(leaves: Uint8Array): DenseTree {
    assert(leaves.length % HASH_BYTES === 0, 'leaves are 32 bytes each')
    const tree = new DenseTree()
    tree.#count = leaves.length / HASH_BYTES
    tree.#levels[0] = leaves.slice()
    let row = leaves
    for (let level = 0; level < denseDepth(tree.#count); level++) {
      row = hashPairs(evenRow(row, level))
      tree.#levels[level + 1] = row
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
    return this.#rootOf(this.#count, this.#node(denseDepth(this.#count), 0))
  }

  /** The root after `changes`, without changing the tree. */
  rootWith(changes: LeafChanges): Uint8Array {
    if (changes.size === 0) return this.root()
    const count = this.#countWith(changes)
    let row = rowOf(changes)
    for (let level = 0; level < denseDepth(count); level++) row = this.#parents(row, level)
    return this.#rootOf(count, row.nodes.subarray(0, HASH_BYTES))
  }

  apply(changes: LeafChanges): void {
    if (changes.size === 0) return
    const count = this.#countWith(changes)
    const depth = denseDepth(count)
    let row = rowOf(changes)
    for (let level = 0; level <= depth; level++) {
      // Parents are hashed before the row is stored: both read the same base.
      const parents = level < depth ? this.#parents(row, level) : row
      this.#store(level, row, Math.ceil(count / 2 ** level))
      row = parents
    }
    this.#count = count
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

  #countWith(changes: LeafChanges): number {
    let count = this.#count
    while (changes.has(count)) count++
    for (const [index, leaf] of changes) {
      assert(index >= 0 && index < count, 'a dense list grows without gaps')
      assert(leaf.length === HASH_BYTES, 'a leaf is 32 bytes')
    }
    return count
  }

  #rootOf(count: number, top: Uint8Array): Uint8Array {
    return sha256(top, countChunk(count))
  }

  /** A node of the base; the zero hash of its level where the list has nothing. */
  #node(level: number, index: number): Uint8Array {
    const nodes = this.#levels[level]
    if (nodes === undefined || index >= Math.ceil(this.#count / 2 ** level)) return zeroHash(level)
    return nodes.slice(index * HASH_BYTES, (index + 1) * HASH_BYTES)
  }

  #parents(row: ChangedRow, level: number): ChangedRow {
    const indexes = parentIndexes(row.indexes)
    const pairs = new Uint8Array(indexes.length * 2 * HASH_BYTES)
    let next = 0
    for (const [i, parent] of indexes.entries()) {
      for (let side = 0; side < 2; side++) {
        const offset = (2 * i + side) * HASH_BYTES
        if (row.indexes[next] === 2 * parent + side) {
          pairs.set(row.nodes.subarray(next * HASH_BYTES, (next + 1) * HASH_BYTES), offset)
          next++
        } else {
          this.#copyNode(level, 2 * parent + side, pairs, offset)
        }
      }
    }
    return { indexes, nodes: hashPairs(pairs) }
  }

  #copyNode(level: number, index: number, target: Uint8Array, offset: number): void {
    const nodes = this.#levels[level]
    if (nodes === undefined || index >= Math.ceil(this.#count / 2 ** level)) {
      target.set(zeroHash(level), offset)
    } else {
      target.set(nodes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES), offset)
    }
  }

  #store(level: number, row: ChangedRow, count: number): void {
    let nodes = this.#levels[level] ?? new Uint8Array(0)
    if (nodes.length < count * HASH_BYTES) {
      // Doubling: a list that grows one by one copies each node O(1) times.
      const grown = new Uint8Array(2 ** denseDepth(count) * HASH_BYTES)
      grown.set(nodes)
      nodes = grown
      this.#levels[level] = nodes
    }
    for (const [i, index] of row.indexes.entries()) {
      nodes.set(row.nodes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES), index * HASH_BYTES)
    }
  }
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

function rowOf(changes: LeafChanges): ChangedRow {
  const indexes = [...changes.keys()].sort((a, b) => a - b)
  const nodes = new Uint8Array(indexes.length * HASH_BYTES)
  for (const [i, index] of indexes.entries()) {
    nodes.set(changes.get(index) as Uint8Array, i * HASH_BYTES)
  }
  return { indexes, nodes }
}

function parentIndexes(indexes: readonly number[]): number[] {
  const parents: number[] = []
  for (const index of indexes) {
    const parent = Math.floor(index / 2)
    if (parents.at(-1) !== parent) parents.push(parent)
  }
  return parents
}

function evenRow(row: Uint8Array, level: number): Uint8Array {
  if (row.length % (2 * HASH_BYTES) === 0) return row
  const padded = new Uint8Array(row.length + HASH_BYTES)
  padded.set(row)
  padded.set(zeroHash(level), row.length)
  return padded
}
