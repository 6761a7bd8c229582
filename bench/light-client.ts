import { assert, sha256 } from '@ioex/chain/bytes'
import {
  acceptHeader,
  type EpochHandover,
  EpochHandoverType,
  hopEpoch,
  type ProvenRecord,
  type TrustedEpoch,
  verifyRecordAt,
} from '@ioex/chain/light'
import { StateProofType, StateProver, stateRoot } from '@ioex/chain/state'
import { CertificateType, HeaderType } from '@ioex/chain/types'
import { presets } from '@ioex/genesis/presets'
import {
  certify,
  chain,
  genesisOf,
  handover,
  headerAt,
  type Signer,
  signer,
} from '../chain/src/light/testing/certified-chain.ts'
import { BaseLedger, emptyContent } from '../chain/src/state/base-ledger.ts'
import { type Bench, type Comparison, repeated, type Scale, sized } from './comparison.ts'
import { RAW_VERIFY, verifyRaw } from './raw-signatures.ts'
import { seededBytes, seededIndexes } from './seeded.ts'

const VALIDATORS = 36
const QUORUM = 25
const EPOCHS_PER_DAY = 24
const ACCOUNT_BYTES = 64

const validators: Signer[] = Array.from({ length: VALIDATORS }, (_, i) => signer(`validator ${i}`))
const signing = Array.from({ length: QUORUM }, (_, i) => i)

/** A header that a client does not know yet, and records under it: what one answer brings. */
function proofSet(scale: Scale): Comparison {
  const count = sized(scale, 100, 100_000, 1_000_000)
  const asked = sized(scale, 4, 32)
  const content = { ...emptyContent(), accounts: seededBytes('accounts', count * ACCOUNT_BYTES) }
  const ledger = new BaseLedger(presets.main, new Uint8Array(32), content)
  const prover = new StateProver(ledger)
  const indexes = seededIndexes('asked records', asked, count)
  const found = indexes.map((index) => {
    const proven = prover.prove({ table: 'accounts', index })
    assert(proven, 'the ledger has the record')
    return { index, proven }
  })
  const header = headerAt(5, validators, validators, { stateRoot: stateRoot(ledger) })
  const certificate = certify(header, validators, signing)
  const trusted = genesisOf(validators)
  const recordBytes = found.reduce((sum, { proven }) => sum + bytesOf(proven), 0)
  const headerBytes =
    HeaderType.serialize(header).length + CertificateType.serialize(certificate).length
  return {
    name: `chain/light::proof-set/accounts=${count}/records=${asked}/validators=${VALIDATORS}`,
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
    against: { name: RAW_VERIFY, workload: repeated(() => verifyRaw(QUORUM)) },
    result: sha256(CertificateType.serialize(certificate)),
    facts: { recordBytes: Math.round(recordBytes / asked), headerBytes },
  }
}

function bytesOf({ record, proof }: ProvenRecord): number {
  return record.length + StateProofType.serialize(proof).length
}

/** Following the main network for a day: 24 epochs, one handover each. */
function day(scale: Scale): Comparison {
  const epochs = sized(scale, 2, EPOCHS_PER_DAY)
  const handovers = Array.from({ length: epochs }, (_, i) => quorumHandover(i + 1))
  const start = genesisOf(validators)
  const bytes = handovers.map((each) => EpochHandoverType.serialize(each))
  return {
    name: `chain/light::follow/epochs=${epochs}/validators=${VALIDATORS}`,
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
    against: { name: RAW_VERIFY, workload: repeated(() => verifyRaw(QUORUM * epochs)) },
    result: sha256(...bytes),
    facts: { bytes: bytes.reduce((sum, { length }) => sum + length, 0) },
  }
}

function quorumHandover(epoch: number): EpochHandover {
  const whole = handover(epoch, validators)
  return { ...whole, certificate: certify(whole.header, validators, signing) }
}

export const lightClient: Bench = {
  name: 'light-client',
  about: 'a certified header with records, and a day of epochs, against bare signature checks',
  *comparisons(scale) {
    yield proofSet(scale)
    yield day(scale)
  },
}
