import { countChunk, denseDepth, foldBranch, hashPairs, subtreeNode } from '../bytes/dense-tree.ts'
import { sha256 } from '../bytes/hash.ts'
import { bytesEqual, concatBytes } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import { type SumRoot, verifySumSlice } from '../bytes/sum-tree.ts'
import { rewardSlices, verifyRewardSlice } from '../rules/reward-tree.ts'
import type { RewardLeaf } from '../state/ledger-draft.ts'
import {
  ACCOUNT_BYTES,
  recordCodecs,
  recordLeaves,
  StateRootsType,
  type TableName,
  type TableRecords,
  tableNames,
} from '../state/record-tables.ts'
import type { Header } from '../types/consensus-objects.ts'
import { ZERO_HASH } from '../types/primitives.ts'
import {
  type Epoch,
  GlobalsType,
  type InventoryEntry,
  type Node,
  PegType,
} from '../types/records.ts'
import {
  CHUNK_BYTES_MAX,
  INVENTORY_SLICE_LEVEL,
  InventoryChunkSliceType,
  MANIFEST_BYTES_MAX,
  RecordChunkType,
  RewardSliceType,
  type SnapshotManifest,
  SnapshotManifestType,
} from './snapshot-messages.ts'

/** Records of a chunk by table, as a power of two: about a MiB of the largest usual records. */
const CHUNK_LEVELS: Readonly<Partial<Record<TableName, number>>> = {
  accounts: 14,
  nodes: 4,
  contracts: 6,
  // The record of an epoch holds the next set: up to a hundred members.
  epochs: 7,
}
const CHUNK_LEVEL = 10

export function chunkLevel(table: TableName): number {
  return CHUNK_LEVELS[table] ?? CHUNK_LEVEL
}

/** Which chunk, and what proves it. The order of places is fixed by what the chunks hold. */
export type ChunkPlace =
  | {
      readonly kind: 'records'
      readonly table: TableName
      readonly index: number
      /** Of the whole table. */
      readonly count: number
      readonly top: Uint8Array
    }
  | {
      readonly kind: 'inventory'
      readonly node: number
      /** Of the ring entry; undefined for the inventory as it stands. */
      readonly epoch: number | undefined
      readonly index: number
      readonly tree: SumRoot
    }
  | {
      readonly kind: 'rewards'
      readonly epoch: number
      readonly index: number
      readonly tree: { readonly root: Uint8Array; readonly count: number }
    }

/** What a proven chunk holds. */
export type ChunkContent =
  | { readonly kind: 'records'; readonly table: TableName; readonly records: readonly Uint8Array[] }
  | { readonly kind: 'inventory'; readonly entries: readonly InventoryEntry[] }
  | { readonly kind: 'rewards'; readonly fees: readonly RewardLeaf[] }

/**
 * Decodes an untrusted manifest and checks all of it against the stateRoot of a header that is
 * trusted. Faults with SNAPSHOT_MANIFEST.
 */
export function checkManifest(bytes: Uint8Array, header: Header): Result<SnapshotManifest> {
  const decoded = decodeCanonical(SnapshotManifestType, bytes, MANIFEST_BYTES_MAX)
  if (!decoded.ok) return decoded
  const { epoch, roots, tables, peg, globals } = decoded.value
  const refuse = (what: string) =>
    fault('SNAPSHOT_MANIFEST', `the snapshot's ${what} does not fit the header`)
  if (epoch !== header.epoch) return refuse('epoch')
  if (!bytesEqual(StateRootsType.hashTreeRoot(roots), header.stateRoot)) return refuse('roots')
  if (tables.length !== tableNames.length) return refuse('list of tables')
  for (const [i, { count, top }] of tables.entries()) {
    const name = tableNames[i] as TableName
    if (!bytesEqual(sha256(top, countChunk(count)), roots[name])) return refuse(name)
  }
  if (!isRootOf(PegType, peg, roots.peg)) return refuse('peg')
  if (!isRootOf(GlobalsType, globals, roots.globals)) return refuse('globals')
  return decoded
}

function isRootOf(type: typeof PegType | typeof GlobalsType, bytes: Uint8Array, root: Uint8Array) {
  const decoded = decodeCanonical<never>(type as never, bytes, MANIFEST_BYTES_MAX)
  return decoded.ok && bytesEqual(type.hashTreeRoot(decoded.value), root)
}

