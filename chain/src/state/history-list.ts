import { zeroHash } from '@chainsafe/persistent-merkle-tree'
import { assert } from '../bytes/assert.ts'
import { countChunk } from '../bytes/dense-tree.ts'
import { sha256 } from '../bytes/hash.ts'
import type { Globals } from '../types/records.ts'

/** Depth of List[Root, 2^32], the list of all block hashes that a header commits to. */
const HISTORY_DEPTH = 32

export type History = Pick<Globals, 'historyCount' | 'historyFrontier'>

/** Appends a block hash. The frontier keeps, per level, the left sibling that still waits. */
export function appendHistory(history: History, blockHash: Uint8Array): History {
  return appendSubtree(history, blockHash, 0)
}

/** Appends the root of a full subtree of 2^level hashes at a place that is a multiple of it. */
function appendSubtree(history: History, root: Uint8Array, lowest: number): History {
  const { historyCount } = history
  assert(historyCount + 2 ** lowest <= 2 ** HISTORY_DEPTH, 'the history list is full')
  const historyFrontier = [...history.historyFrontier]
  let node = root
  let position = historyCount / 2 ** lowest
  let level = lowest
  while (position % 2 === 1) {
    node = sha256(historyFrontier[level] as Uint8Array, node)
    position = (position - 1) / 2
    level++
  }
  historyFrontier[level] = node
  return { historyCount: historyCount + 2 ** lowest, historyFrontier }
}

/** Levels of the full, aligned subtrees that cover the places from `from` up to `to`, in order. */
function levelsBetween(from: number, to: number): number[] {
  const levels: number[] = []
  for (let position = from; position < to; ) {
    let level = 0
    while (position % 2 ** (level + 1) === 0 && position + 2 ** (level + 1) <= to) level++
    levels.push(level)
    position += 2 ** level
  }
  return levels
}

/**
 * Roots of the subtrees over `hashes`, the entries from place `from` on: what leads a verifier who
 * knows the history up to there to the history behind them, in O(log n) roots.
 */
export function historyLink(from: number, hashes: readonly Uint8Array[]): Uint8Array[] {
  let next = 0
  return levelsBetween(from, from + hashes.length).map((level) => {
    let row = hashes.slice(next, next + 2 ** level)
    next += 2 ** level
    while (row.length > 1) {
      row = Array.from({ length: row.length / 2 }, (_, i) =>
        sha256(row[2 * i] as Uint8Array, row[2 * i + 1] as Uint8Array),
      )
    }
    return row[0] as Uint8Array
  })
}

/** The history of `to` entries by an untrusted link; undefined where it does not fit. */
export function extendHistory(
  history: History,
  to: number,
  link: readonly Uint8Array[],
): History | undefined {
  if (!(to >= history.historyCount && to <= 2 ** HISTORY_DEPTH)) return undefined
  const levels = levelsBetween(history.historyCount, to)
  if (levels.length !== link.length) return undefined
  return levels.reduce(
    (known, level, i) => appendSubtree(known, link[i] as Uint8Array, level),
    history,
  )
}

/** The history before any block. */
export function emptyHistory(): History {
  return { historyCount: 0, historyFrontier: Array<Uint8Array>(HISTORY_DEPTH).fill(zeroHash(0)) }
}

/** hash_tree_root of List[Root, 2^32] of the appended hashes (header field historyRoot). */
export function historyRoot(history: History): Uint8Array {
  let node = zeroHash(0)
  let position = history.historyCount
  for (let level = 0; level < HISTORY_DEPTH; level++) {
    node =
      position % 2 === 1
        ? sha256(history.historyFrontier[level] as Uint8Array, node)
        : sha256(node, zeroHash(level))
    position = Math.floor(position / 2)
  }
  return sha256(node, countChunk(history.historyCount))
}

/** Block hashes that one kept node of the history tree stands over. */
export const HISTORY_CHUNK = 1024
const CHUNK_DEPTH = 10

/** Root over up to HISTORY_CHUNK block hashes, the rest zero: a node of the history list. */
export function historyChunkRoot(hashes: readonly Uint8Array[]): Uint8Array {
  return climb(hashes, 0, 0, CHUNK_DEPTH).root
}

/**
 * The branch of block `height` in the list of the first `count` hashes: siblings from the bottom
 * up, the length chunk last. `chunk` holds the hashes of its own chunk below `count`, `roots` the
 * roots of all chunks below `count` in order.
 */
export function historyBranch(
  height: number,
  count: number,
  chunk: readonly Uint8Array[],
  roots: readonly Uint8Array[],
): Uint8Array[] {
  assert(height < count, 'only an earlier block has a branch')
  const low = climb(chunk, height % HISTORY_CHUNK, 0, CHUNK_DEPTH)
  const high = climb(roots, Math.floor(height / HISTORY_CHUNK), CHUNK_DEPTH, HISTORY_DEPTH)
  return [...low.branch, ...high.branch, countChunk(count)]
}

/** Hashes a row up from one level to another; gives the siblings of one position and the top. */
function climb(row: readonly Uint8Array[], index: number, from: number, to: number) {
  const branch: Uint8Array[] = []
  let nodes = row
  let position = index
  for (let level = from; level < to; level++) {
    const zero = zeroHash(level)
    branch.push(nodes[position ^ 1] ?? zero)
    const above: Uint8Array[] = []
    for (let i = 0; i < nodes.length; i += 2) {
      above.push(sha256(nodes[i] as Uint8Array, nodes[i + 1] ?? zero))
    }
    nodes = above
    position = Math.floor(position / 2)
  }
  return { branch, root: nodes[0] ?? zeroHash(to) }
}
