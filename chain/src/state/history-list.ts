import { zeroHash } from '@chainsafe/persistent-merkle-tree'
import { assert } from '../bytes/assert.ts'
import { countChunk } from '../bytes/dense-tree.ts'
import { sha256 } from '../bytes/hash.ts'
import type { Globals } from '../types/records.ts'

/** Depth of List[Root, 2^32], the list of all block hashes that a header commits to. */
const HISTORY_DEPTH = 32

type History = Pick<Globals, 'historyCount' | 'historyFrontier'>

/** Appends a block hash. The frontier keeps, per level, the left sibling that still waits. */
export function appendHistory(history: History, blockHash: Uint8Array): History {
  assert(history.historyCount < 2 ** HISTORY_DEPTH, 'the history list is full')
  const historyFrontier = [...history.historyFrontier]
  let node = blockHash
  let position = history.historyCount
  let level = 0
  while (position % 2 === 1) {
    node = sha256(historyFrontier[level] as Uint8Array, node)
    position = (position - 1) / 2
    level++
  }
  historyFrontier[level] = node
  return { historyCount: history.historyCount + 1, historyFrontier }
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
