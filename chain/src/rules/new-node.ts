import { ZERO_HASH } from '../types/primitives.ts'
import { NONE, type Node } from '../types/records.ts'

/** What is known of a node when its record comes into being. */
export interface NewNode {
  readonly owner: Uint8Array
  readonly nodeKey: Uint8Array
  readonly payout: Uint8Array
  readonly roles: number
  /** Refundable deposit of a registration, units; 0 for a peer. */
  readonly deposit: bigint
  /** Epoch of registration or first fill: its first A, and the first epoch still undecided. */
  readonly epoch: number
}

/** A node that holds nothing and was never challenged (PROTOCOL 6.5). */
export function newNode({ epoch, ...identity }: NewNode): Node {
  return {
    ...identity,
    registered: epoch,
    evicted: false,
    A: epoch,
    P: 0,
    seen: epoch,
    challenge: NONE,
    challengeHeight: 0,
    strikes: 0,
    debt: 0n,
    held: 0n,
    pendingEpoch: NONE,
    pendingFee: 0n,
    pendingLeaf: 0,
    inventoryCount: 0,
    inventoryRoot: ZERO_HASH,
    inventorySum: 0n,
    inventoryBytes: 0,
    inventoryChanged: NONE,
    snapshots: [],
    log: [],
    evictedEpoch: NONE,
    exitEpoch: NONE,
  }
}
