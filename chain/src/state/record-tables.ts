import { ContainerType, ListCompositeType } from '@chainsafe/ssz'
import { hashPairs } from '../bytes/dense-tree.ts'
import { HASH_BYTES } from '../bytes/hash.ts'
import { Bytes20, Bytes32, Units64 } from '../types/primitives.ts'
import {
  type Account,
  type Contract,
  ContractType,
  type Delegation,
  DelegationType,
  type DepositRecord,
  DepositRecordType,
  type Epoch,
  EpochType,
  InventoryEntryType,
  type MainHeaderRecord,
  MainHeaderRecordType,
  type Node,
  NodeType,
  type Rail,
  RailType,
  type Validator,
  ValidatorType,
  type WithdrawalRecord,
  WithdrawalRecordType,
} from '../types/records.ts'
import { flatRootsOf } from '../bytes/flat-roots.ts'
import { serializeNode } from './node-bytes.ts'
import { nodeRoot, nodeRoots } from './node-root.ts'

/** What each dense table of the state holds. */
export interface TableRecords {
  accounts: Account
  nodes: Node
  rails: Rail
  contracts: Contract
  validators: Validator
  delegations: Delegation
  epochs: Epoch
  mainHeaders: MainHeaderRecord
  deposits: DepositRecord
  withdrawals: WithdrawalRecord
}
export type TableName = keyof TableRecords

export const tableNames = [
  'accounts',
  'nodes',
  'rails',
  'contracts',
  'validators',
  'delegations',
  'epochs',
  'mainHeaders',
  'deposits',
  'withdrawals',
] as const satisfies readonly TableName[]

/** How a record becomes bytes and a leaf. */
export interface RecordCodec<T> {
  readonly serialize: (record: T) => Uint8Array
  /** Throws on bytes that are no such record. */
  readonly deserialize: (bytes: Uint8Array) => T
  readonly hashTreeRoot: (record: T) => Uint8Array
}

export const recordCodecs: { readonly [K in TableName]: RecordCodec<TableRecords[K]> } = {
  accounts: {
    serialize: (record) => accountRows([record]),
    deserialize: accountOfRow,
    // The leaf is the root of the record as 64 bytes, not of the container (PROTOCOL 2).
    hashTreeRoot: (record) => hashPairs(accountRows([record])),
  },
  nodes: { ...codec(NodeType), serialize: serializeNode, hashTreeRoot: nodeRoot },
  rails: codec(RailType),
  contracts: codec(ContractType),
  validators: codec(ValidatorType),
  delegations: codec(DelegationType),
  epochs: codec(EpochType),
  mainHeaders: codec(MainHeaderRecordType),
  deposits: codec(DepositRecordType),
  withdrawals: codec(WithdrawalRecordType),
}

interface SszType<T> {
  serialize(record: T): Uint8Array
  deserialize(bytes: Uint8Array): T
  hashTreeRoot(record: T): Uint8Array
}

function codec<T>(type: SszType<T>): RecordCodec<T> {
  return {
    serialize: (record) => type.serialize(record),
    deserialize: (bytes) => type.deserialize(bytes),
    hashTreeRoot: (record) => type.hashTreeRoot(record),
  }
}

type Records<K extends TableName> = readonly TableRecords[K][]
type Leaves<K extends TableName> = (records: Records<K>) => Uint8Array

const leavesByTable: { readonly [K in TableName]: Leaves<K> } = {
  accounts: (records) => hashPairs(accountRows(records)),
  nodes: nodeRoots,
  rails: flatRootsOf(RailType),
  contracts: leavesOneByOne('contracts'),
  validators: leavesOneByOne('validators'),
  delegations: flatRootsOf(DelegationType),
  epochs: leavesOneByOne('epochs'),
  mainHeaders: flatRootsOf(MainHeaderRecordType),
  deposits: flatRootsOf(DepositRecordType),
  withdrawals: flatRootsOf(WithdrawalRecordType),
}

/** Leaves of many records of one table, 32 bytes each; most tables hash them all in one batch. */
export function recordLeaves<K extends TableName>(table: K, records: Records<K>): Uint8Array {
  return leavesByTable[table](records)
}

function leavesOneByOne<K extends TableName>(table: K): Leaves<K> {
  const { hashTreeRoot } = recordCodecs[table]
  return (records) => {
    const leaves = new Uint8Array(records.length * HASH_BYTES)
    for (const [i, record] of records.entries()) leaves.set(hashTreeRoot(record), i * HASH_BYTES)
    return leaves
  }
}

export const ACCOUNT_BYTES = 64
/** An account's address stands first in its row. */
export const ADDRESS_BYTES = 20
/** Where the fields of an account stand in its 64 bytes; its SSZ form, written without detours. */
const NEXT_ADDRESS_AT = ADDRESS_BYTES
const BALANCE_AT = 40
const BOND_AT = 48
const NONCE_AT = 56
const FLAGS_AT = 60

