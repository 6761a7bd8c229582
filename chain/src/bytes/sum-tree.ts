import { assert } from './assert.ts'
import { HASH_BYTES, sha256 } from './hash.ts'
import { bytesEqual } from './hex.ts'

/**
 * The Merkle-sum tree over a node's inventory (PROTOCOL 6.1): every inner node commits to the
 * sums of both its children, so that a weighted draw can be opened by one path and nobody can
 * place an entry at a position that its weight does not give it.
 *
 * Leaf  = sha256(0x00 ‖ rail u32 ‖ generation u32 ‖ weight u128), its sum is the weight.
 * Inner = sha256(0x01 ‖ left hash ‖ left sum u128 ‖ right hash ‖ right sum u128).
 * Integers are little-endian. The tree is as deep as its entry count needs; places behind the
 * last entry are the empty leaf (32 zero bytes, sum 0). The empty tree is the empty leaf. Whoever
 * keeps a root keeps the sum and the count beside it.
 */
export interface SumEntry {
  readonly rail: number
  readonly generation: number
  /** Below 2^128, and so is the sum of all. */
  readonly weight: bigint
}

export interface SumNode {
  readonly hash: Uint8Array
  readonly sum: bigint
}

export interface SumRoot {
  readonly root: Uint8Array
  readonly sum: bigint
  readonly count: number
}

/** Bits of a sum; a tree whose weights would reach it is never built. */
const SUM_LIMIT = 1n << 128n
const SUM_BYTES = 16
const LEAF_PREFIX = 0x00
const INNER_PREFIX = 0x01

/** Levels between a leaf and the root: 0 for up to one entry, at most 32. */
export function sumTreeDepth(count: number): number {
  return count <= 1 ? 0 : Math.ceil(Math.log2(count))
}

function writeSum(view: DataView, offset: number, sum: bigint): void {
  view.setBigUint64(offset, BigInt.asUintN(64, sum), true)
  view.setBigUint64(offset + 8, sum >> 64n, true)
}

function sumLeaf(entry: SumEntry): SumNode {
  assert(entry.weight >= 0n && entry.weight < SUM_LIMIT, 'a weight has 128 bits')
  const bytes = new Uint8Array(1 + 4 + 4 + SUM_BYTES)
  const view = new DataView(bytes.buffer)
  bytes[0] = LEAF_PREFIX
  view.setUint32(1, entry.rail, true)
  view.setUint32(5, entry.generation, true)
  writeSum(view, 9, entry.weight)
  return { hash: sha256(bytes), sum: entry.weight }
}

function sumParent(left: SumNode, right: SumNode): SumNode {
  const sum = left.sum + right.sum
  assert(sum < SUM_LIMIT, 'a sum of weights has 128 bits')
  const bytes = new Uint8Array(1 + 2 * (HASH_BYTES + SUM_BYTES))
  const view = new DataView(bytes.buffer)
  bytes[0] = INNER_PREFIX
  bytes.set(left.hash, 1)
  writeSum(view, 33, left.sum)
  bytes.set(right.hash, 49)
  writeSum(view, 81, right.sum)
  return { hash: sha256(bytes), sum }
}

/** Empty subtrees by level, made once. */
const emptyNodes: SumNode[] = [{ hash: new Uint8Array(HASH_BYTES), sum: 0n }]

function emptyNode(level: number): SumNode {
  for (let next = emptyNodes.length; next <= level; next++) {
    const below = emptyNodes[next - 1] as SumNode
    emptyNodes.push(sumParent(below, below))
  }
  return emptyNodes[level] as SumNode
}

/** A built tree: a value, never changed. Level 0 holds the leaves, the last level the root. */
export interface SumTree extends SumRoot {
  readonly levels: readonly (readonly SumNode[])[]
}

/** Hashes every entry: 2n hashes. */
export function buildSumTree(entries: readonly SumEntry[]): SumTree {
  const levels: SumNode[][] = [entries.map(sumLeaf)]
  for (let level = 0; level < sumTreeDepth(entries.length); level++) {
    const below = levels[level] as SumNode[]
    const nodes: SumNode[] = []
    for (let i = 0; i < below.length; i += 2) nodes.push(parentAt(below, level, i >> 1))
    levels.push(nodes)
  }
  return treeOf(levels)
}

function parentAt(below: readonly SumNode[], level: number, index: number): SumNode {
  const left = below[2 * index] as SumNode
  return sumParent(left, below[2 * index + 1] ?? emptyNode(level))
}

function treeOf(levels: readonly (readonly SumNode[])[]): SumTree {
  const top = levels.at(-1)?.[0] ?? emptyNode(0)
  return { root: top.hash, sum: top.sum, count: levels[0]?.length ?? 0, levels }
}

/**
 * The tree of `entries` from the tree of the list they came from, where only the entries at
 * `changed` differ and entries were added or dropped at the end: log n hashes for each.
 */