/** Chunks of records, table by table; what they hold decides which chunks follow them. */
export function recordPlaces(manifest: SnapshotManifest): ChunkPlace[] {
  const places: ChunkPlace[] = []
  for (const [i, { count, top }] of manifest.tables.entries()) {
    const table = tableNames[i] as TableName
    for (let index = 0; index * 2 ** chunkLevel(table) < count; index++) {
      places.push({ kind: 'records', table, index, count, top })
    }
  }
  return places
}

/** Chunks of what stands behind a node's record: its inventory and those of its ring. */
export function inventoryPlaces(node: number, record: Readonly<Node>): ChunkPlace[] {
  const { inventoryRoot: root, inventorySum: sum, inventoryCount: count, snapshots } = record
  return [
    { epoch: undefined, tree: { root, sum, count } },
    ...snapshots.map((each) => ({ epoch: each.epoch, tree: each })),
  ].flatMap(({ epoch, tree }) =>
    Array.from(
      { length: Math.ceil(tree.count / 2 ** INVENTORY_SLICE_LEVEL) },
      (_, index): ChunkPlace => ({
        kind: 'inventory',
        node,
        epoch,
        index,
        tree: { root: tree.root, sum: tree.sum, count: tree.count },
      }),
    ),
  )
}

/** Chunks of what stands behind an epoch's record: the leaves of its reward tree. */
export function rewardPlaces(epoch: number, record: Readonly<Epoch>): ChunkPlace[] {
  const { rewardRoot: root, rewardCount: count } = record
  if (count === 0 || bytesEqual(root, ZERO_HASH)) return []
  return Array.from({ length: rewardSlices(count) }, (_, index) => ({
    kind: 'rewards',
    epoch,
    index,
    tree: { root, count },
  }))
}

/** Decodes an untrusted chunk and proves it for its place. Faults with SNAPSHOT_CHUNK. */
export function checkChunk(place: ChunkPlace, bytes: Uint8Array): Result<ChunkContent> {
  switch (place.kind) {
    case 'records':
      return checkRecords(place, bytes)
    case 'inventory': {
      const slice = decodeCanonical(InventoryChunkSliceType, bytes, CHUNK_BYTES_MAX)
      if (!slice.ok) return slice
      const { index, tree } = place
      const { entries, path } = slice.value
      return verifySumSlice(tree, { level: INVENTORY_SLICE_LEVEL, index, entries, path })
        ? ok({ kind: 'inventory', entries })
        : unproven()
    }
    case 'rewards': {
      const slice = decodeCanonical(RewardSliceType, bytes, CHUNK_BYTES_MAX)
      if (!slice.ok) return slice
      const { fees, branch } = slice.value
      return verifyRewardSlice(place.tree, place.index, fees, branch)
        ? ok({ kind: 'rewards', fees })
        : unproven()
    }
  }
}

function unproven() {
  return fault('SNAPSHOT_CHUNK', 'the chunk does not lead to the root that its place has')
}

function checkRecords(
  place: Extract<ChunkPlace, { kind: 'records' }>,
  bytes: Uint8Array,
): Result<ChunkContent> {
  const decoded = decodeCanonical(RecordChunkType, bytes, CHUNK_BYTES_MAX)
  if (!decoded.ok) return decoded
  const { records, branch } = decoded.value
  const { table, index, count, top } = place
  const depth = denseDepth(count)
  const level = Math.min(chunkLevel(table), depth)
  if (records.length !== Math.min(2 ** level, count - index * 2 ** level)) return unproven()
  if (branch.length !== depth - level) return unproven()
  const leaves = leavesOf(table, records)
  if (!leaves) return unproven()
  const node = foldBranch(subtreeNode(leaves, level), index, branch)
  return bytesEqual(node, top) ? ok({ kind: 'records', table, records }) : unproven()
}

/** Leaves of serialized records; undefined where one is not the canonical form of a record. */
export function leavesOf(table: TableName, records: readonly Uint8Array[]): Uint8Array | undefined {
  if (table !== 'accounts') return decodedLeaves(table, records)
  // Fixed fields only: every 64 bytes are the one form of some account.
  if (records.some(({ length }) => length !== ACCOUNT_BYTES)) return undefined
  return hashPairs(concatBytes(...records))
}

function decodedLeaves<K extends TableName>(
  table: K,
  records: readonly Uint8Array[],
): Uint8Array | undefined {
  const { serialize, deserialize } = recordCodecs[table]
  const values: TableRecords[K][] = []
  try {
    for (const bytes of records) {
      const value = deserialize(bytes)
      if (!bytesEqual(serialize(value), bytes)) return undefined
      values.push(value)
    }
  } catch {
    return undefined
  }
  return recordLeaves(table, values)
}
