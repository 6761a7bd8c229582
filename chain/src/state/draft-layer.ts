import { assert } from '../bytes/assert.ts'
import type { LeafRow } from '../bytes/dense-tree.ts'
import { bytesToHex, fromHex, type Hex } from '../bytes/hex.ts'
import { addressOf } from '../bytes/signature.ts'
import { paramsAt } from '../params/forks.ts'
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
import { AddressIndex } from './address-index.ts'
import { BaseLedger } from './base-ledger.ts'
import type { LedgerDraft, RecordTable, RewardLeaf } from './ledger-draft.ts'
import { recordLeaves, type TableName, tableNames, type TableRecords } from './record-tables.ts'

export type LedgerParent = BaseLedger | DraftLayer

/** One table of a draft: its own writes over the parent's records. */
export class LayerTable<T> implements RecordTable<T> {
  /** Made at the first write: most transactions write to one table of all. */
  #records: Map<number, T> | undefined
  #row: LeafRow | undefined
  readonly #layer: DraftLayer
  readonly #name: TableName
  readonly #onAppend: (record: T, index: number) => void
  #count: number | undefined

  constructor(layer: DraftLayer, name: TableName, onAppend: (record: T, index: number) => void) {
    this.#layer = layer
    this.#name = name
    this.#onAppend = onAppend
  }

  #parent(): RecordTable<T> {
    // The table's name and its record type belong together by construction of the draft.
    return this.#layer.parent[this.#name] as unknown as RecordTable<T>
  }

  get records(): ReadonlyMap<number, T> {
    return this.#records ?? (EMPTY as ReadonlyMap<number, unknown> as ReadonlyMap<number, T>)
  }

  get count(): number {
    return this.#count ?? this.#parent().count
  }

  get(index: number): Readonly<T> | undefined {
    return this.#records?.get(index) ?? this.#parent().get(index)
  }

  /** The record as it stands below this draft. */
  before(index: number): Readonly<T> | undefined {
    return this.#parent().get(index)
  }

  set(index: number, record: T): void {
    const { count } = this
    assert(Number.isInteger(index) && index >= 0 && index <= count, 'a table grows without gaps')
    if (index === count) {
      this.#count = count + 1
      this.#onAppend(record, index)
    }
    this.#records ??= new Map()
    this.#records.set(index, record)
    this.#row = undefined
  }

  /** Leaves of the records written here; hashed once, until the next write. */
  leaves(table: TableName): LeafRow {
    if (this.#row === undefined) {
      const indexes = Uint32Array.from(this.records.keys()).sort()
      const records: T[] = []
      for (const index of indexes) records.push(this.records.get(index) as T)
      // The table's name and its record type belong together by construction of the draft.
      const leaves = recordLeaves(table, records as unknown as TableRecords[TableName][])
      this.#row = { indexes, leaves }
    }
    return this.#row
  }

  clear(): void {
    this.#records = undefined
    this.#row = undefined
    this.#count = undefined
  }
}

const EMPTY: ReadonlyMap<number, never> = new Map<number, never>()

/** Nothing is ever added to it. */
const NO_ADDRESSES = new AddressIndex()

/** A map that costs nothing until something is set: a draft is made for every transaction. */
class LazyMap<K, V> {
  #map: Map<K, V> | undefined

  get(key: K): V | undefined {
    return this.#map?.get(key)
  }

  set(key: K, value: V): void {
    this.#map ??= new Map()
    this.#map.set(key, value)
  }

  clear(): void {
    this.#map = undefined
  }

  keys(): Iterable<K> {
    return this.#map?.keys() ?? []
  }

  [Symbol.iterator](): Iterator<[K, V]> {
    const map: ReadonlyMap<K, V> = this.#map ?? (EMPTY as ReadonlyMap<unknown, never> as never)
    return map.entries()
  }
}

/** Reward leaves of one epoch that a draft writes, by index, and how many the epoch has then. */
interface RewardWrites {
  readonly leaves: Map<number, RewardLeaf>
  count: number
}

export type LayerTables = { readonly [K in TableName]: LayerTable<TableRecords[K]> }

/**
 * Writes over a parent, which is the committed state or another draft: a block not yet final
 * over its parent block, a transaction over its block. While a draft has children, only they
 * are written.
 */
