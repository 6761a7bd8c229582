import { assert } from '../bytes/assert.ts'
import { type LeafRow, leafRow, overlayRows } from '../bytes/dense-tree.ts'
import { fromHex } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import type { NetworkParams } from '../params/network-params.ts'
import { GlobalsType, type InventoryEntry, PegType } from '../types/records.ts'
import { AddressTwiceError } from './account-order.ts'
import { AccountReader } from './account-reader.ts'
import { BaseLedger, type BaseTables } from './base-ledger.ts'
import { DraftLayer, type LayerTables, type LedgerParent } from './draft-layer.ts'
import type { LedgerDraft, RewardLeaf } from './ledger-draft.ts'
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
  StateRootsType,
  snapshotKey,
  stateTags,
  type TableName,
  type TableRecords,
  tableNames,
} from './record-tables.ts'

/** The committed state: read it freely, write it only through drafts. */
export type Ledger = BaseLedger

/** An empty ledger of a network. Genesis fills it through a draft. */
export function createLedger(params: NetworkParams, chainId: Uint8Array): Ledger {
  return new BaseLedger(params, chainId)
}

/**
 * A draft over a ledger or over another draft. Drafts stack: a block over its parent block, a
 * transaction over its block. Dropping a draft undoes everything in it.
 */
export function draftOf(parent: LedgerDraft): LedgerDraft {
  return new DraftLayer(inside(parent))
}

/**
 * Moves a draft's writes into its parent. Where that is the committed state, every draft that
 * does not stand on this one becomes stale; drafts on this one go on.
 */
export function merge(draft: LedgerDraft): void {
  const layer = layerOf(draft)
  const { parent } = layer
  if (parent instanceof BaseLedger) mergeIntoBase(layer, parent)
  else mergeIntoLayer(layer, parent)
  layer.retire()
}

/**
 * Moves a draft's writes into its parent, another draft, and leaves it open and empty for the next
 * ones: cheaper than a new draft for every transaction. Nothing may stand on it.
 */
export function mergeAndClear(draft: LedgerDraft): void {
  const layer = layerOf(draft)
  const { parent } = layer
  assert(parent instanceof DraftLayer, 'the committed state gets whole blocks')
  mergeIntoLayer(layer, parent)
  layer.clear()
}

/** Undoes everything in a draft on which nothing stands, and leaves it open. */
export function clear(draft: LedgerDraft): void {
  layerOf(draft).clear()
}

/** Records that a draft writes, with what stood there before it, if anything. */
export function* changedRecords<K extends TableName>(
  draft: LedgerDraft,
  table: K,
): Iterable<{ index: number; before?: Readonly<TableRecords[K]>; after: TableRecords[K] }> {
  const tables: LayerTables = layerOf(draft)
  const own = tables[table]
  for (const [index, after] of own.records) {
    const before = own.before(index)
    yield before === undefined ? { index, after } : { index, before, after }
  }
}

/** What the draft stands on. */
export function parentOf(draft: LedgerDraft): LedgerDraft {
  return layerOf(draft).parent
}

/**
 * hash_tree_root of the roots of all tables (PROTOCOL 2), of the committed state or of a draft.
 * Work grows with the records written since the committed state, not with its size.
 */
export function stateRoot(ledger: LedgerDraft): Uint8Array {
  return StateRootsType.hashTreeRoot(stateRoots(ledger))
}

/** All roots by name. */
export function stateRoots(ledger: LedgerDraft) {
  const { base, layers } = stackOf(inside(ledger))
  const root = <K extends TableName>(table: K) =>
    base[table].tree.rootWith(stackedLeaves(layers, table))
  return {
    accounts: root('accounts'),
    nodes: root('nodes'),
    rails: root('rails'),
    contracts: root('contracts'),
    validators: root('validators'),
    delegations: root('delegations'),
    epochs: root('epochs'),
    mainHeaders: root('mainHeaders'),
    peg: PegType.hashTreeRoot(ledger.peg()),
    globals: GlobalsType.hashTreeRoot(ledger.globals()),
    deposits: root('deposits'),
    withdrawals: root('withdrawals'),
  }
}

function inside(ledger: LedgerDraft): LedgerParent {
  assert(
    ledger instanceof BaseLedger || ledger instanceof DraftLayer,
    'a ledger comes from createLedger, loadLedger or draftOf',
  )
  return ledger
}

function layerOf(draft: LedgerDraft): DraftLayer {
  assert(draft instanceof DraftLayer && !draft.merged, 'only an open draft has changes')
  return draft
}

