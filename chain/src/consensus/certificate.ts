import { assert } from '../bytes/assert.ts'
import { bytesEqual } from '../bytes/hex.ts'
import type { Certificate, Statement, Vote } from '../types/consensus-objects.ts'
import { isWellFormed } from '../types/contradiction.ts'
import type { EpochValidator, VoteVerifier } from './machine-interface.ts'
import { quorumOf } from './quorum.ts'

/** The only signature scheme so far: a list of secp256k1 ECDSA signatures. */
export const SCHEME_ECDSA_LIST = 1

/** Builds the certificate of one statement from votes of distinct validators. */
export function assembleCertificate(
  statement: Statement,
  votes: ReadonlyMap<number, Vote>,
  validatorCount: number,
): Certificate {
  const signers = new Uint8Array(Math.ceil(validatorCount / 8))
  const signatures: Uint8Array[] = []
  for (let index = 0; index < validatorCount; index++) {
    const vote = votes.get(index)
    if (!vote) continue
    signers[index >> 3] = (signers[index >> 3] as number) | (1 << (index & 7))
    signatures.push(vote.signature)
  }
  assert(signatures.length === votes.size, 'every vote of a certificate is of a known validator')
  return { scheme: SCHEME_ECDSA_LIST, statement, signers, signatures }
}

/** Validator indexes that signed, ascending: the participants of a parent's vote. */
export function signersOf(certificate: Certificate): number[] {
  const indexes: number[] = []
  for (let index = 0; index < certificate.signers.length * 8; index++) {
    if (((certificate.signers[index >> 3] as number) >> (index & 7)) & 1) indexes.push(index)
  }
  return indexes
}

/** The single votes of a certificate whose signers were checked to be in the set. */
export function votesOf(certificate: Certificate): Vote[] {
  return signersOf(certificate).map((validator, position) => ({
    statement: certificate.statement,
    validator,
    signature: certificate.signatures[position] as Uint8Array,
  }))
}

/** The single vote of one validator, if it is among the signers. */
export function voteOf(certificate: Certificate, validator: number): Vote | undefined {
  const { statement, signatures } = certificate
  const signature = signatures[signersOf(certificate).indexOf(validator)]
  return signature && { statement, validator, signature }
}

/**
 * True iff distinct validators of the set with weight >= q signed the statement. Cheap checks
 * come first; work grows with the signers up to the first bad signature.
 */
export function isValidCertificate(
  certificate: Certificate,
  validators: readonly EpochValidator[],
  crypto: VoteVerifier,
): boolean {
  const { statement, signers, signatures } = certificate
  if (certificate.scheme !== SCHEME_ECDSA_LIST || !isWellFormed(statement)) return false
  if (signers.length !== Math.ceil(validators.length / 8)) return false
  const indexes = signersOf(certificate)
  if (indexes.length !== signatures.length) return false
  let weight = 0
  for (const index of indexes) {
    const validator = validators[index]
    if (!validator) return false
    weight += validator.weight
  }
  if (weight < quorumOf(validators).quorum) return false
  return indexes.every((index, position) =>
    crypto.verify(
      statement,
      (validators[index] as EpochValidator).publicKey,
      signatures[position] as Uint8Array,
    ),
  )
}

/** Byte for byte the same, so that a check of one is a check of the other. */
export function isSameCertificate(a: Certificate, b: Certificate): boolean {
  return (
    a === b ||
    (a.scheme === b.scheme &&
      isSameStatement(a.statement, b.statement) &&
      bytesEqual(a.signers, b.signers) &&
      a.signatures.length === b.signatures.length &&
      a.signatures.every((signature, i) => bytesEqual(signature, b.signatures[i] as Uint8Array)))
  )
}

export function isSameStatement(a: Statement, b: Statement): boolean {
  return a.kind === b.kind && a.view === b.view && a.epoch === b.epoch && bytesEqual(a.hash, b.hash)
}

/** Upper bound of the serialized size, for filling a bounded message. */
export function certificateBytes(certificate: Certificate): number {
  return 80 + certificate.signers.length + 64 * certificate.signatures.length
}
