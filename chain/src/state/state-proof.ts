import { ContainerType, ListCompositeType, type ValueOf } from '@chainsafe/ssz'
import { countChunk, denseDepth, foldBranch } from '../bytes/dense-tree.ts'
import { bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import { Bytes32, U8, U32 } from '../types/primitives.ts'
import { GlobalsType, PegType } from '../types/records.ts'
import type { Ledger } from './ledger.ts'
import { stateRoots } from './ledger.ts'
import {
  ACCOUNT_BYTES,
  recordCodecs,
  stateRootNames,
  type TableName,
  tableNames,
} from './record-tables.ts'

/** Levels of the state's top container: twelve roots padded to sixteen. */
const TOP_DEPTH = 4
/** Levels of the largest table, the count and the top container. */
const BRANCH_MAX = 32 + 1 + TOP_DEPTH
/** The largest record: a node with a full resolution log. */
const RECORD_BYTES_MAX = 1024 * 1024

/**
 * Shows one record under a stateRoot: the path through its table, the table's count, the path
 * through the roots of all tables. `table` is the position in the container of PROTOCOL 2. The peg and
 * the globals are records of their own: index 0, count 0, no path through a table.
 */
export const StateProofType = new ContainerType(
  { table: U8, index: U32, count: U32, branch: new ListCompositeType(Bytes32, BRANCH_MAX) },
  { typeName: 'StateProof' },
)
export type StateProof = ValueOf<typeof StateProofType>

/** What can be proven: records of the tables, and the two that stand alone. */
export type ProvableName = TableName | 'peg' | 'globals'

export function isProvable(name: string): name is ProvableName {
  return name === 'peg' || name === 'globals' || isTable(name)
}

/** Proves a record of the committed state; undefined where there is none at this index. */
export function proveRecord(
  ledger: Ledger,
  table: ProvableName,
  index: number,
): StateProof | undefined {
  return proveUnder(ledger, orderedRoots(ledger), table, index)
}

/** The ten roots of the committed state, in the order of their container. */
export function orderedRoots(ledger: Ledger): Uint8Array[] {
  const roots = stateRoots(ledger)
  return stateRootNames.map((name) => roots[name])
}

/** As proveRecord, with the ten roots at hand. */
export function proveUnder(
  ledger: Ledger,
  roots: readonly Uint8Array[],
  table: ProvableName,
  index: number,
): StateProof | undefined {
  const position = stateRootNames.indexOf(table)
  const top = topBranch(roots, position)
  if (!isTable(table)) {
    return index === 0 ? { table: position, index, count: 0, branch: top } : undefined
  }
  const { tree } = ledger[table]
  if (!Number.isInteger(index) || index < 0 || index >= tree.count) return undefined
  const branch = [...tree.proof(index), ...top]
  return { table: position, index, count: tree.count, branch }
}

/**
 * Checks serialized bytes of a record against a stateRoot that the caller trusts, for instance
 * from a certified header. Faults with RECORD_MALFORMED or STATE_PROOF_WRONG.
 */
export function verifyRecord(
  stateRoot: Uint8Array,
  table: ProvableName,
  record: Uint8Array,
  proof: StateProof,
): Result<undefined> {
  const leaf = leafOf(table, record)
  if (!leaf.ok) return leaf
  const wrong = () => fault('STATE_PROOF_WRONG', 'the proof does not lead to the state root')
  if (stateRootNames[proof.table] !== table) return wrong()
  const depth = isTable(table) ? denseDepth(proof.count) + 1 : 0
  if (proof.branch.length !== depth + TOP_DEPTH) return wrong()
  if (isTable(table)) {
    const count = proof.branch[depth - 1]
    if (proof.index >= proof.count || !bytesEqual(count ?? leaf.value, countChunk(proof.count))) {
      return wrong()
    }
  } else if (proof.index !== 0 || proof.count !== 0) {
    return wrong()
  }
  const root = foldBranch(
    // Above a table the position is 0, so the count joins on the right as SSZ has it.
    foldBranch(leaf.value, proof.index, proof.branch.slice(0, depth)),
    proof.table,
    proof.branch.slice(depth),
  )
  return bytesEqual(root, stateRoot) ? ok() : wrong()
}

function leafOf(table: ProvableName, record: Uint8Array): Result<Uint8Array> {
  const malformed = () => fault('RECORD_MALFORMED', `these bytes are no record of ${table}`)
  if (table === 'peg') return singleLeaf(PegType, record)
  if (table === 'globals') return singleLeaf(GlobalsType, record)
  if (record.length > RECORD_BYTES_MAX) return malformed()
  if (table === 'accounts' && record.length !== ACCOUNT_BYTES) return malformed()
  return codecLeaf(table, record) ?? malformed()
}

function codecLeaf<K extends TableName>(table: K, record: Uint8Array) {
  const codec = recordCodecs[table]
  try {
    const value = codec.deserialize(record)
    return bytesEqual(codec.serialize(value), record) ? ok(codec.hashTreeRoot(value)) : undefined
  } catch {
    return undefined
  }
}

function singleLeaf(type: typeof PegType | typeof GlobalsType, record: Uint8Array) {
  const decoded = decodeCanonical<never>(type as never, record, RECORD_BYTES_MAX)
  return decoded.ok ? ok(type.hashTreeRoot(decoded.value)) : decoded
}

function isTable(name: string): name is TableName {
  return (tableNames as readonly string[]).includes(name)
}

/** Siblings of one of the roots up to the state root. */
function topBranch(roots: readonly Uint8Array[], position: number): Uint8Array[] {
  const branch: Uint8Array[] = []
  let row = [...roots]
  let at = position
  while (row.length < 2 ** TOP_DEPTH) row.push(new Uint8Array(32))
  while (row.length > 1) {
    branch.push(row[at ^ 1] as Uint8Array)
    const parents: Uint8Array[] = []
    for (let i = 0; i < row.length; i += 2) {
      parents.push(foldBranch(row[i] as Uint8Array, 0, [row[i + 1] as Uint8Array]))
    }
    row = parents
    at >>= 1
  }
  return branch
}