/** The committed state under a draft and the drafts between, lowest first. */
function stackOf(top: LedgerParent): { base: BaseLedger; layers: DraftLayer[] } {
  const layers: DraftLayer[] = []
  let ledger = top
  while (ledger instanceof DraftLayer) {
    layers.unshift(ledger)
    ledger = ledger.parent
  }
  return { base: ledger, layers }
}

function stackedLeaves(layers: readonly DraftLayer[], table: TableName): LeafRow {
  const rows = layers.map((layer) => layer[table].leaves(table))
  return rows.reduce(overlayRows, NO_LEAVES)
}

const NO_LEAVES = leafRow(new Map())

function mergeIntoBase(layer: DraftLayer, base: BaseLedger): void {
  for (const table of tableNames) commitTable(layer, base, table)
  for (const [address, index] of layer.newAddresses.entries()) {
    base.addresses.add(fromHex(address), index)
  }
  for (const [address, index] of layer.newNodes) base.nodeAddresses.set(address, index)
  for (const [id, index] of layer.newDeposits) base.depositIds.set(id, index)
  for (const [id, index] of layer.newWithdrawals) base.withdrawalIds.set(id, index)
  for (const [node, entries] of layer.inventories) base.inventories.set(node, entries)
  for (const [node, snapshots] of layer.snapshots) base.snapshots.set(node, snapshots)
  // Another list for another content: whoever reads one may keep it.
  for (const epoch of layer.rewards.keys()) base.rewards.set(epoch, layer.rewardLeaves(epoch))
  base.currentGlobals = layer.globals()
  base.currentPeg = layer.peg()
  base.version++
}

function commitTable<K extends TableName>(layer: LayerTables, base: BaseTables, table: K): void {
  const own = layer[table]
  base[table].commit(own.records, own.leaves(table))
}

function mergeIntoLayer(layer: DraftLayer, parent: DraftLayer): void {
  for (const table of tableNames) moveTable(layer, parent, table)
  for (const [node, entries] of layer.inventories) parent.setInventory(node, entries)
  for (const [node, snapshots] of layer.snapshots) parent.setInventorySnapshots(node, snapshots)
  for (const [epoch, { leaves }] of layer.rewards) {
    for (const [index, leaf] of leaves) parent.setRewardLeaf(epoch, index, leaf)
  }
  if (layer.newGlobals) parent.setGlobals(layer.newGlobals)
  if (layer.newPeg) parent.setPeg(layer.newPeg)
}

function moveTable<K extends TableName>(layer: LayerTables, parent: LayerTables, table: K): void {
  const { records } = layer[table]
  for (const [index, record] of records) parent[table].set(index, record)
}

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

const sideListTags: ReadonlySet<string> = new Set([
  stateTags.inventories,
  stateTags.snapshots,
  stateTags.rewardLeaves,
])

/** Takes stored entries one by one, in any order, and builds the ledger they describe. */
export interface LedgerLoader {
  /** Faults with STATE_DAMAGED on an entry that cannot be read. Keeps the bytes, not an account's. */
  add(entry: StateChange): Result<undefined>
  /** Faults with STATE_DAMAGED where entries are missing. The caller compares the state root. */
  finish(): Result<Ledger>
}

export function ledgerLoader(params: NetworkParams, chainId: Uint8Array): LedgerLoader {
  const accounts = new AccountReader()
  const entries = new Map<string, Uint8Array>()
  const lists = new Map<string, Uint8Array[]>()
  return {
    add(entry) {
      if (entry.bytes === null) return damaged(entry.key)
      const tag = entry.key.charAt(0)
      if (tag === stateTags.accounts) {
        if (!accounts.add(entry.key, entry.bytes)) return damaged(entry.key)
      } else if (sideListTags.has(tag)) {
        const chunk = Number.parseInt(entry.key.slice(-8), 16)
        const list = entry.key.slice(0, -8)
        const chunks = lists.get(list) ?? []
        chunks[chunk] = entry.bytes
        lists.set(list, chunks)
      } else {
        entries.set(entry.key, entry.bytes)
      }
      return ok()
    },
    finish: () => readLedger(params, chainId, { accounts, entries, lists }),
  }
}

/** Rebuilds a ledger from all stored entries, as changesOf gave them. */
export function loadLedger(
  params: NetworkParams,
  chainId: Uint8Array,
  entries: Iterable<StateChange>,
): Result<Ledger> {
  const loader = ledgerLoader(params, chainId)
  for (const entry of entries) {
    const added = loader.add(entry)
    if (!added.ok) return added
  }
  return loader.finish()
}

