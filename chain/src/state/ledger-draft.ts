import type { NetworkParams } from '../params/network-params.ts'
import type {
  Account,
  Contract,
  Delegation,
  DepositRecord,
  Epoch,
  Globals,
  InventoryEntry,
  MainHeaderRecord,
  Node,
  Peg,
  Rail,
  Validator,
  WithdrawalRecord,
} from '../types/records.ts'

/**
 * A dense table of records. Records are values: a rule never changes one in place, it sets a
 * new one, so that drafts can share them.
 */
export interface RecordTable<T> {
  /** Records so far; also the index that the next new record gets. */
  readonly count: number
  get(index: number): Readonly<T> | undefined
  /** Replaces the record at `index`, or appends where `index === count`. */
  set(index: number, record: T): void
}

/** A record with the index it stands at. */
export interface Indexed<T> {
  readonly index: number
  readonly record: T
}

/** A node's fee in one epoch: a leaf of the epoch's reward tree, in order of first redeem. */
export interface RewardLeaf {
  readonly node: Uint8Array
  readonly fee: bigint
}

/**
 * The ledger as a rule sees it: readable, writable, not yet committed. Writes stay in the
 * draft until its owner merges or drops it.
 */
export interface LedgerDraft {
  /** Of the epoch in globals(). */
  readonly params: NetworkParams
  /** Hash of genesis, part of everything signed. */
  readonly chainId: Uint8Array

  readonly accounts: RecordTable<Account>
  readonly nodes: RecordTable<Node>
  readonly rails: RecordTable<Rail>
  readonly contracts: RecordTable<Contract>
  readonly validators: RecordTable<Validator>
  readonly delegations: RecordTable<Delegation>
  /** By epoch number. */
  readonly epochs: RecordTable<Epoch>
  /** By main height modulo MAIN_HEADERS_KEPT. */
  readonly mainHeaders: RecordTable<MainHeaderRecord>
  /** In the order in which they were recorded, so heights ascend; as are withdrawals. */
  readonly deposits: RecordTable<DepositRecord>
  readonly withdrawals: RecordTable<WithdrawalRecord>

  globals(): Readonly<Globals>
  setGlobals(globals: Globals): void
  peg(): Readonly<Peg>
  setPeg(peg: Peg): void

  /** Index of an account by address. */
  accountIndex(address: Uint8Array): number | undefined
  /** Index of a node by the address of its node key. */
  nodeIndex(nodeAddress: Uint8Array): number | undefined
  /** Index of the newest record of a main-chain transaction, by its id in internal order. */
  depositIndex(mainTransaction: Uint8Array): number | undefined
  /** Index of a withdrawal by the id of its transaction. */
  withdrawalIndex(id: Uint8Array): number | undefined
  /** Greatest existing address below `address` in circular order: where a new account links in. */
  accountBefore(address: Uint8Array): number | undefined

  /** Inventory of a node, dense, committed by its record's inventoryRoot. */
  inventory(node: number): readonly InventoryEntry[]
  setInventory(node: number, entries: readonly InventoryEntry[]): void
  /**
   * Entries behind the roots in a node's snapshot ring, same order and depth: what a node needs
   * to answer a challenge whose snapshot is older than its last change.
   */
  inventorySnapshots(node: number): readonly (readonly InventoryEntry[])[]
  setInventorySnapshots(node: number, snapshots: readonly (readonly InventoryEntry[])[]): void
  /** Leaves of an epoch's reward tree so far, committed by epochDataRoot at its checkpoint. */
  rewardLeaves(epoch: number): readonly RewardLeaf[]
  rewardCount(epoch: number): number
  /** Replaces the leaf at `index`, or appends where `index` is the count. */
  setRewardLeaf(epoch: number, index: number, leaf: RewardLeaf): void
}
