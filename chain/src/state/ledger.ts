import { assert } from '../bytes/assert.ts'
import { type LeafRow, leafRow, overlayRows } from '../bytes/dense-tree.ts'
import { fromHex } from '../bytes/hex.ts'
import type { NetworkParams } from '../params/network-params.ts'
import { GlobalsType, PegType } from '../types/records.ts'
import { BaseLedger, type BaseTables } from './base-ledger.ts'
import { DraftLayer, type LayerTables, type LedgerParent, layerOf } from './draft-layer.ts'
import type { LedgerDraft } from './ledger-draft.ts'
import { StateRootsType, type TableName, type TableRecords, tableNames } from './record-tables.ts'

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
