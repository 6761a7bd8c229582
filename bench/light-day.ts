import { assert, bytesToHex } from '@ioex/chain/bytes'
import { type EpochHandover, EpochHandoverType, type ProvenRecord } from '@ioex/chain/light'
import { StateProofType, StateProver, stateRoot } from '@ioex/chain/state'
import { type Certificate, CertificateType, type Header, HeaderType } from '@ioex/chain/types'
import { presets } from '@ioex/genesis/presets'
import { trustToJson } from '@ioex/rpc/client'
import {
  certify,
  chain,
  EPOCH_BLOCKS,
  genesisOf,
  handover,
  headerAt,
  type Signer,
  signer,
} from '../chain/src/light/testing/certified-chain.ts'
import { BaseLedger, emptyContent } from '../chain/src/state/base-ledger.ts'
import { type Scale, sized } from './comparison.ts'
import type { LightDay } from './light-page.ts'
import { seededBytes, seededIndexes } from './seeded.ts'

/** Of the main network. */
const VALIDATORS = 36
const EPOCHS_PER_DAY = 24
const ACCOUNT_BYTES = 64

export const validatorsOf = (scale: Scale): Signer[] =>
  Array.from({ length: sized(scale, 4, VALIDATORS) }, (_, i) => signer(`validator ${i}`))

/** How many of equal weight decide. */
export const quorumOf = (validators: readonly Signer[]) =>
  Math.floor((2 * validators.length) / 3) + 1

/** With no more signatures than are needed. */
function certified(header: Header, validators: readonly Signer[]): Certificate {
  return certify(header, validators, [...Array(quorumOf(validators)).keys()])
}

export const epochsOf = (scale: Scale) => sized(scale, 5, EPOCHS_PER_DAY)

export interface ProvenAccount {
  readonly index: number
  readonly proven: ProvenRecord
}

/** A certified header at a height, and some of the accounts under it with their proofs. */
export interface ProofSet {
  readonly accounts: number
  readonly header: Header
  readonly certificate: Certificate
  readonly found: readonly ProvenAccount[]
}

export function proofSetAt(height: number, scale: Scale): ProofSet {
  const accounts = sized(scale, 100, 100_000, 1_000_000)
  const content = { ...emptyContent(), accounts: seededBytes('accounts', accounts * ACCOUNT_BYTES) }
  const ledger = new BaseLedger(presets.main, new Uint8Array(32), content)
  const prover = new StateProver(ledger)
  const asked = seededIndexes('asked records', sized(scale, 4, 32), accounts)
  const found = asked.map((index) => {
    const proven = prover.prove({ table: 'accounts', index })
    assert(proven, 'the ledger has the record')
    return { index, proven }
  })
  const validators = validatorsOf(scale)
  const header = headerAt(height, validators, validators, { stateRoot: stateRoot(ledger) })
  return { accounts, header, certificate: certified(header, validators), found }
}

/** How each epoch of a day hands over to the next. */
export function handoversOf(scale: Scale): EpochHandover[] {
  const validators = validatorsOf(scale)
  return Array.from({ length: epochsOf(scale) }, (_, i) => {
    const whole = handover(i + 1, validators)
    return { ...whole, certificate: certified(whole.header, validators) }
  })
}

/** A day and a proof set under its newest header, as a client that was away gets them to read. */
export function lightDay(scale: Scale): LightDay {
  const height = epochsOf(scale) * EPOCH_BLOCKS + EPOCH_BLOCKS / 2
  const { header, certificate, found } = proofSetAt(height, scale)
  return {
    chainId: bytesToHex(chain.chainId),
    epochBlocks: EPOCH_BLOCKS,
    trust: trustToJson(genesisOf(validatorsOf(scale))),
    handovers: handoversOf(scale).map((each) => bytesToHex(EpochHandoverType.serialize(each))),
    tip: {
      height,
      header: bytesToHex(HeaderType.serialize(header)),
      certificate: bytesToHex(CertificateType.serialize(certificate)),
    },
    records: found.map(({ index, proven: { record, proof } }) => ({
      index,
      record: bytesToHex(record),
      proof: bytesToHex(StateProofType.serialize(proof)),
    })),
  }
}
