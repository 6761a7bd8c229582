import { assert, sha256 } from '@ioex/chain/bytes'
import {
  acceptHeader,
  EpochHandoverType,
  hopEpoch,
  type ProvenRecord,
  type TrustedEpoch,
  verifyRecordAt,
} from '@ioex/chain/light'
import { StateProofType } from '@ioex/chain/state'
import { CertificateType, HeaderType } from '@ioex/chain/types'
import { chain, genesisOf } from '../chain/src/light/testing/certified-chain.ts'
import { type Bench, type Comparison, repeated, type Scale } from './comparison.ts'
import { inBrowser } from './light-browser.ts'
import { epochsOf, handoversOf, proofSetAt, quorumOf, validatorsOf } from './light-day.ts'
import { RAW_VERIFY, verifyRaw } from './raw-signatures.ts'

/** A header that a client does not know yet, and records under it: what one answer brings. */
function proofSet(scale: Scale): Comparison {
  const { accounts, header, certificate, found } = proofSetAt(5, scale)
  const validators = validatorsOf(scale)
  const trusted = genesisOf(validators)
  const asked = found.length
  const recordBytes = found.reduce((sum, { proven }) => sum + bytesOf(proven), 0)
  const headerBytes =
    HeaderType.serialize(header).length + CertificateType.serialize(certificate).length
  return {
    name: `chain/light::proof-set/accounts=${accounts}/records=${asked}/validators=${validators.length}`,
    unit: 'proof sets',
    work: 1,
    subject: repeated(() => {
      const accepted = acceptHeader(trusted, { header, certificate }, chain)
      assert(accepted.ok, 'the header is final')
      for (const { index, proven } of found) {
        const verified = verifyRecordAt(header.stateRoot, 'accounts', index, proven)
        assert(verified.ok, 'the record is proven')
      }
    }),
    against: { name: RAW_VERIFY, workload: repeated(() => verifyRaw(quorumOf(validators))) },
    result: sha256(CertificateType.serialize(certificate)),
    facts: { recordBytes: Math.round(recordBytes / asked), headerBytes },
  }
}

function bytesOf({ record, proof }: ProvenRecord): number {
  return record.length + StateProofType.serialize(proof).length
}

/** Following the main network for a day: 24 epochs, one handover each. */
function day(scale: Scale): Comparison {
  const epochs = epochsOf(scale)
  const handovers = handoversOf(scale)
  const validators = validatorsOf(scale)
  const start = genesisOf(validators)
  const bytes = handovers.map((each) => EpochHandoverType.serialize(each))
  return {
    name: `chain/light::follow/epochs=${epochs}/validators=${validators.length}`,
    unit: 'epochs',
    work: epochs,
    subject: repeated(() => {
      let trusted: TrustedEpoch = start
      for (const each of handovers) {
        const hopped = hopEpoch(trusted, each, chain)
        assert(hopped.ok, 'the epoch hands over')
        trusted = hopped.value
      }
    }),
    against: {
      name: RAW_VERIFY,
      workload: repeated(() => verifyRaw(quorumOf(validators) * epochs)),
    },
    result: sha256(...bytes),
    facts: { bytes: bytes.reduce((sum, { length }) => sum + length, 0) },
  }
}

export const lightClient: Bench = {
  name: 'light-client',
  about: 'headers and records against bare signature checks; a day in a browser beside Node',
  async *comparisons(scale) {
    yield proofSet(scale)
    yield day(scale)
    yield* inBrowser(scale)
  },
}
