import { fault, ok, parseHex, type Result } from '@ioex/chain/bytes'
import type { BlockBranch, ProvenRecord } from '@ioex/chain/light'
import { stateRootNames } from '@ioex/chain/state'
import type { ListProofJson, StateProofJson } from '../contract/json-forms.ts'

/** The largest record: a node with a full resolution log. */
const RECORD_BYTES_MAX = 1024 * 1024
const HASH_BYTES = 32

/** A state proof of an answer in the form in which it is verified. */
export function readStateProof(json: StateProofJson): Result<ProvenRecord> {
  const table = stateRootNames.indexOf(json.table as (typeof stateRootNames)[number])
  if (table < 0) return fault('PROOF_SHAPE', `the state has no table "${json.table}"`)
  const record = parseHex(json.record, RECORD_BYTES_MAX)
  if (!record.ok) return record
  const branch = readHashes(json.branch)
  if (!branch.ok) return branch
  const { index, count } = json
  return ok({ record: record.value, proof: { table, index, count, branch: branch.value } })
}

/** Place and path of an element in its block's list. */
export function readBlockBranch({ index, branch }: ListProofJson): Result<BlockBranch> {
  const hashes = readHashes(branch)
  return hashes.ok ? ok({ index, branch: hashes.value }) : hashes
}

export function readHashes(texts: readonly string[]): Result<Uint8Array[]> {
  const hashes: Uint8Array[] = []
  for (const text of texts) {
    const hash = parseHex(text, HASH_BYTES)
    if (!hash.ok) return hash
    if (hash.value.length !== HASH_BYTES) return fault('PROOF_SHAPE', 'a hash has 32 bytes')
    hashes.push(hash.value)
  }
  return ok(hashes)
}
