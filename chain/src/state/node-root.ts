import { ContainerType } from '@chainsafe/ssz'
import { countChunk, denseDepth } from '../bytes/dense-tree.ts'
import { flatRootsOf, nodeOver } from '../bytes/flat-roots.ts'
import { HASH_BYTES, sha256 } from '../bytes/hash.ts'
import { Bytes32 } from '../types/primitives.ts'
import {
  type Node,
  NodeType,
  type Resolution,
  RESOLUTIONS_MAX,
  ResolutionType,
} from '../types/records.ts'

/** A node's record with the root of its log in the log's place: both have the same root. */
const RootedNodeType = new ContainerType({ ...NodeType.fields, log: Bytes32 })

/** Resolutions whose common node of the log's tree is kept. */
const CHUNK = 64
const CHUNK_DEPTH = denseDepth(CHUNK)
const resolutionRoots = flatRootsOf<Resolution>(ResolutionType)

interface KeptChunk {
  readonly resolutions: readonly Resolution[]
  readonly node: Uint8Array
}

/**
 * Nodes over chunks of logs, each under its first resolution. Resolutions are immutable values: the
 * same objects have the same node, whatever record they stand in.
 */
const kept = new WeakMap<Resolution, KeptChunk>()

/**
 * hash_tree_root of a node's record. A log grows at its end, so that of a full one (4,096
 * resolutions) only the last chunk is hashed again when the node is touched.
 */
export function nodeRoot(node: Node): Uint8Array {
  return RootedNodeType.hashTreeRoot({ ...node, log: logRoot(node.log) })
}

function logRoot(log: readonly Resolution[]): Uint8Array {
  const nodes = new Uint8Array(Math.ceil(log.length / CHUNK) * HASH_BYTES)
  for (let from = 0; from < log.length; from += CHUNK) {
    nodes.set(chunkNode(log, from), (from / CHUNK) * HASH_BYTES)
  }
  const top = nodeOver(nodes, CHUNK_DEPTH, denseDepth(RESOLUTIONS_MAX))
  return sha256(top, countChunk(log.length))
}

function chunkNode(log: readonly Resolution[], from: number): Uint8Array {
  const first = log[from] as Resolution
  const known = kept.get(first)
  if (known !== undefined && standsAt(known.resolutions, log, from)) return known.node
  const resolutions = log.slice(from, from + CHUNK)
  const node = nodeOver(resolutionRoots(resolutions), 0, CHUNK_DEPTH)
  kept.set(first, { resolutions, node })
  return node
}

function standsAt(chunk: readonly Resolution[], log: readonly Resolution[], from: number) {
  if (chunk.length !== Math.min(CHUNK, log.length - from)) return false
  return chunk.every((resolution, i) => resolution === log[from + i])
}
