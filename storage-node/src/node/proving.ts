import { addressOf, bytesEqual, drawFromSumTree, sumPathOf } from '@ioex/chain/bytes'
import {
  challengeLeaf,
  challengeSeed,
  inventoryTree,
  nodeAsTouched,
  snapshotOf,
  challengePosition,
  undecidedFrom,
} from '@ioex/chain/rules'
import {
  CLEARS_PER_PROVE_MAX,
  type Epoch,
  type Node,
  NONE,
  OPENINGS,
  PayloadKind,
  type Prove,
  type ProveOpening,
  type Rail,
} from '@ioex/chain/types'
import { isPassing } from '../blobs/blob-error.ts'
import type { SlotRecord } from '../blobs/slot-record.ts'
import type { SlotStore } from '../blobs/slot-store.ts'
import { buildOpenings } from '../proofs/build-openings.ts'
import type { ChainClient } from './chain-client.ts'

/** A challenge that waits for this node's answer. */
export interface Challenge {
  readonly epoch: number
  /** Height of the block that opened it. */
  readonly openedAt: number
  readonly seed: Uint8Array
  readonly snapshot: ReturnType<typeof snapshotOf>
}

/** A drawn slot that cannot be shown: its rail is to be declared lost. */
export class SlotLostError extends Error {
  override name = 'SlotLostError'
  readonly rail: number
  constructor(rail: number, reason: string) {
    super(`the slot of rail ${rail} cannot be proven: ${reason}`)
    this.rail = rail
  }
}

/** The node's record as the rules see it now, and its open challenge if there is one. */
export async function currentNode(
  chain: ChainClient,
  record: Node,
  nowEpoch: number,
): Promise<{ node: Readonly<Node>; challenge: Challenge | undefined }> {
  const { params } = chain
  const epochs = await epochsFrom(chain, undecidedFrom(params, record, nowEpoch), nowEpoch)
  const node = nodeAsTouched({ params, epochs }, record, nowEpoch)
  const epoch = epochs.get(node.challenge)
  if (node.evicted || node.challenge === NONE || !epoch) return { node, challenge: undefined }
  const challenge = {
    epoch: node.challenge,
    openedAt: node.challengeHeight,
    seed: challengeSeed(epoch.beacon, addressOf(node.nodeKey)),
    snapshot: snapshotOf(node, node.challenge),
  }
  return { node, challenge }
}

async function epochsFrom(
  chain: ChainClient,
  first: number,
  now: number,
): Promise<Map<number, Epoch>> {
  const epochs = new Map<number, Epoch>()
  for (let epoch = first; epoch <= now; epoch++) {
    const record = await chain.epoch(epoch)
    if (record) epochs.set(epoch, record)
  }
  return epochs
}

/**
 * Answers a challenge: eight openings over the snapshot's inventory, and the own rails whose
 * weight may go now. Throws SlotLostError where a drawn slot is not there whole, BlobError
 * DISK_UNAVAILABLE where the disk does not say: the proof can be tried again.
 */
export async function buildProve(
  chain: ChainClient,
  store: SlotStore,
  nodeIndex: number,
  challenge: Challenge,
) {
  const { snapshot, seed, epoch } = challenge
  const entries = await chain.inventory(nodeIndex, snapshot.root)
  if (!entries) throw new Error('the inventory of the challenge is not known to the chain client')
  const tree = inventoryTree(entries)
  if (!bytesEqual(tree.root, snapshot.root)) throw new Error('the inventory is not the snapshot’s')
  const openings: ProveOpening[] = []
  const rails = new Map<number, Rail>()
  for (let i = 0; i < OPENINGS; i++) {
    const index = drawFromSumTree(tree, challengePosition(seed, i, snapshot.sum))
    const entry = entries[index]
    if (!entry) throw new Error('a draw falls outside the inventory')
    const rail = rails.get(entry.rail) ?? (await chain.rail(entry.rail))
    if (!rail) throw new Error(`rail ${entry.rail} of the inventory is unknown`)
    rails.set(entry.rail, rail)
    const leafIndex = challengeLeaf(seed, i, rail.leaves)
    const opening = await openLeaf(store, entry, rail, leafIndex)
    openings.push({ entry: index, ...entry, sumPath: sumPathOf(tree, index), opening })
  }
  const clear = await endedRails(chain, nodeIndex, epoch)
  const value: Prove = { epoch, openings, clear }
  return { selector: PayloadKind.prove, value } as const
}

async function openLeaf(
  store: SlotStore,
  entry: { rail: number; generation: number },
  { contract, slot: number, root }: Rail,
  leafIndex: number,
) {
  // A fill may be final before this node has noted which rail came of it: the bytes are there.
  const isItsSlot = (one: SlotRecord) =>
    one.contract === contract && one.slot === number && bytesEqual(one.root, root)
  const record = store.findByRail(entry.rail, entry.generation) ?? store.records().find(isItsSlot)
  if (!record) throw new SlotLostError(entry.rail, 'it is not on this disk')
  try {
    const slot = await store.openSlot(record)
    try {
      const opened = await buildOpenings(slot, [leafIndex])
      if (!opened.ok) throw new Error(opened.fault.message)
      const [opening] = opened.value
      if (!opening) throw new Error('no opening was built')
      return opening
    } finally {
      await slot.close()
    }
  } catch (error) {
    if (isPassing(error)) throw error
    const reason = error instanceof Error ? error.message : String(error)
    store.markDamaged(record, reason)
    throw new SlotLostError(entry.rail, reason)
  }
}

/**
 * Own rails that are over and resolved with this proof: drawing one of them later would spoil a
 * proof, so their weight goes with this one (PROTOCOL 6.1).
 */
async function endedRails(chain: ChainClient, nodeIndex: number, provenUpTo: number) {
  const clear: number[] = []
  for (const { index, record } of await chain.railsOfNode(nodeIndex)) {
    if (clear.length === CLEARS_PER_PROVE_MAX) break
    const isCounted = record.price > 0n && record.leaves > 0 && record.clearedEpoch === NONE
    const isPlain = record.askEpoch === NONE && record.lostEpoch === NONE
    if (!isCounted || !isPlain || record.end > provenUpTo) continue
    const contract = await chain.contract(record.contract)
    if (contract?.active && contract.askEpoch === NONE) clear.push(index)
  }
  return clear
}
