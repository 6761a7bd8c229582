import { bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { signingDigest, verifySignature } from '../bytes/signature.ts'
import { isValidCertificate } from '../consensus/certificate.ts'
import type { ConsensusCrypto } from '../consensus/machine-interface.ts'
import { blockHash } from '../types/block.ts'
import {
  type Certificate,
  type Header,
  type Statement,
  StatementType,
  VoteKind,
} from '../types/consensus-objects.ts'
import { type ValidatorSet, validatorSetHash } from '../types/validator-set.ts'

/** What never changes on a chain, as far as judging its headers goes. */
export interface ChainRules {
  readonly chainId: Uint8Array
  readonly epochBlocks: number
}

/** What a thin client holds to judge a header of one epoch. */
export interface FinalityRules extends ChainRules {
  /** The set that signs, in index order, and the header field that commits to it. */
  readonly validators: ValidatorSet
  readonly validatorsHash: Uint8Array
}

/** A header known to be final, with its hash. */
export interface FinalHeader {
  readonly header: Header
  readonly hash: Uint8Array
}

/**
 * Checks that a certificate makes the header final: a quorum q = floor(2W/3) + 1 of the set
 * signed "finalize" of its hash in its epoch and view. The last block of an epoch may have been
 * finalised in a later view (re-proposed until final), no other block may.
 */
export function checkFinality(
  header: Header,
  certificate: Certificate,
  rules: FinalityRules,
): Result<FinalHeader> {
  const { statement } = certificate
  if (!bytesEqual(header.chainId, rules.chainId)) {
    return fault('CHAIN_OTHER', 'the header is of another chain')
  }
  if (!bytesEqual(header.validatorsHash, rules.validatorsHash)) {
    return fault('VALIDATORS_OTHER', 'the header names other validators than this client knows')
  }
  if (statement.kind !== VoteKind.finalize || statement.epoch !== header.epoch) {
    return fault('CERTIFICATE_WRONG', 'the certificate does not finalise a block of this epoch')
  }
  const isCheckpoint = header.height % rules.epochBlocks === 0
  if (isCheckpoint ? statement.view < header.view : statement.view !== header.view) {
    return fault('CERTIFICATE_WRONG', 'the certificate is of another view')
  }
  const hash = blockHash(header)
  if (!bytesEqual(statement.hash, hash)) {
    return fault('CERTIFICATE_WRONG', 'the certificate is of another block')
  }
  if (!isValidCertificate(certificate, rules.validators, verifierOf(rules.chainId))) {
    return fault('CERTIFICATE_WRONG', 'the certificate lacks a quorum of valid signatures')
  }
  return ok({ header, hash })
}

/**
 * A set that came from outside: faults unless it hashes to what a header commits to and can
 * decide at all (weights from 1, no more than 32 bits in sum).
 */
export function checkValidatorSet(set: ValidatorSet, hash: Uint8Array): Result<ValidatorSet> {
  if (!bytesEqual(validatorSetHash(set), hash)) {
    return fault('VALIDATORS_OTHER', 'these are not the validators that the header commits to')
  }
  if (set.length === 0 || set.some(({ weight }) => weight < 1)) {
    return fault('VALIDATORS_EMPTY', 'a set of validators has members, and each has weight')
  }
  return ok(set)
}

/** Verifies votes; hashes the statement once for all signatures of a certificate. */
function verifierOf(chainId: Uint8Array): ConsensusCrypto {
  let last: { statement: Statement; digest: Uint8Array } | undefined
  const digestOf = (statement: Statement) => {
    if (last?.statement !== statement) {
      const root = StatementType.hashTreeRoot(statement)
      last = { statement, digest: signingDigest('vote', chainId, root) }
    }
    return last.digest
  }
  return {
    verify: (statement, publicKey, signature) =>
      verifySignature(signature, digestOf(statement), publicKey),
    sign: unused,
    hashHeader: unused,
    hashJustification: unused,
  }
}

function unused(): never {
  throw new Error('a thin client only verifies')
}
