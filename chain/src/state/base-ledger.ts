import { assert } from '../bytes/assert.ts'
import { DenseTree, hashPairs, type LeafRow } from '../bytes/dense-tree.ts'
import { addressOf } from '../bytes/signature.ts'
import { bytesToHex, type Hex } from '../bytes/hex.ts'
import { paramsAt } from '../params/forks.ts'
import type { NetworkParams } from '../params/network-params.ts'
import {
  type Account,
  type Contract,
  type Delegation,
  type DepositRecord,
  type Epoch,
  type Globals,
  GlobalsType,
  type InventoryEntry,
  type MainHeaderRecord,
  type Node,
  type Peg,
  PegType,
  type Rail,
  type Validator,
  type WithdrawalRecord,
} from '../types/records.ts'
import { AccountOrder } from './account-order.ts'
import type { LedgerDraft, RecordTable, RewardLeaf } from './ledger-draft.ts'
import {
  ACCOUNT_BYTES,
  accountAmong,
  ADDRESS_BYTES,
  recordCodecs,
  recordLeaves,
  type TableName,
  type TableRecords,
} from './record-tables.ts'

/** A table of the committed state: records and the tree over them. Written only by a merge. */
export interface BaseTable<T> extends RecordTable<T> {
  readonly tree: DenseTree
  commit(records: ReadonlyMap<number, T>, leaves: LeafRow): void
}

/** Records as values. */
class ValueTable<T> implements BaseTable<T> {
  readonly #records: T[]
  readonly tree: DenseTree

  constructor(records: T[], tree: DenseTree) {
    assert(records.length === tree.count, 'a tree stands over all records of its table')
    this.#records = records
    this.tree = tree
  }

  get count(): number {
    return this.#records.length
  }

  get(index: number): Readonly<T> | undefined {
    return this.#records[index]
  }

  set(): void {
    refuseWrite()
  }

  commit(records: ReadonlyMap<number, T>, leaves: LeafRow): void {
    this.tree.apply(leaves)
    for (const [index, record] of records) this.#records[index] = record
    assert(this.#records.length === this.tree.count, 'records and leaves grew apart')
  }
}

/** Accounts in one flat buffer of 64-byte records: a million of them are 64 MB. */
class AccountTable implements BaseTable<Account> {
  #rows: Uint8Array
  #view: DataView
  readonly tree: DenseTree

  constructor(rows: Uint8Array, tree: DenseTree) {
    assert(rows.length === tree.count * ACCOUNT_BYTES, 'a tree stands over all accounts')
    this.#rows = rows
    this.#view = viewOf(rows)
    this.tree = tree
  }

  get count(): number {
    return this.tree.count
  }

  /** With room behind the last account. */
  get rows(): Uint8Array {
    return this.#rows
  }

  addressOf(account: number): Uint8Array {
    const start = account * ACCOUNT_BYTES
    return this.#rows.slice(start, start + ADDRESS_BYTES)
  }

