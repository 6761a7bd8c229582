import { bytesToHex } from '@ioex/chain/bytes'
import type { ProvenRecord } from '@ioex/chain/light'
import { type RecordPlace, stateRootNames } from '@ioex/chain/state'
import { HeaderType } from '@ioex/chain/types'
import type { StateProofJson, StateProofsJson } from '../contract/json-forms.ts'
import { certificateHex } from './block-handlers.ts'
import type { CertifiedHeader, LedgerSource } from './ledger-source.ts'

/** Proofs of records of the newest final state, with the header they stand under. */
export function proveState(ledger: LedgerSource, places: readonly RecordPlace[]): StateProofsJson {
  const { at, records } = ledger.prove(places)
  return { ...headerJson(at), records: records.map((each) => (each ? recordJson(each) : null)) }
}

/** The proofs as an optional field of an answer. */
export function withProof(
  ledger: LedgerSource,
  prove: boolean | undefined,
  places: readonly RecordPlace[],
): { proof?: StateProofsJson } {
  return prove ? { proof: proveState(ledger, places) } : {}
}

export function headerJson({ header, certificate }: CertifiedHeader) {
  return {
    height: header.height,
    header: bytesToHex(HeaderType.serialize(header)),
    certificate: certificateHex(certificate),
  }
}

function recordJson({ record, proof }: ProvenRecord): StateProofJson {
  return {
    table: stateRootNames[proof.table] as string,
    index: proof.index,
    count: proof.count,
    branch: proof.branch.map((hash) => bytesToHex(hash)),
    record: bytesToHex(record),
  }
}
