import { assert } from '../bytes/assert.ts'
import { DenseTree } from '../bytes/dense-tree.ts'
import { concatBytes } from '../bytes/hex.ts'
import { sumPathOf } from '../bytes/sum-tree.ts'
import type { StateView } from '../manager/chain-store.ts'
import { inventoryTree } from '../rules/inventory.ts'
import { rewardSliceBranch, rewardSliceRange } from '../rules/reward-tree.ts'
import {
  chunkKey,
  InventoryChunkType,
  inventoryKey,
  RewardChunkType,
  recordCodecs,
  rewardKey,
  SIDE_LIST_CHUNK,
  snapshotKey,
  stateTags,
  type TableName,
  tableNames,
} from '../state/record-tables.ts'
import type { Header } from '../types/consensus-objects.ts'
import {
  type ChunkPlace,
  checkManifest,
  chunkLevel,
  inventoryPlaces,
  leavesOf,
  recordPlaces,
  rewardPlaces,
} from './snapshot-format.ts'
import {
  INVENTORY_SLICE_LEVEL,
  InventoryChunkSliceType,
  RecordChunkType,
  RewardSliceType,
  type SnapshotManifest,
  SnapshotManifestType,
} from './snapshot-messages.ts'
import type { SnapshotShelf } from './snapshot-shelf.ts'

export interface SnapshotSource {
  /** The state after the checkpoint. */
  readonly view: StateView
  /** The checkpoint's header and the ten roots of its state. */
  readonly header: Header
  readonly roots: SnapshotManifest['roots']
  readonly shelf: SnapshotShelf
  /** Asked between chunks; true ends the work without a snapshot. */
  readonly isCancelled: () => boolean
}

/**
 * Cuts the state into chunks, each with its path to the state root, and puts them on the shelf.
 * Reads the view twice and keeps 64 bytes per record in memory; yields at every read.
 * Resolves to whether the snapshot is whole.
 */
export async function produceSnapshot(source: SnapshotSource): Promise<boolean> {
  const { view, header, shelf, isCancelled } = source
  const trees = new Map<TableName, DenseTree>()
  for (const table of tableNames) trees.set(table, await treeOf(view, table))
  const manifest: SnapshotManifest = {
    epoch: header.epoch,
    roots: source.roots,
    tables: tableNames.map((table) => {
      const tree = trees.get(table) as DenseTree
      return { count: tree.count, top: tree.top() }
    }),
    peg: await single(view, stateTags.peg),
    globals: await single(view, stateTags.globals),
  }
  const bytes = SnapshotManifestType.serialize(manifest)
  const checked = checkManifest(bytes, header)
  assert(checked.ok, 'the view shows the state of its checkpoint')
  let ordinal = 0
  const put = (chunk: Uint8Array) => shelf.put(header.epoch, ordinal++, chunk)
  for (const table of tableNames) {
    for await (const chunk of recordChunks(view, table, trees.get(table) as DenseTree)) {
      if (isCancelled()) return false
      await put(chunk)
    }
  }
  assert(ordinal === recordPlaces(manifest).length, 'every chunk of records has its place')
  const lists = new SideLists(view)
  for await (const place of sidePlaces(view)) {
    if (isCancelled()) return false
    await put(await sideChunk(lists, place))
  }
  await shelf.finish(header.epoch, bytes)
  return true
}

async function* batches(view: StateView, table: TableName, size: number) {
  const tag = stateTags[table]
  let batch: Uint8Array[] = []
  for await (const { bytes } of view.range(tag, after(tag))) {
    batch.push(bytes)
    if (batch.length < size) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

async function treeOf(view: StateView, table: TableName): Promise<DenseTree> {
  const leaves: Uint8Array[] = []
  for await (const records of batches(view, table, 2 ** chunkLevel(table))) {
    const own = leavesOf(table, records)
    assert(own, 'the database holds canonical records')
    leaves.push(own)
  }
  return DenseTree.fromLeaves(concatBytes(...leaves))
}

async function* recordChunks(view: StateView, table: TableName, tree: DenseTree) {
  const level = chunkLevel(table)
  let index = 0
  for await (const records of batches(view, table, 2 ** level)) {
    yield RecordChunkType.serialize({ records, branch: tree.subtreeBranch(level, index) })
    index += 1
  }
}

async function* sidePlaces(view: StateView): AsyncIterable<ChunkPlace> {
  let node = 0
  for await (const { bytes } of view.range(stateTags.nodes, after(stateTags.nodes))) {
    yield* inventoryPlaces(node++, recordCodecs.nodes.deserialize(bytes))
  }
  let epoch = 0
  for await (const { bytes } of view.range(stateTags.epochs, after(stateTags.epochs))) {
    yield* rewardPlaces(epoch++, recordCodecs.epochs.deserialize(bytes))
  }
}

async function sideChunk(lists: SideLists, place: ChunkPlace): Promise<Uint8Array> {
  assert(place.kind !== 'records', 'a side chunk is a slice of a list')
  const { index } = place
  if (place.kind === 'rewards') {
    const fees = await lists.read(rewardKey(place.epoch), RewardChunkType)
    const { from, to } = rewardSliceRange(fees.length, index)
    const branch = rewardSliceBranch(fees, index)
    return RewardSliceType.serialize({ fees: fees.slice(from, to), branch })
  }
  const { node, epoch } = place
  const key = epoch === undefined ? inventoryKey(node) : snapshotKey(node, epoch)
  const entries = await lists.read(key, InventoryChunkType)
  const width = 2 ** INVENTORY_SLICE_LEVEL
  return InventoryChunkSliceType.serialize({
    entries: entries.slice(index * width, (index + 1) * width),
    path: sumPathOf(inventoryTree(entries), index, INVENTORY_SLICE_LEVEL),
  })
}

interface ListPart<T> {
  deserialize(bytes: Uint8Array): T[]
}

/** Side lists put together from their stored parts; slices of one list follow each other. */
class SideLists {
  readonly #view: StateView
  #last: { readonly key: string; readonly entries: unknown[] } | undefined

  constructor(view: StateView) {
    this.#view = view
  }

  async read<T>(key: string, type: ListPart<T>): Promise<T[]> {
    // A key names lists of one type only.
    if (this.#last?.key === key) return this.#last.entries as T[]
    const entries: T[] = []
    for await (const { bytes } of this.#view.range(chunkKey(key, 0), after(key))) {
      assert(entries.length % SIDE_LIST_CHUNK === 0, 'all parts of a list but the last are full')
      for (const entry of type.deserialize(bytes)) entries.push(entry)
    }
    this.#last = { key, entries }
    return entries
  }
}

async function single(view: StateView, tag: string): Promise<Uint8Array> {
  for await (const { key, bytes } of view.range(tag, after(tag))) {
    if (key === tag) return bytes
  }
  assert(false, `the state has an entry ${tag}`)
}

/** The first key behind all that start so; keys are ASCII. */
function after(prefix: string): string {
  return `${prefix}~`
}