export class DraftLayer implements LedgerDraft, LayerTables {
  readonly schedule: NetworkParams
  readonly chainId: Uint8Array
  readonly accounts: LayerTable<Account>
  readonly nodes: LayerTable<Node>
  readonly rails: LayerTable<Rail>
  readonly contracts: LayerTable<Contract>
  readonly validators: LayerTable<Validator>
  readonly delegations: LayerTable<Delegation>
  readonly epochs: LayerTable<Epoch>
  readonly mainHeaders: LayerTable<MainHeaderRecord>
  readonly deposits: LayerTable<DepositRecord>
  readonly withdrawals: LayerTable<WithdrawalRecord>
  #newAddresses: AddressIndex | undefined
  readonly newNodes = new LazyMap<Hex, number>()
  readonly newDeposits = new LazyMap<Hex, number>()
  readonly newWithdrawals = new LazyMap<Hex, number>()
  readonly inventories = new LazyMap<number, readonly InventoryEntry[]>()
  readonly snapshots = new LazyMap<number, readonly (readonly InventoryEntry[])[]>()
  readonly rewards = new LazyMap<number, RewardWrites>()
  newGlobals: Globals | undefined
  newPeg: Peg | undefined
  /** Set when it was merged; what stands on it then stands on its parent. */
  merged = false
  /** The account last looked for and found: a transaction asks for its sender many times. */
  #foundAddress: Uint8Array | undefined
  #foundIndex = 0
  #parent: LedgerParent
  #baseVersion: number

  constructor(parent: LedgerParent) {
    this.schedule = parent.schedule
    this.chainId = parent.chainId
    this.#parent = parent
    this.#baseVersion = parent instanceof BaseLedger ? parent.version : -1
    this.accounts = new LayerTable(this, 'accounts', this.#indexAccount)
    this.nodes = new LayerTable(this, 'nodes', this.#indexNode)
    this.rails = new LayerTable(this, 'rails', unindexed)
    this.contracts = new LayerTable(this, 'contracts', unindexed)
    this.validators = new LayerTable(this, 'validators', unindexed)
    this.delegations = new LayerTable(this, 'delegations', unindexed)
    this.epochs = new LayerTable(this, 'epochs', unindexed)
    this.mainHeaders = new LayerTable(this, 'mainHeaders', unindexed)
    this.deposits = new LayerTable(this, 'deposits', this.#indexDeposit)
    this.withdrawals = new LayerTable(this, 'withdrawals', this.#indexWithdrawal)
  }

  #indexAccount = (account: Account, index: number): void => {
    this.#newAddresses ??= new AddressIndex()
    this.#newAddresses.add(bytesToHex(account.address), index)
  }

  #indexNode = (node: Node, index: number): void => {
    this.newNodes.set(bytesToHex(addressOf(node.nodeKey)), index)
  }

  #indexDeposit = ({ mainTransaction }: DepositRecord, index: number): void => {
    this.newDeposits.set(bytesToHex(mainTransaction), index)
  }

  #indexWithdrawal = ({ id }: WithdrawalRecord, index: number): void => {
    this.newWithdrawals.set(bytesToHex(id), index)
  }

  /** The nearest parent that still holds content of its own. */
  get parent(): LedgerParent {
    let parent = this.#parent
    while (parent instanceof DraftLayer && parent.merged) {
      this.#baseVersion = parent.#baseVersion
      parent = parent.#parent
      this.#parent = parent
    }
    const stale = parent instanceof BaseLedger && parent.version !== this.#baseVersion
    assert(!stale, 'the draft stands on a state that is no longer the committed one')
    return parent
  }

  /** Marks it merged: its content now stands in its parent. */
  retire(): void {
    const parent = this.#parent
    if (parent instanceof BaseLedger) this.#baseVersion = parent.version
    this.merged = true
    this.clear()
  }

  /** Forgets all writes. */
  clear(): void {
    for (const table of tableNames) this[table].clear()
    this.#foundAddress = undefined
    this.#newAddresses = undefined
    this.inventories.clear()
    this.snapshots.clear()
    this.rewards.clear()
    this.newNodes.clear()
    this.newDeposits.clear()
    this.newWithdrawals.clear()
    this.newGlobals = undefined
    this.newPeg = undefined
  }

  get newAddresses(): AddressIndex {
    return this.#newAddresses ?? NO_ADDRESSES
  }

  /** Of the epoch that the draft is in: a block's rules read its own epoch's parameters. */
  get params(): NetworkParams {
    return paramsAt(this.schedule, this.globals().epoch)
  }

  globals(): Readonly<Globals> {
    return this.newGlobals ?? this.parent.globals()
  }
  setGlobals(globals: Globals): void {
    this.newGlobals = globals
  }
  peg(): Readonly<Peg> {
    return this.newPeg ?? this.parent.peg()
  }
  setPeg(peg: Peg): void {
    this.newPeg = peg
  }

