import { ContainerType, ListCompositeType, type ValueOf } from '@chainsafe/ssz'
import {
  ACCOUNT_BYTES,
  RewardLeafType,
  StateRootsType,
  tableNames,
} from '../state/record-tables.ts'
import { Bytes32, byteList, Count64, U32, Weight128 } from '../types/primitives.ts'
import { InventoryEntryType } from '../types/records.ts'

/** Peg and globals in serialized form: the globals' lists of freed indexes are the most of it. */
const SINGLE_BYTES_MAX = 1024 * 1024
export const MANIFEST_BYTES_MAX = 2 * SINGLE_BYTES_MAX

/** A chunk of accounts is 2^14 records of 64 bytes, one MiB; others are about as large. */
const CHUNK_RECORDS_MAX = 2 ** 14
const RECORD_BYTES_MAX = 1024 * 1024
export const CHUNK_BYTES_MAX = 4 * CHUNK_RECORDS_MAX * ACCOUNT_BYTES
const BRANCH_MAX = 32

/**
 * What a snapshot holds, provable against the stateRoot of its checkpoint by itself: the ten roots,
 * each table's count and the node under its count, the two single records.
 */
export const SnapshotManifestType = new ContainerType(
  {
    epoch: Count64,
    roots: StateRootsType,
    /** In the order of tableNames. */
    tables: new ListCompositeType(
      new ContainerType({ count: U32, top: Bytes32 }),
      Math.max(16, tableNames.length),
    ),
    peg: byteList(SINGLE_BYTES_MAX),
    globals: byteList(SINGLE_BYTES_MAX),
  },
  { typeName: 'SnapshotManifest' },
)
export type SnapshotManifest = ValueOf<typeof SnapshotManifestType>

/** Records of one table from a multiple of the table's chunk on, with the path to its top. */
export const RecordChunkType = new ContainerType({
  records: new ListCompositeType(byteList(RECORD_BYTES_MAX), CHUNK_RECORDS_MAX),
  branch: new ListCompositeType(Bytes32, BRANCH_MAX),
})

/** Entries of an inventory, with the path to the root in the node's record. */
export const INVENTORY_SLICE_LEVEL = 13
export const InventoryChunkSliceType = new ContainerType({
  entries: new ListCompositeType(InventoryEntryType, 2 ** INVENTORY_SLICE_LEVEL),
  path: new ListCompositeType(new ContainerType({ hash: Bytes32, sum: Weight128 }), BRANCH_MAX),
})

/** Leaves of an epoch's reward tree, with the path to the root in the epoch's record. */
export const RewardSliceType = new ContainerType({
  fees: new ListCompositeType(RewardLeafType, CHUNK_RECORDS_MAX),
  branch: new ListCompositeType(Bytes32, BRANCH_MAX),
})