/** A damaged entry met while reading; caught at this file's door. */
class DamagedEntry extends Error {
  readonly key: string
  constructor(key: string) {
    super(key)
    this.key = key
  }
}

function damaged(key: string) {
  return fault('STATE_DAMAGED', `the stored state is damaged at entry "${key}"`, { key })
}

type Entries = ReadonlyMap<string, Uint8Array>
type ChunkedLists = ReadonlyMap<string, readonly Uint8Array[]>

function readLedger(
  params: NetworkParams,
  chainId: Uint8Array,
  { accounts, entries, lists }: { accounts: AccountReader; entries: Entries; lists: ChunkedLists },
): Result<Ledger> {
  try {
    const rows = accounts.finish()
    if (rows === undefined) throw new DamagedEntry('an account before the last')
    const ledger = new BaseLedger(params, chainId, {
      accounts: rows,
      nodes: readTable('nodes', entries),
      rails: readTable('rails', entries),
      contracts: readTable('contracts', entries),
      validators: readTable('validators', entries),
      delegations: readTable('delegations', entries),
      epochs: readTable('epochs', entries),
      mainHeaders: readTable('mainHeaders', entries),
      deposits: readTable('deposits', entries),
      withdrawals: readTable('withdrawals', entries),
    })
    ledger.currentPeg = readSingle(PegType, stateTags.peg, entries)
    ledger.currentGlobals = readSingle(GlobalsType, stateTags.globals, entries)
    readSideLists(ledger, lists)
    const singles = 2
    const records = tableNames.reduce((sum, table) => sum + ledger[table].count, singles)
    if (records !== entries.size + ledger.accounts.count) throw new DamagedEntry('count of entries')
    return ok(ledger)
  } catch (error) {
    if (error instanceof DamagedEntry) return damaged(error.key)
    if (error instanceof AddressTwiceError) return damaged('an address of two accounts')
    throw error
  }
}

function decode<T>(type: { deserialize(bytes: Uint8Array): T }, key: string, bytes: Uint8Array): T {
  try {
    return type.deserialize(bytes)
  } catch {
    throw new DamagedEntry(key)
  }
}

function readSingle<T>(
  type: { deserialize(bytes: Uint8Array): T },
  key: string,
  entries: Entries,
): T {
  const bytes = entries.get(key)
  if (bytes === undefined) throw new DamagedEntry(key)
  return decode(type, key, bytes)
}

/** Records of one table in order; a gap shows as a wrong total count. */
function* rows(table: TableName, entries: Entries): Iterable<{ key: string; bytes: Uint8Array }> {
  for (let index = 0; ; index++) {
    const key = recordKey(table, index)
    const bytes = entries.get(key)
    if (bytes === undefined) return
    yield { key, bytes }
  }
}

function readTable<K extends Exclude<TableName, 'accounts'>>(
  table: K,
  entries: Entries,
): TableRecords[K][] {
  const records: TableRecords[K][] = []
  for (const { key, bytes } of rows(table, entries)) {
    records.push(decode(recordCodecs[table], key, bytes))
  }
  return records
}

function readSideLists(ledger: BaseLedger, lists: ChunkedLists): void {
  for (const [list, chunks] of lists) {
    const owner = Number.parseInt(list.slice(1, 9), 16)
    if (list.startsWith(stateTags.inventories)) {
      ledger.inventories.set(owner, readChunks<InventoryEntry>(InventoryChunkType, list, chunks))
    } else if (list.startsWith(stateTags.rewardLeaves)) {
      ledger.rewards.set(owner, readChunks<RewardLeaf>(RewardChunkType, list, chunks))
    }
  }
  for (let node = 0; node < ledger.nodes.count; node++) {
    const snapshots = ledger.nodes.get(node)?.snapshots ?? []
    if (snapshots.length === 0) continue
    const entries = snapshots.map(({ epoch }) => {
      const list = snapshotKey(node, epoch)
      return readChunks<InventoryEntry>(InventoryChunkType, list, lists.get(list) ?? [])
    })
    ledger.snapshots.set(node, entries)
  }
}

function readChunks<T>(
  type: { deserialize(bytes: Uint8Array): T[] },
  list: string,
  chunks: readonly Uint8Array[],
): T[] {
  const all: T[] = []
  for (let chunk = 0; chunk < chunks.length; chunk++) {
    const bytes = chunks[chunk]
    if (bytes === undefined) throw new DamagedEntry(chunkKey(list, chunk))
    for (const entry of decode(type, chunkKey(list, chunk), bytes)) all.push(entry)
  }
  return all
}
