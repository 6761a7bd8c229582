import { bytesEqual, bytesToHex, type Hex } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { isValidCertificate } from '../consensus/certificate.ts'
import type { VoteVerifier } from '../consensus/machine-interface.ts'
import { voteVerifier } from '../consensus/vote-verifier.ts'
import { blockHash } from '../types/block.ts'
import { type Certificate, type Header, VoteKind } from '../types/consensus-objects.ts'
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

/** The newest final header, reduced to what clients pace themselves by. */
export interface ChainHead {
  readonly height: number
  readonly epoch: number
  readonly timeMs: number
  /** Block hash, hex. */
  readonly hash: Hex
}

export function headOf({ header, hash }: FinalHeader): ChainHead {
  const { height, epoch, timeMs } = header
  return { height, epoch, timeMs, hash: bytesToHex(hash) }
}

/** Who can make a header final, and how their votes are checked. */
export interface Deciders {
  readonly epochBlocks: number
  readonly validators: ValidatorSet
  readonly crypto: VoteVerifier
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
  const { chainId, epochBlocks, validators } = rules
  if (!bytesEqual(header.chainId, chainId)) {
    return fault('CHAIN_OTHER', 'the header is of another chain')
  }
  if (!bytesEqual(header.validatorsHash, rules.validatorsHash)) {
    return fault('VALIDATORS_OTHER', 'the header names other validators than this client knows')
  }
  const final = { header, hash: blockHash(header) }
  const crypto = voteVerifier(chainId)
  return checkCertificate(final, certificate, { epochBlocks, validators, crypto })
}

/** The same where chain and validators of the header are known to be these. */
export function checkCertificate(
  final: FinalHeader,
  certificate: Certificate,
  { epochBlocks, validators, crypto }: Deciders,
): Result<FinalHeader> {
  const { header, hash } = final
  const { statement } = certificate
  if (statement.kind !== VoteKind.finalize || statement.epoch !== header.epoch) {
    return fault('CERTIFICATE_WRONG', 'the certificate does not finalise a block of this epoch')
  }
  const isCheckpoint = header.height % epochBlocks === 0
  if (isCheckpoint ? statement.view < header.view : statement.view !== header.view) {
    return fault('CERTIFICATE_WRONG', 'the certificate is of another view')
  }
  if (!bytesEqual(statement.hash, hash)) {
    return fault('CERTIFICATE_WRONG', 'the certificate is of another block')
  }
  if (!isValidCertificate(certificate, validators, crypto)) {
    return fault('CERTIFICATE_WRONG', 'the certificate lacks a quorum of valid signatures')
  }
  return ok(final)
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
