import { GlobalsType, type InventoryEntry, PegType } from '../types/records.ts'
import { type DraftLayer, type LayerTables, layerOf } from './draft-layer.ts'
import type { LedgerDraft } from './ledger-draft.ts'
import {
  chunkKey,
  InventoryChunkType,
  inventoryKey,
  RewardChunkType,
  recordCodecs,
  recordKey,
  rewardKey,
  SIDE_LIST_CHUNK,
  type StateChange,
  snapshotKey,
  stateTags,
  type TableName,
  tableNames,
} from './record-tables.ts'

/** Everything a draft writes over its parent, as entries for one atomic database batch. */
export function changesOf(draft: LedgerDraft): StateChange[] {
  const layer = layerOf(draft)
  const changes: StateChange[] = []
  for (const table of tableNames) tableChanges(layer, table, changes)
  if (layer.newPeg) changes.push({ key: stateTags.peg, bytes: PegType.serialize(layer.newPeg) })
  if (layer.newGlobals) {
    changes.push({ key: stateTags.globals, bytes: GlobalsType.serialize(layer.newGlobals) })
  }
  for (const [node, entries] of layer.inventories) {
    const before = layer.parent.inventory(node)
    listChanges(inventoryKey(node), entries, before, InventoryChunkType, changes)
  }
  for (const node of layer.snapshots.keys()) snapshotChanges(layer, node, changes)
  for (const epoch of layer.rewards.keys()) {
    const before = layer.parent.rewardLeaves(epoch)
    listChanges(rewardKey(epoch), layer.rewardLeaves(epoch), before, RewardChunkType, changes)
  }
  return changes
}

function tableChanges<K extends TableName>(layer: LayerTables, table: K, changes: StateChange[]) {
  const { records } = layer[table]
  const { serialize } = recordCodecs[table]
  for (const [index, record] of records) {
    changes.push({ key: recordKey(table, index), bytes: serialize(record) })
  }
}

/** Snapshot lists are kept by epoch: a ring that moves on rewrites only what entered and left. */
function snapshotChanges(layer: DraftLayer, node: number, changes: StateChange[]): void {
  const before = snapshotsByEpoch(layer.parent, node)
  const after = snapshotsByEpoch(layer, node)
  for (const epoch of new Set([...before.keys(), ...after.keys()])) {
    const list = snapshotKey(node, epoch)
    listChanges(list, after.get(epoch) ?? [], before.get(epoch) ?? [], InventoryChunkType, changes)
  }
}

function snapshotsByEpoch(ledger: LedgerDraft, node: number) {
  const lists = ledger.inventorySnapshots(node)
  const epochs = ledger.nodes.get(node)?.snapshots ?? []
  const byEpoch = new Map<number, readonly InventoryEntry[]>()
  for (const [i, { epoch }] of epochs.entries()) byEpoch.set(epoch, lists[i] ?? [])
  return byEpoch
}

/** A side list is stored in chunks; only those with a changed entry are written again. */
function listChanges<T>(
  list: string,
  entries: readonly T[],
  before: readonly T[],
  type: { serialize(values: T[]): Uint8Array },
  changes: StateChange[],
): void {
  const length = Math.max(entries.length, before.length)
  for (let start = 0; start < length; start += SIDE_LIST_CHUNK) {
    const chunk = entries.slice(start, start + SIDE_LIST_CHUNK)
    const old = before.slice(start, start + SIDE_LIST_CHUNK)
    // Entries are immutable values: the same object is the same content.
    if (chunk.length === old.length && chunk.every((entry, i) => entry === old[i])) continue
    const key = chunkKey(list, start / SIDE_LIST_CHUNK)
    changes.push({ key, bytes: chunk.length === 0 ? null : type.serialize(chunk) })
  }
}
