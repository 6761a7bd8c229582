import { publicKeyOf, sign, signingDigest } from '../../bytes/signature.ts'
import { sha256 } from '../../bytes/hash.ts'
import { utf8ToBytes } from '../../bytes/hex.ts'
import { assembleCertificate } from '../../consensus/certificate.ts'
import { blockHash } from '../../types/block.ts'
import {
  type Certificate,
  type Header,
  HeaderType,
  StatementType,
  VoteKind,
} from '../../types/consensus-objects.ts'
import { type ValidatorSet, validatorSetHash } from '../../types/validator-set.ts'
import { type EpochHandover, trustCheckpoint, type TrustedEpoch } from '../epoch-hops.ts'
import type { FinalHeader } from '../finality.ts'

/** A validator of a test with its secret. */
export interface Signer {
  readonly secret: Uint8Array
  readonly weight: number
}

export const CHAIN_ID = sha256(utf8ToBytes('light tests'))
export const EPOCH_BLOCKS = 10
export const chain = { chainId: CHAIN_ID, epochBlocks: EPOCH_BLOCKS }

export function signer(name: string, weight = 1): Signer {
  return { secret: sha256(utf8ToBytes(name)), weight }
}

export function setOf(signers: readonly Signer[]): ValidatorSet {
  return signers.map(({ secret, weight }) => ({ publicKey: publicKeyOf(secret), weight }))
}

/** A header at a height, by the set of its epoch, naming the next one. */
export function headerAt(
  height: number,
  signers: readonly Signer[],
  next: readonly Signer[] = signers,
  fields: Partial<Header> = {},
): Header {
  return {
    ...HeaderType.defaultValue(),
    version: 1,
    chainId: CHAIN_ID,
    epoch: height === 0 ? 0 : Math.floor((height - 1) / EPOCH_BLOCKS) + 1,
    view: height,
    height,
    timeMs: 1_700_000_000_000 + height * 1000,
    validatorsHash: validatorSetHash(setOf(signers)),
    nextValidatorsHash: validatorSetHash(setOf(next)),
    ...fields,
  }
}

/** Finality by the given members of the set; default all. */
export function certify(
  header: Header,
  signers: readonly Signer[],
  who: readonly number[] = signers.map((_, index) => index),
): Certificate {
  const hash = blockHash(header)
  const statement = { kind: VoteKind.finalize, epoch: header.epoch, view: header.view, hash }
  const digest = signingDigest('vote', CHAIN_ID, StatementType.hashTreeRoot(statement))
  const votes = new Map(
    who.map((validator) => {
      const signature = sign(digest, (signers[validator] as Signer).secret)
      return [validator, { statement, validator, signature }]
    }),
  )
  return assembleCertificate(statement, votes, signers.length)
}

/** How `epoch` of these signers hands over to the next. */
export function handover(
  epoch: number,
  signers: readonly Signer[],
  next: readonly Signer[] = signers,
): EpochHandover {
  const header = headerAt(epoch * EPOCH_BLOCKS, signers, next)
  const nextValidators = next === signers ? [] : [setOf(next)]
  return { header, certificate: certify(header, signers), nextValidators }
}

export function finalOf(header: Header): FinalHeader {
  return { header, hash: blockHash(header) }
}

/** Trust in the genesis of these signers. */
export function genesisOf(signers: readonly Signer[]): TrustedEpoch {
  const trusted = trustCheckpoint(finalOf(headerAt(0, signers)), setOf(signers))
  if (!trusted.ok) throw new Error(trusted.fault.message)
  return trusted.value
}
