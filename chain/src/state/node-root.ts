import { ContainerType } from '@chainsafe/ssz'
import { denseDepth, hashPairs } from '../bytes/dense-tree.ts'
import { climbAlone, flatRootsOf, nodeOver } from '../bytes/flat-roots.ts'
import { HASH_BYTES } from '../bytes/hash.ts'
import { PUBLIC_KEY_BYTES } from '../bytes/signature.ts'
import { Bytes32 } from '../types/primitives.ts'
import {
  type Node,
  NodeType,
  type Resolution,
  RESOLUTIONS_MAX,
  ResolutionType,
  type Snapshot,
  SnapshotType,
} from '../types/records.ts'

/** A node's record with roots in the place of what is longer than a chunk: the root is the same. */
const RootedNodeType = new ContainerType({
  ...NodeType.fields,
  nodeKey: Bytes32,
  snapshots: Bytes32,
  log: Bytes32,
})
type RootedNode = Omit<Node, 'nodeKey' | 'snapshots' | 'log'> & {
  nodeKey: Uint8Array
  snapshots: Uint8Array
  log: Uint8Array
}

const PAIR_BYTES = 2 * HASH_BYTES
/** Resolutions whose common node of the log's tree is kept. */
const CHUNK = 64
const CHUNK_DEPTH = denseDepth(CHUNK)
const LOG_DEPTH = denseDepth(RESOLUTIONS_MAX)
/** Snapshots that a list has places for: its limit, rounded up to a power of two. */
const SNAPSHOT_PLACES = 16
const rootsOfNodes = flatRootsOf<RootedNode>(RootedNodeType)
const resolutionRoots = flatRootsOf<Resolution>(ResolutionType)
const snapshotRoots = flatRootsOf<Snapshot>(SnapshotType)

interface KeptChunk {
  readonly resolutions: readonly Resolution[]
  readonly node: Uint8Array
}

/**
 * Nodes over chunks of logs, each under its first resolution. Resolutions are immutable values: the
 * same objects have the same node, whatever record they stand in.
 */
const kept = new WeakMap<Resolution, KeptChunk>()
/** Snapshots are immutable values, too, and stay in the ring for epochs. */
const keptSnapshots = new WeakMap<Snapshot, Uint8Array>()

/**
 * hash_tree_roots of records of nodes, 32 bytes each. All fields of all records are hashed at once;
 * of a full log (4,096 resolutions) only the last chunk is hashed again when the node is touched.
 */
export function nodeRoots(nodes: readonly Node[]): Uint8Array {
  const keys = new Uint8Array(nodes.length * PAIR_BYTES)
  for (const [i, { nodeKey }] of nodes.entries()) {
    keys.set(nodeKey.subarray(0, PUBLIC_KEY_BYTES), i * PAIR_BYTES)
  }
  const keyRoots = hashPairs(keys)
  const logs = logRoots(nodes.map(({ log }) => log))
  const rings = ringRoots(nodes.map(({ snapshots }) => snapshots))
  return rootsOfNodes(
    nodes.map((node, i) => ({
      ...node,
      nodeKey: at(keyRoots, i),
      snapshots: at(rings, i),
      log: at(logs, i),
    })),
  )
}

/** hash_tree_root of a node's record. */
export function nodeRoot(node: Node): Uint8Array {
  return nodeRoots([node])
}

function at(roots: Uint8Array, i: number): Uint8Array {
  return roots.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES)
}

/** Roots of snapshot rings, one after the other: all places of all rings climb together. */
function ringRoots(rings: readonly (readonly Snapshot[])[]): Uint8Array {
  const fresh = rings.flat().filter((snapshot) => !keptSnapshots.has(snapshot))
  const roots = snapshotRoots(fresh)
  for (const [i, snapshot] of fresh.entries()) keptSnapshots.set(snapshot, at(roots, i).slice())
  let row: Uint8Array = new Uint8Array(rings.length * SNAPSHOT_PLACES * HASH_BYTES)
  for (const [r, ring] of rings.entries()) {
    for (const [i, snapshot] of ring.entries()) {
      row.set(keptSnapshots.get(snapshot) as Uint8Array, (r * SNAPSHOT_PLACES + i) * HASH_BYTES)
    }
  }
  for (let places = SNAPSHOT_PLACES; places > 1; places /= 2) row = hashPairs(row)
  return withCounts(row, rings)
}

/** Roots of lists from the nodes over their elements. */
function withCounts(tops: Uint8Array, lists: readonly (readonly unknown[])[]): Uint8Array {
  const pairs = new Uint8Array(lists.length * PAIR_BYTES)
  const view = new DataView(pairs.buffer)
  for (const [i, { length }] of lists.entries()) {
    pairs.set(at(tops, i), i * PAIR_BYTES)
    // The length chunk: little-endian, and no list here has 2^32 elements.
    view.setUint32(i * PAIR_BYTES + HASH_BYTES, length, true)
  }
  return hashPairs(pairs)
}

/** Roots of logs, one after the other; those of one chunk, as most are, climb together. */
function logRoots(logs: readonly (readonly Resolution[])[]): Uint8Array {
  const short = new Uint8Array(logs.length * HASH_BYTES)
  for (const [i, log] of logs.entries()) {
    if (log.length <= CHUNK) short.set(chunkNode(log, 0), i * HASH_BYTES)
  }
  const tops = climbAlone(short, CHUNK_DEPTH, LOG_DEPTH)
  for (const [i, log] of logs.entries()) {
    if (log.length > CHUNK) tops.set(longTop(log), i * HASH_BYTES)
  }
  return withCounts(tops, logs)
}

function longTop(log: readonly Resolution[]): Uint8Array {
  const nodes = new Uint8Array(Math.ceil(log.length / CHUNK) * HASH_BYTES)
  for (let from = 0; from < log.length; from += CHUNK) {
    nodes.set(chunkNode(log, from), (from / CHUNK) * HASH_BYTES)
  }
  return nodeOver(nodes, CHUNK_DEPTH, LOG_DEPTH)
}

function chunkNode(log: readonly Resolution[], from: number): Uint8Array {
  const first = log[from]
  if (first === undefined) return nodeOver(new Uint8Array(0), 0, CHUNK_DEPTH)
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