  get(index: number): Readonly<Account> | undefined {
    if (index < 0 || index >= this.count) return undefined
    return accountAmong(this.#rows, this.#view, index * ACCOUNT_BYTES)
  }

  set(): void {
    refuseWrite()
  }

  commit(records: ReadonlyMap<number, Account>, leaves: LeafRow): void {
    this.tree.apply(leaves)
    const bytes = this.count * ACCOUNT_BYTES
    if (this.#rows.length < bytes) {
      const grown = new Uint8Array(Math.max(bytes, 2 * this.#rows.length))
      grown.set(this.#rows)
      this.#rows = grown
      this.#view = viewOf(grown)
    }
    for (const [index, record] of records) {
      this.#rows.set(recordCodecs.accounts.serialize(record), index * ACCOUNT_BYTES)
    }
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}

function refuseWrite(): never {
  assert(false, 'the committed state changes only by merging a draft')
}

export type BaseTables = { readonly [K in TableName]: BaseTable<TableRecords[K]> }

/** The committed state at the newest final block. Rules read it through drafts. */
export class BaseLedger implements LedgerDraft, BaseTables {
  /** Parameters of genesis, with the forks after it. */
  readonly schedule: NetworkParams
  readonly chainId: Uint8Array
  readonly accounts: BaseTable<Account>
  readonly nodes: BaseTable<Node>
  readonly rails: BaseTable<Rail>
  readonly contracts: BaseTable<Contract>
  readonly validators: BaseTable<Validator>
  readonly delegations: BaseTable<Delegation>
  readonly epochs: BaseTable<Epoch>
  readonly mainHeaders: BaseTable<MainHeaderRecord>
  readonly deposits: BaseTable<DepositRecord>
  readonly withdrawals: BaseTable<WithdrawalRecord>
  readonly addresses: AccountOrder
  readonly #accounts: AccountTable
  readonly nodeAddresses = new Map<Hex, number>()
  readonly depositIds = new Map<Hex, number>()
  readonly withdrawalIds = new Map<Hex, number>()
  readonly inventories = new Map<number, readonly InventoryEntry[]>()
  readonly snapshots = new Map<number, readonly (readonly InventoryEntry[])[]>()
  readonly rewards = new Map<number, readonly RewardLeaf[]>()
  /** Counts merges: a draft of an older base is stale. */
  version = 0
  currentGlobals: Globals = GlobalsType.defaultValue()
  currentPeg: Peg = PegType.defaultValue()

  /** Throws AddressTwiceError on content that is no state. */
  constructor(params: NetworkParams, chainId: Uint8Array, content: BaseContent = emptyContent()) {
    this.schedule = params
    this.chainId = chainId
    const { accounts, ...records } = content
    this.#accounts = new AccountTable(accounts, treeOfAccounts(accounts))
    this.accounts = this.#accounts
    this.nodes = valueTable('nodes', records.nodes)
    this.rails = valueTable('rails', records.rails)
    this.contracts = valueTable('contracts', records.contracts)
    this.validators = valueTable('validators', records.validators)
    this.delegations = valueTable('delegations', records.delegations)
    this.epochs = valueTable('epochs', records.epochs)
    this.mainHeaders = valueTable('mainHeaders', records.mainHeaders)
    this.deposits = valueTable('deposits', records.deposits)
    this.withdrawals = valueTable('withdrawals', records.withdrawals)
    this.addresses = AccountOrder.of(this.#accounts, this.#accounts.count)
    for (const [index, node] of records.nodes.entries()) {
      this.nodeAddresses.set(bytesToHex(addressOf(node.nodeKey)), index)
    }
    for (const [index, { mainTransaction }] of records.deposits.entries()) {
      this.depositIds.set(bytesToHex(mainTransaction), index)
    }
    for (const [index, { id }] of records.withdrawals.entries()) {
      this.withdrawalIds.set(bytesToHex(id), index)
    }
  }

  /** Of the epoch of the newest block. */
  get params(): NetworkParams {
    return paramsAt(this.schedule, this.currentGlobals.epoch)
  }

  globals(): Readonly<Globals> {
    return this.currentGlobals
  }
  setGlobals(): void {
    refuseWrite()
  }
  peg(): Readonly<Peg> {
    return this.currentPeg
  }
  setPeg(): void {
    refuseWrite()
  }

  accountIndex(address: Uint8Array): number | undefined {
    return this.addresses.get(address)
  }
  addressOf(account: number): Uint8Array {
    return this.#accounts.addressOf(account)
  }
  nodeIndex(nodeAddress: Uint8Array): number | undefined {
    return this.nodeIndexOf(bytesToHex(nodeAddress))
  }
  nodeIndexOf(nodeAddress: Hex): number | undefined {
    return this.nodeAddresses.get(nodeAddress)
  }
  depositIndex(mainTransaction: Uint8Array): number | undefined {
    return this.depositIds.get(bytesToHex(mainTransaction))
  }
  withdrawalIndex(id: Uint8Array): number | undefined {
    return this.withdrawalIds.get(bytesToHex(id))
  }
  accountBefore(address: Uint8Array): number | undefined {
    return this.addresses.below(address) ?? this.addresses.greatest()
  }

  inventory(node: number): readonly InventoryEntry[] {
    return this.inventories.get(node) ?? []
  }
  setInventory(): void {
    refuseWrite()
  }
  inventorySnapshots(node: number): readonly (readonly InventoryEntry[])[] {
    return this.snapshots.get(node) ?? []
  }
  setInventorySnapshots(): void {
    refuseWrite()
  }
  rewardLeaves(epoch: number): readonly RewardLeaf[] {
    return this.rewards.get(epoch) ?? []
  }
  rewardCount(epoch: number): number {
    return this.rewards.get(epoch)?.length ?? 0
  }
  setRewardLeaf(): void {
    refuseWrite()
  }
}

/** All records of a state, dense: accounts as 64-byte rows, the others as values. */
export type BaseContent = { readonly accounts: Uint8Array } & {
  readonly [K in Exclude<TableName, 'accounts'>]: TableRecords[K][]
}

export function emptyContent(): BaseContent {
  return {
    accounts: new Uint8Array(0),
    nodes: [],
    rails: [],
    contracts: [],
    validators: [],
    delegations: [],
    epochs: [],
    mainHeaders: [],
    deposits: [],
    withdrawals: [],
  }
}

function valueTable<K extends Exclude<TableName, 'accounts'>>(
  table: K,
  records: TableRecords[K][],
): BaseTable<TableRecords[K]> {
  return new ValueTable(records, DenseTree.fromLeaves(recordLeaves(table, records)))
}

function treeOfAccounts(rows: Uint8Array): DenseTree {
  return DenseTree.fromLeaves(hashPairs(rows))
}