  accountIndex(address: Uint8Array): number | undefined {
    // Addresses are values: the same object is the same address, and an account never moves.
    if (address === this.#foundAddress) return this.#foundIndex
    const index = this.#indexOf(address, undefined)
    if (index !== undefined) {
      this.#foundAddress = address
      this.#foundIndex = index
    }
    return index
  }
  /** @param known the address as hex, once a draft that has new accounts needed it */
  #indexOf(address: Uint8Array, known: Hex | undefined): number | undefined {
    const hex = this.#newAddresses === undefined ? known : (known ?? bytesToHex(address))
    const own = hex === undefined ? undefined : this.#newAddresses?.get(hex)
    if (own !== undefined) return own
    const { parent } = this
    return parent instanceof BaseLedger
      ? parent.accountIndex(address)
      : parent.#indexOf(address, hex)
  }
  nodeIndex(nodeAddress: Uint8Array): number | undefined {
    return this.nodeIndexOf(bytesToHex(nodeAddress))
  }
  nodeIndexOf(nodeAddress: Hex): number | undefined {
    return this.newNodes.get(nodeAddress) ?? this.parent.nodeIndexOf(nodeAddress)
  }
  depositIndex(mainTransaction: Uint8Array): number | undefined {
    const own = this.newDeposits.get(bytesToHex(mainTransaction))
    return own ?? this.parent.depositIndex(mainTransaction)
  }
  withdrawalIndex(id: Uint8Array): number | undefined {
    return this.newWithdrawals.get(bytesToHex(id)) ?? this.parent.withdrawalIndex(id)
  }
  accountBefore(address: Uint8Array): number | undefined {
    const before = this.#below(address, bytesToHex(address)) ?? this.#greatest()
    return before === undefined ? undefined : this.#indexOf(fromHex(before), before)
  }
  #below(address: Uint8Array, hex: Hex): Hex | undefined {
    const { parent } = this
    const inherited =
      parent instanceof BaseLedger
        ? hexAddressOf(parent, parent.addresses.below(address))
        : parent.#below(address, hex)
    return later(this.newAddresses.below(hex), inherited)
  }
  #greatest(): Hex | undefined {
    const { parent } = this
    const inherited =
      parent instanceof BaseLedger
        ? hexAddressOf(parent, parent.addresses.greatest())
        : parent.#greatest()
    return later(this.newAddresses.greatest(), inherited)
  }

  inventory(node: number): readonly InventoryEntry[] {
    return this.inventories.get(node) ?? this.parent.inventory(node)
  }
  setInventory(node: number, entries: readonly InventoryEntry[]): void {
    this.inventories.set(node, entries)
  }
  inventorySnapshots(node: number): readonly (readonly InventoryEntry[])[] {
    return this.snapshots.get(node) ?? this.parent.inventorySnapshots(node)
  }
  setInventorySnapshots(node: number, snapshots: readonly (readonly InventoryEntry[])[]): void {
    this.snapshots.set(node, snapshots)
  }
  rewardLeaves(epoch: number): readonly RewardLeaf[] {
    const below = this.parent.rewardLeaves(epoch)
    const own = this.rewards.get(epoch)
    if (own === undefined) return below
    const leaves = [...below]
    // In the order in which they were set, so that appended ones follow one another.
    for (const [index, leaf] of own.leaves) leaves[index] = leaf
    return leaves
  }
  rewardCount(epoch: number): number {
    return this.rewards.get(epoch)?.count ?? this.parent.rewardCount(epoch)
  }
  setRewardLeaf(epoch: number, index: number, leaf: RewardLeaf): void {
    let own = this.rewards.get(epoch)
    if (own === undefined) {
      own = { leaves: new Map(), count: this.parent.rewardCount(epoch) }
      this.rewards.set(epoch, own)
    }
    assert(index <= own.count, 'reward leaves follow one another')
    if (index === own.count) own.count += 1
    own.leaves.set(index, leaf)
  }
}

/** The layer behind a draft that is still open. */
export function layerOf(draft: LedgerDraft): DraftLayer {
  assert(draft instanceof DraftLayer && !draft.merged, 'only an open draft has changes')
  return draft
}

const unindexed = () => {}

function hexAddressOf(base: BaseLedger, account: number | undefined): Hex | undefined {
  return account === undefined ? undefined : bytesToHex(base.addressOf(account))
}

function later(a: Hex | undefined, b: Hex | undefined): Hex | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return a > b ? a : b
}
