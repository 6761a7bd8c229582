import { ContainerType, ListCompositeType } from '@chainsafe/ssz'
import { hashPairs } from '../bytes/dense-tree.ts'
import { HASH_BYTES } from '../bytes/hash.ts'
import { Bytes20, Bytes32, Units64 } from '../types/primitives.ts'
import {
  type Account,
  AccountType,
  type Contract,
  ContractType,
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
} from '../types/records.ts'

/** What each dense table of the state holds. */
export interface TableRecords {
  accounts: Account
  nodes: Node
  rails: Rail
  contracts: Contract
  validators: Validator
  epochs: Epoch
  mainHeaders: MainHeaderRecord
}
export type TableName = keyof TableRecords

export const tableNames = [
  'accounts',
  'nodes',
  'rails',
  'contracts',
  'validators',
  'epochs',
  'mainHeaders',
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
    serialize: (record) => AccountType.serialize(record),
    deserialize: (bytes) => AccountType.deserialize(bytes),
    // The leaf is the root of the record as 64 bytes, not of the container (PROTOCOL 2).
    hashTreeRoot: (record) => hashPairs(AccountType.serialize(record)),
  },
  nodes: codec(NodeType),
  rails: codec(RailType),
  contracts: codec(ContractType),
  validators: codec(ValidatorType),
  epochs: codec(EpochType),
  mainHeaders: codec(MainHeaderRecordType),
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

/** Leaves of many records of one table; accounts are hashed in one batch. */
export function recordLeaves<K extends TableName>(
  table: K,
  records: readonly TableRecords[K][],
): Uint8Array[] {
  const { serialize, hashTreeRoot } = recordCodecs[table]
  if (table !== 'accounts') {
    // Records are immutable values: one that stands at many places is hashed once.
    const roots = new Map<TableRecords[K], Uint8Array>()
    for (const record of records) {
      if (!roots.has(record)) roots.set(record, hashTreeRoot(record))
    }
    return records.map((record) => roots.get(record) as Uint8Array)
  }
  const rows = new Uint8Array(records.length * ACCOUNT_BYTES)
  for (const [i, record] of records.entries()) rows.set(serialize(record), i * ACCOUNT_BYTES)
  const leaves = hashPairs(rows)
  return records.map((_, i) => leaves.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES))
}

export const ACCOUNT_BYTES = 64

/** The state's top container: ten roots in this order (PROTOCOL 2). */
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
] as const
export type StateRootName = (typeof stateRootNames)[number]

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
  epochs: 'e',
  mainHeaders: 'm',
  peg: 'p',
  globals: 'g',
  inventories: 'i',
  snapshots: 's',
  rewardLeaves: 'w',
} as const

export function recordKey(table: TableName, index: number): string {
  return stateTags[table] + hex32(index)
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
