import { compareBytes, bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { addressOf } from '../bytes/signature.ts'
import { recordCodecs, type TableName, type TableRecords } from '../state/record-tables.ts'
import { type StateProof, verifyRecord } from '../state/state-proof.ts'
import {
  type Account,
  AccountType,
  type Globals,
  GlobalsType,
  type Node,
  type Peg,
  PegType,
} from '../types/records.ts'

/** Bytes of a record with the path that shows them under a stateRoot. */
export interface ProvenRecord {
  readonly record: Uint8Array
  readonly proof: StateProof
}

/**
 * The record that stands at `index` of a table; undefined where the proof, of the table's last
 * record, shows that the table ends before it.
 */
export function verifyRecordAt<K extends TableName>(
  stateRoot: Uint8Array,
  table: K,
  index: number,
  { record, proof }: ProvenRecord,
): Result<TableRecords[K] | undefined> {
  const stands = verifyRecord(stateRoot, table, record, proof)
  if (!stands.ok) return stands
  if (proof.index === index) return ok(recordCodecs[table].deserialize(record))
  const isEnd = proof.index === proof.count - 1 && proof.count <= index
  return isEnd ? ok(undefined) : fault('RECORD_OTHER', 'the proof is of another record')
}

/**
 * The account of an address; undefined where the proof, of the account before it in order,
 * shows that the next one is behind it, so that none stands between.
 */
export function verifyAccount(
  stateRoot: Uint8Array,
  address: Uint8Array,
  { record, proof }: ProvenRecord,
): Result<Account | undefined> {
  const stands = verifyRecord(stateRoot, 'accounts', record, proof)
  if (!stands.ok) return stands
  const account = AccountType.deserialize(record)
  if (bytesEqual(account.address, address)) return ok(account)
  return isBetween(account.address, address, account.nextAddress)
    ? ok(undefined)
    : fault('RECORD_OTHER', 'the proof is of another account')
}

/** Strictly between two neighbours of the circle; alone in it, an account is its own neighbour. */
function isBetween(before: Uint8Array, address: Uint8Array, next: Uint8Array): boolean {
  const isAfter = compareBytes(before, address) < 0
  const isAhead = compareBytes(address, next) < 0
  return compareBytes(before, next) < 0 ? isAfter && isAhead : isAfter || isAhead
}

/** The node whose key has this address. */
export function verifyNode(
  stateRoot: Uint8Array,
  nodeAddress: Uint8Array,
  { record, proof }: ProvenRecord,
): Result<{ index: number; record: Node }> {
  const stands = verifyRecord(stateRoot, 'nodes', record, proof)
  if (!stands.ok) return stands
  const node = recordCodecs.nodes.deserialize(record)
  return bytesEqual(addressOf(node.nodeKey), nodeAddress)
    ? ok({ index: proof.index, record: node })
    : fault('RECORD_OTHER', 'the proof is of another node')
}

/** The globals: supply terms, position, main-chain tip. */
export function verifyGlobals(
  stateRoot: Uint8Array,
  { record, proof }: ProvenRecord,
): Result<Globals> {
  const stands = verifyRecord(stateRoot, 'globals', record, proof)
  return stands.ok ? ok(GlobalsType.deserialize(record)) : stands
}

/** The state of the bridge to the main chain. */
export function verifyPeg(stateRoot: Uint8Array, { record, proof }: ProvenRecord): Result<Peg> {
  const stands = verifyRecord(stateRoot, 'peg', record, proof)
  return stands.ok ? ok(PegType.deserialize(record)) : stands
}