function accountRows(accounts: readonly Account[]): Uint8Array {
  const rows = new Uint8Array(accounts.length * ACCOUNT_BYTES)
  const view = new DataView(rows.buffer)
  for (const [i, account] of accounts.entries()) {
    const at = i * ACCOUNT_BYTES
    const { address, nextAddress } = account
    for (let byte = 0; byte < NEXT_ADDRESS_AT; byte++) {
      rows[at + byte] = address[byte] as number
      rows[at + NEXT_ADDRESS_AT + byte] = nextAddress[byte] as number
    }
    view.setBigUint64(at + BALANCE_AT, account.balance, true)
    view.setBigUint64(at + BOND_AT, account.bond, true)
    view.setUint32(at + NONCE_AT, account.nonce, true)
    view.setUint32(at + FLAGS_AT, account.flags, true)
  }
  return rows
}

function accountOfRow(bytes: Uint8Array): Account {
  if (bytes.length !== ACCOUNT_BYTES) throw new RangeError('an account has 64 bytes')
  return accountAmong(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0)
}

/** The account whose row begins at `at`; `view` shows the same bytes as `rows`. */
export function accountAmong(rows: Uint8Array, view: DataView, at: number): Account {
  return {
    // Copies: the row may be a view of a buffer that is used again.
    address: rows.slice(at, at + NEXT_ADDRESS_AT),
    nextAddress: rows.slice(at + NEXT_ADDRESS_AT, at + BALANCE_AT),
    balance: view.getBigUint64(at + BALANCE_AT, true),
    bond: view.getBigUint64(at + BOND_AT, true),
    nonce: view.getUint32(at + NONCE_AT, true),
    flags: view.getUint32(at + FLAGS_AT, true),
  }
}

/** The state's top container: the ten roots of PROTOCOL 2, then the peg's two tables. */
export const StateRootsType = new ContainerType(
  {
    accounts: Bytes32,
    nodes: Bytes32,
    rails: Bytes32,
    contracts: Bytes32,
    validators: Bytes32,
    delegations: Bytes32,
    epochs: Bytes32,
    mainHeaders: Bytes32,
    peg: Bytes32,
    globals: Bytes32,
    deposits: Bytes32,
    withdrawals: Bytes32,
  },
  { typeName: 'StateRoots' },
)
export const stateRootNames = [
  'accounts',
  'nodes',
  'rails',
  'contracts',
  'validators',
  'delegations',
  'epochs',
  'mainHeaders',
  'peg',
  'globals',
  'deposits',
  'withdrawals',
] as const

/** One entry of the stored state: null bytes delete it. Keys are ASCII. */
export interface StateChange {
  readonly key: string
  readonly bytes: Uint8Array | null
}

/** Entries of a side list (inventory, reward leaves) that one stored chunk holds. */
export const SIDE_LIST_CHUNK = 256
export const InventoryChunkType = new ListCompositeType(InventoryEntryType, SIDE_LIST_CHUNK)
export const RewardLeafType = new ContainerType({ node: Bytes20, fee: Units64 })
export const RewardChunkType = new ListCompositeType(RewardLeafType, SIDE_LIST_CHUNK)

/** First letter of a stored state key. */
export const stateTags = {
  accounts: 'a',
  nodes: 'n',
  rails: 'r',
  contracts: 'c',
  validators: 'v',
  delegations: 'd',
  epochs: 'e',
  mainHeaders: 'm',
  peg: 'p',
  globals: 'g',
  inventories: 'i',
  snapshots: 's',
  rewardLeaves: 'w',
  deposits: 't',
  withdrawals: 'x',
} as const

export function recordKey(table: TableName, index: number): string {
  return stateTags[table] + hex32(index)
}

/** Index of a record by its key, whose tag is known; undefined where it is no such key. */
export function indexOfRecordKey(key: string): number | undefined {
  if (key.length !== 9) return undefined
  let index = 0
  for (let at = 1; at < 9; at++) {
    const code = key.charCodeAt(at)
    const digit = code < 0x61 ? code - 0x30 : code - 0x61 + 10
    // Between the digits and the letters lie codes that give 10 to 48; letters give 10 to 15.
    if (digit < 0 || digit > 15 || (code < 0x61 && digit > 9)) return undefined
    index = index * 16 + digit
  }
  return index
}

/** A side list of the state: its tag and whose it is. */
export function inventoryKey(node: number): string {
  return stateTags.inventories + hex32(node)
}
export function snapshotKey(node: number, epoch: number): string {
  return stateTags.snapshots + hex32(node) + hex32(epoch)
}
export function rewardKey(epoch: number): string {
  return stateTags.rewardLeaves + hex32(epoch)
}
export function chunkKey(list: string, chunk: number): string {
  return list + hex32(chunk)
}

/** Fixed width, so that keys sort by number. */
function hex32(value: number): string {
  return value.toString(16).padStart(8, '0')
}