export function updateSumTree(
  tree: SumTree,
  entries: readonly SumEntry[],
  changed: readonly number[],
): SumTree {
  const depth = sumTreeDepth(entries.length)
  let dirty = new Set(changed.filter((index) => index < entries.length))
  for (let index = tree.count; index < entries.length; index++) dirty.add(index)
  // Where entries were dropped, what stood above the last one has another right side now.
  if (entries.length < tree.count && entries.length > 0) dirty.add(entries.length - 1)
  const leaves = (tree.levels[0] ?? []).slice(0, entries.length)
  for (const index of dirty) leaves[index] = sumLeaf(entries[index] as SumEntry)
  const levels: SumNode[][] = [leaves]
  for (let level = 0; level < depth; level++) {
    const below = levels[level] as SumNode[]
    const size = Math.ceil(below.length / 2)
    const nodes = (tree.levels[level + 1] ?? []).slice(0, size)
    const above = new Set<number>()
    for (const index of dirty) above.add(index >> 1)
    for (let index = nodes.length; index < size; index++) above.add(index)
    for (const index of above) nodes[index] = parentAt(below, level, index)
    levels.push(nodes)
    dirty = above
  }
  return treeOf(levels)
}

/**
 * The entry that holds a position of 0..sum-1: entries lie behind one another in order, each as
 * wide as its weight.
 */
export function drawFromSumTree(tree: SumTree, position: bigint): number {
  assert(position >= 0n && position < tree.sum, 'a position lies within the sum')
  let index = 0
  let rest = position
  for (let level = tree.levels.length - 2; level >= 0; level--) {
    index *= 2
    const left = (tree.levels[level] as SumNode[])[index] as SumNode
    if (rest >= left.sum) {
      rest -= left.sum
      index += 1
    }
  }
  return index
}

/** Siblings of an entry from its leaf up, or of the node `index` of a level, with their sums. */
export function sumPathOf(tree: SumTree, index: number, level = 0): SumNode[] {
  assert(index >= 0 && index * 2 ** level < tree.count, 'only an entry has a path')
  const path: SumNode[] = []
  for (let at = level; at < tree.levels.length - 1; at++) {
    const nodes = tree.levels[at] as SumNode[]
    path.push(nodes[(index >> (at - level)) ^ 1] ?? emptyNode(at))
  }
  return path
}

/**
 * True iff the tree with this root, sum and count holds exactly these entries from place
 * index x 2^level on. Takes untrusted entries and path.
 */
export function verifySumSlice(
  tree: SumRoot,
  slice: {
    readonly level: number
    readonly index: number
    readonly entries: readonly SumEntry[]
    readonly path: readonly SumNode[]
  },
): boolean {
  const { index, entries, path } = slice
  const level = Math.min(slice.level, sumTreeDepth(tree.count))
  if (entries.length !== Math.min(2 ** level, tree.count - index * 2 ** level)) return false
  if (path.length !== sumTreeDepth(tree.count) - level) return false
  if (entries.reduce((sum, { weight }) => sum + weight, 0n) > tree.sum) return false
  const built = buildSumTree(entries)
  let top: SumNode = { hash: built.root, sum: built.sum }
  for (let at = sumTreeDepth(entries.length); at < level; at++) {
    top = sumParent(top, emptyNode(at))
  }
  for (const [at, sibling] of path.entries()) {
    if (sibling.sum < 0n || top.sum + sibling.sum > tree.sum) return false
    if (sibling.hash.length !== HASH_BYTES) return false
    top = (index >> at) & 1 ? sumParent(sibling, top) : sumParent(top, sibling)
  }
  return top.sum === tree.sum && bytesEqual(top.hash, tree.root)
}

/** An entry with its path, and a position that is said to fall into it. */
export interface SumPathClaim {
  readonly index: number
  readonly entry: SumEntry
  readonly path: readonly SumNode[]
  readonly position: bigint
}

/**
 * What verifySumPath answers, from the whole tree of `entries` where it is at hand: siblings are
 * compared instead of hashed. A full node keeps the tree of every inventory. Takes untrusted
 * entry, index and path.
 */
export function sumTreeHolds(
  tree: SumTree,
  entries: readonly SumEntry[],
  claim: SumPathClaim,
): boolean {
  const { index, entry, path, position } = claim
  const own = Number.isInteger(index) ? entries[index] : undefined
  if (!own || entries.length !== tree.count) return false
  const { rail, generation, weight } = entry
  if (own.rail !== rail || own.generation !== generation || own.weight !== weight) return false
  const siblings = sumPathOf(tree, index)
  if (path.length !== siblings.length) return false
  let start = 0n
  for (const [level, { hash, sum }] of siblings.entries()) {
    const given = path[level] as SumNode
    if (given.sum !== sum || !bytesEqual(given.hash, hash)) return false
    if (Math.floor(index / 2 ** level) % 2 === 1) start += sum
  }
  return position >= start && position < start + weight
}

/**
 * True iff the tree with this root, sum and count has `entry` at `index` and the position falls
 * into it. Takes untrusted entry, index and path.
 */
export function verifySumPath(tree: SumRoot, proof: SumPathClaim): boolean {
  const { index, entry, path, position } = proof
  if (!Number.isInteger(index) || index < 0 || index >= tree.count) return false
  if (path.length !== sumTreeDepth(tree.count)) return false
  if (entry.weight > tree.sum) return false
  let node = sumLeaf(entry)
  let start = 0n
  for (const [level, sibling] of path.entries()) {
    // Sums only grow on the way up: past the root's sum nothing can come right any more.
    if (sibling.sum < 0n || node.sum + sibling.sum > tree.sum) return false
    if (sibling.hash.length !== HASH_BYTES) return false
    if (Math.floor(index / 2 ** level) % 2 === 1) {
      start += sibling.sum
      node = sumParent(sibling, node)
    } else {
      node = sumParent(node, sibling)
    }
  }
  if (node.sum !== tree.sum || !bytesEqual(node.hash, tree.root)) return false
  return position >= start && position < start + entry.weight
}
