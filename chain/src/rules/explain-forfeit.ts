import { bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { drawFromSumTree } from '../bytes/sum-tree.ts'
import { checkpointHeight, type NetworkParams } from '../params/network-params.ts'
import type { EvictionReceipt, ForfeitReceipt } from '../types/receipts.ts'
import { type InventoryEntry, NONE } from '../types/records.ts'
import { beaconOf } from './beacon.ts'
import {
  challengeDraw,
  challengeLeaf,
  challengePositions,
  challengeSeed,
  isChallenged,
} from './challenge.ts'
import { inventoryTree } from './inventory.ts'

/** A leaf that the node had to show. */
export interface DueOpening {
  /** Where the draw falls among the snapshot's weights. */
  readonly position: bigint
  /** Entry of the inventory, and rail and leaf; undefined where its entries are not known. */
  readonly drawn?: {
    readonly entry: number
    readonly rail: number
    readonly generation: number
    /** Undefined where the rail's record is gone. */
    readonly leaf: number | undefined
  }
}

/** Why an interval was forfeited: everything that replays from headers (PROTOCOL 6). */
export interface ForfeitExplanation {
  readonly receipt: ForfeitReceipt
  /** Block whose hash the beacon holds, and block that fixed the beacon. */
  readonly checkpointHeight: number
  readonly beaconHeight: number
  /** False for an epoch beyond the ring, where a node with weight counts as challenged. */
  readonly isDrawn: boolean
  /** H(beacon, node); its first 8 bytes had to be below the rate. */
  readonly seed: Uint8Array
  readonly draw: bigint
  readonly rate: bigint
  readonly openings: readonly DueOpening[]
  /** Blocks in which a proof would have been valid, and the epoch in which it lapsed. */
  readonly firstBlock: number
  readonly lastBlock: number
  readonly lapsedIn: number
  /** Epochs that are not paid. */
  readonly epochs: number
  readonly strikesToEvict: number
}

/** The inventory that a forfeit names by its root, if somebody kept it. */
export interface KnownInventory {
  readonly entries: readonly InventoryEntry[]
  /** Real leaves of a rail, if its record is there. */
  leavesOf(rail: number, generation: number): number | undefined
}

/** What a forfeit receipt says, worked out: which leaves were due, and when. */
export function explainForfeit(
  params: NetworkParams,
  receipt: ForfeitReceipt,
  inventory?: KnownInventory,
): ForfeitExplanation {
  const { beacon, node, epoch, beaconHeight, rate } = receipt
  const seed = challengeSeed(beacon, node)
  const isDrawn = beaconHeight !== 0
  const lapsedIn = epoch + params.proofWindowEpochs
  const first = checkpointHeight(params, epoch - 1) + 1
  return {
    receipt,
    checkpointHeight: checkpointHeight(params, epoch - 1),
    beaconHeight,
    isDrawn,
    seed,
    draw: challengeDraw(seed),
    rate,
    openings: isDrawn ? dueOpenings(receipt, seed, inventory) : [],
    firstBlock: isDrawn ? beaconHeight : first,
    lastBlock: checkpointHeight(params, lapsedIn - 1),
    lapsedIn,
    epochs: receipt.toEpoch - receipt.fromEpoch,
    strikesToEvict: params.strikesToEvict,
  }
}

function dueOpenings(
  { beacon, node, inventorySum, inventoryRoot }: ForfeitReceipt,
  seed: Uint8Array,
  inventory: KnownInventory | undefined,
): DueOpening[] {
  const positions = challengePositions(beacon, node, inventorySum)
  const tree = inventory && inventoryTree(inventory.entries)
  if (!inventory || !tree || !bytesEqual(tree.root, inventoryRoot)) {
    return positions.map((position) => ({ position }))
  }
  return positions.map((position, i) => {
    const entry = drawFromSumTree(tree, position)
    const { rail, generation } = inventory.entries[entry] as InventoryEntry
    const leaves = inventory.leavesOf(rail, generation)
    const leaf = leaves === undefined ? undefined : challengeLeaf(seed, i, leaves)
    return { position, drawn: { entry, rail, generation, leaf } }
  })
}

/** What headers of both chains say of the challenge's epoch. */
export interface BeaconHeaders {
  readonly chainId: Uint8Array
  /** Hash of the side block before the epoch's first. */
  readonly checkpointHash: Uint8Array
  /** Bitcoin-parent hash of the main header that the beacon came from. */
  readonly bitcoinHash: Uint8Array
  /** Height of the side block that brought that header its confirmations. */
  readonly beaconHeight: number
}

/**
 * Replays a forfeit from headers alone: the beacon is theirs, the node was drawn by it, and the
 * interval ends where the window did. Faults with FORFEIT_BEACON, FORFEIT_NOT_DRAWN or
 * FORFEIT_INTERVAL.
 */
export function checkForfeit(
  params: NetworkParams,
  receipt: ForfeitReceipt,
  headers: BeaconHeaders,
): Result<undefined> {
  const { chainId, checkpointHash, bitcoinHash, beaconHeight } = headers
  const beacon = beaconOf(chainId, receipt.epoch, checkpointHash, bitcoinHash)
  if (!bytesEqual(beacon, receipt.beacon) || beaconHeight !== receipt.beaconHeight) {
    return fault('FORFEIT_BEACON', 'the receipt names a beacon that the headers do not give', {
      epoch: receipt.epoch,
      beaconHeight,
    })
  }
  if (!isChallenged(beacon, receipt.node, receipt.rate) || receipt.inventorySum === 0n) {
    return fault('FORFEIT_NOT_DRAWN', 'the beacon did not draw the node', { rate: receipt.rate })
  }
  const toEpoch = receipt.epoch + params.proofWindowEpochs
  if (receipt.toEpoch === toEpoch && receipt.fromEpoch <= receipt.epoch) return ok()
  return fault('FORFEIT_INTERVAL', `a challenge of epoch ${receipt.epoch} lapses in ${toEpoch}`, {
    fromEpoch: receipt.fromEpoch,
    toEpoch: receipt.toEpoch,
  })
}

/**
 * The run of forfeits that an eviction rests on, oldest first: one per strike, none overlapping.
 * Faults with EVICTION_STRIKES where the node's receipts do not hold that run.
 * @param forfeits those of the node up to the eviction, in the order of the chain
 */
export function explainEviction(
  params: NetworkParams,
  eviction: EvictionReceipt,
  forfeits: readonly ForfeitReceipt[],
): Result<readonly ForfeitReceipt[]> {
  if (eviction.rail !== NONE) return ok([])
  const run = forfeits.slice(-params.strikesToEvict)
  const holds = run.every((forfeit, i) => {
    const before = run[i - 1]
    const isOwn = bytesEqual(forfeit.node, eviction.node) && forfeit.toEpoch <= eviction.epoch
    return isOwn && forfeit.strikes === i + 1 && (!before || forfeit.epoch >= before.toEpoch)
  })
  if (holds && run.length === params.strikesToEvict) return ok(run)
  return fault('EVICTION_STRIKES', 'the receipts of the node do not hold its last strikes', {
    found: run.length,
    strikesToEvict: params.strikesToEvict,
  })
}
