import { assert } from '../bytes/assert.ts'
import { buildSumTree, type SumTree, updateSumTree } from '../bytes/sum-tree.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { type InventoryEntry, NONE, type Node, type Snapshot } from '../types/records.ts'
import { challengeClass } from './challenge.ts'

/**
 * A node's inventory (PROTOCOL 6.1): its live storage rails, dense, under a Merkle-sum tree whose
 * root stands in its record. An entry stays, with weight 0, until its rail is freed; only weights
 * are drawn. Every change needs a node that was touched in this block, so that no epoch whose
 * snapshot leaves the ring is still undecided.
 */

/** Trees of the lists that drafts carry around: nothing but a memory of what was hashed. */
const trees = new WeakMap<readonly InventoryEntry[], SumTree>()

/** The sum tree of an inventory: roots, draws and paths for whoever answers challenges. */
export function inventoryTree(entries: readonly InventoryEntry[]): SumTree {
  let tree = trees.get(entries)
  if (!tree) {
    tree = buildSumTree(entries)
    trees.set(entries, tree)
  }
  return tree
}

/** Entries and tree that a challenge of `epoch` draws from: those under the root of snapshotOf. */
export function snapshotTree(
  draft: LedgerDraft,
  nodeIndex: number,
  epoch: number,
): { readonly entries: readonly InventoryEntry[]; readonly tree: SumTree } {
  const node = draft.nodes.get(nodeIndex)
  assert(node, 'a node index names no node')
  const kept = node.snapshots.findIndex((snapshot) => snapshot.epoch >= epoch)
  const entries = kept < 0 ? draft.inventory(nodeIndex) : draft.inventorySnapshots(nodeIndex)[kept]
  assert(entries, 'the entries of each kept snapshot are kept')
  return { entries, tree: inventoryTree(entries) }
}

/** Adds a rail of so many bytes; gives its position. */
export function addEntry(
  draft: LedgerDraft,
  nodeIndex: number,
  entry: InventoryEntry,
  bytes: number,
  epoch: number,
): number {
  const entries = draft.inventory(nodeIndex)
  store(draft, nodeIndex, [...entries, entry], [], bytes, epoch)
  return entries.length
}

/** Sets the weight at a position; `bytes` is what the node holds more or, if negative, less. */
export function setWeight(
  draft: LedgerDraft,
  nodeIndex: number,
  position: number,
  weight: bigint,
  bytes: number,
  epoch: number,
): void {
  const entries = [...draft.inventory(nodeIndex)]
  const entry = entries[position]
  assert(entry, 'a rail stands at no position of its inventory')
  entries[position] = { ...entry, weight }
  store(draft, nodeIndex, entries, [position], bytes, epoch)
}

/** Takes an entry out; the last one moves into its place. */
export function removeEntry(
  draft: LedgerDraft,
  nodeIndex: number,
  position: number,
  bytes: number,
  epoch: number,
): void {
  const entries = [...draft.inventory(nodeIndex)]
  const last = entries.pop()
  assert(last && position <= entries.length, 'a rail stands at no position of its inventory')
  if (position < entries.length) {
    entries[position] = last
    const moved = draft.rails.get(last.rail)
    assert(moved, 'an inventory names no rail')
    draft.rails.set(last.rail, { ...moved, entry: position })
  }
  store(draft, nodeIndex, entries, [position], -bytes, epoch)
}

/** Takes all weights away at once: an evicted node is never challenged again. */
export function dropInventory(draft: LedgerDraft, nodeIndex: number, epoch: number): void {
  const node = draft.nodes.get(nodeIndex)
  assert(node, 'a node index names no node')
  store(draft, nodeIndex, [], [], -node.inventoryBytes, epoch)
}

function store(
  draft: LedgerDraft,
  nodeIndex: number,
  entries: readonly InventoryEntry[],
  changed: readonly number[],
  bytes: number,
  epoch: number,
): void {
  const node = draft.nodes.get(nodeIndex)
  assert(node, 'a node index names no node')
  const before = draft.inventory(nodeIndex)
  const tree = updateSumTree(inventoryTree(before), entries, changed)
  trees.set(entries, tree)
  const depth = draft.params.proofWindowEpochs + 2
  if (node.inventoryChanged !== epoch) {
    const kept = [...draft.inventorySnapshots(nodeIndex), before].slice(-depth)
    draft.setInventorySnapshots(nodeIndex, kept)
  }
  draft.setInventory(nodeIndex, entries)
  const next: Node = {
    ...node,
    // Idle years must not become proven epochs with the first pass after them (PROTOCOL 6.1). An
    // open challenge resolves up to its own epoch first, whatever was filled meanwhile.
    A: isRaised(node, tree.sum) ? Math.max(node.A, epoch) : node.A,
    inventoryCount: tree.count,
    inventoryRoot: tree.root,
    inventorySum: tree.sum,
    inventoryBytes: node.inventoryBytes + bytes,
    inventoryChanged: epoch,
    snapshots: snapshotsAt(node, epoch, depth),
  }
  assert(next.inventoryBytes >= 0, 'an inventory holds fewer bytes than none')
  draft.nodes.set(nodeIndex, next)
  countClasses(draft, node, next)
}

function isRaised(node: Readonly<Node>, sum: bigint): boolean {
  return node.inventorySum === 0n && sum > 0n && node.challenge === NONE
}

/** The ring after a change in `epoch`: the first one in an epoch keeps what stood before it. */
function snapshotsAt(node: Readonly<Node>, epoch: number, depth: number): Snapshot[] {
  if (node.inventoryChanged === epoch) return node.snapshots
  const before: Snapshot = {
    epoch,
    root: node.inventoryRoot,
    sum: node.inventorySum,
    bytes: node.inventoryBytes,
    count: node.inventoryCount,
  }
  return [...node.snapshots, before].slice(-depth)
}

/** Nodes per class, which the next epoch's q are reckoned from (PROTOCOL 6.3). */
function countClasses(draft: LedgerDraft, before: Readonly<Node>, after: Readonly<Node>): void {
  const from = classOf(draft, before)
  const to = classOf(draft, after)
  if (from === to) return
  const globals = draft.globals()
  const change = (of: 1 | 2) => (to === of ? 1 : 0) - (from === of ? 1 : 0)
  draft.setGlobals({
    ...globals,
    nodesClass1: globals.nodesClass1 + change(1),
    nodesClass2: globals.nodesClass2 + change(2),
  })
}

function classOf(draft: LedgerDraft, node: Readonly<Node>): 0 | 1 | 2 {
  const { inventorySum: sum, inventoryBytes: bytes } = node
  return challengeClass(draft.params, { sum, bytes })
}
