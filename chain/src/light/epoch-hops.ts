import { ContainerType, ListCompositeType, type ValueOf } from '@chainsafe/ssz'
import { bytesToHex, bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { signersOf } from '../consensus/certificate.ts'
import type { NetworkParams } from '../params/network-params.ts'
import { type Certificate, CertificateType, HeaderType } from '../types/consensus-objects.ts'
import { type ValidatorSet, validatorSetHash, ValidatorSetType } from '../types/validator-set.ts'
import {
  type ChainRules,
  checkFinality,
  checkValidatorSet,
  type FinalHeader,
  type FinalityRules,
} from './finality.ts'

/**
 * How one epoch hands over to the next: its last header, final by the epoch's own validators,
 * and the set that decides next, left out where it is the same. The short form of EpochProofType,
 * which full nodes keep: that one adds what fork choice and accountability need.
 */
export const EpochHandoverType = new ContainerType(
  {
    header: HeaderType,
    certificate: CertificateType,
    nextValidators: new ListCompositeType(ValidatorSetType, 1),
  },
  { typeName: 'EpochHandover' },
)
export type EpochHandover = ValueOf<typeof EpochHandoverType>
/** Longest serialized epoch proof: 100 validators sign, and 100 others follow. */
export const HANDOVER_BYTES_MAX = 16 * 1024

/** Where a light client stands: who decides an epoch, and the newest header behind that. */
export interface TrustedEpoch {
  readonly epoch: number
  readonly validators: ValidatorSet
  readonly validatorsHash: Uint8Array
  /** Final header of this epoch, or of the checkpoint before it. */
  readonly newest: FinalHeader
}

/** A header from outside with what proves it final. */
export interface CertifiedTarget {
  readonly header: FinalHeader['header']
  readonly certificate: Certificate
  /** The set of the header's epoch, as the same source names it. */
  readonly validators: ValidatorSet
}

/**
 * Age up to which a trusted header may be skipped from, milliseconds: 2/3 of the least time for
 * which stake that left can still be slashed, one FINAL anchor and the epochs behind it.
 */
export function trustingMs(params: NetworkParams): number {
  const { anchorFinalMainBlocks, mainBlockMs, unbondingEpochs, epochBlocks } = params
  const epochMs = epochBlocks * params.blockIntervalMs
  return Math.floor((2 * (anchorFinalMainBlocks * mainBlockMs + unbondingEpochs * epochMs)) / 3)
}

export interface SkipRules {
  /** Now, milliseconds since 1970. */
  readonly nowMs: number
  /** Age up to which the trusted header may be skipped from: 2/3 of the unbonding time. */
  readonly trustingMs: number
  /** How far ahead of our clock a header may be. */
  readonly aheadMs: number
  /** Part of the trusted weight that must have signed: a third at least, two thirds advised. */
  readonly overlap: 'third' | 'two-thirds'
}

/** Trust in a checkpoint whose next set is known: genesis, or an operator's own word. */
export function trustCheckpoint(
  newest: FinalHeader,
  nextValidators: ValidatorSet,
): Result<TrustedEpoch> {
  const { epoch, nextValidatorsHash } = newest.header
  const validators = checkValidatorSet(nextValidators, nextValidatorsHash)
  if (!validators.ok) return validators
  return ok({
    epoch: epoch + 1,
    validators: validators.value,
    validatorsHash: nextValidatorsHash,
    newest,
  })
}

/** What judges headers of the epoch that is trusted. */
export function rulesOf(trusted: TrustedEpoch, chain: ChainRules): FinalityRules {
  const { validators, validatorsHash } = trusted
  return { ...chain, validators, validatorsHash }
}

/** Accepts a certified header of the trusted epoch. */
export function acceptHeader(
  trusted: TrustedEpoch,
  target: Pick<CertifiedTarget, 'header' | 'certificate'>,
  chain: ChainRules,
): Result<TrustedEpoch> {
  if (target.header.epoch !== trusted.epoch) {
    return fault('EPOCH_OTHER', `the header is of epoch ${target.header.epoch}`)
  }
  const final = checkFinality(target.header, target.certificate, rulesOf(trusted, chain))
  if (!final.ok) return final
  const isNewer = final.value.header.height > trusted.newest.header.height
  return ok(isNewer ? { ...trusted, newest: final.value } : trusted)
}

/** Sequential hop: from who decides epoch e to who decides epoch e + 1. */
export function hopEpoch(
  trusted: TrustedEpoch,
  proof: EpochHandover,
  chain: ChainRules,
): Result<TrustedEpoch> {
  const { header, certificate } = proof
  if (header.epoch !== trusted.epoch || header.height !== trusted.epoch * chain.epochBlocks) {
    return fault('EPOCH_OTHER', `the header does not close epoch ${trusted.epoch}`)
  }
  const final = checkFinality(header, certificate, rulesOf(trusted, chain))
  if (!final.ok) return final
  const [next] = proof.nextValidators
  // One encoding for one handover: a set that stays is not repeated.
  if (next && bytesEqual(header.nextValidatorsHash, header.validatorsHash)) {
    return fault('VALIDATORS_OTHER', 'the set does not change, yet the proof carries one')
  }
  return trustCheckpoint(final.value, next ?? trusted.validators)
}

/**
 * Skipping hop: accepts a header of a later epoch directly, when enough of the trusted weight
 * signed it, its own set is final on it, and the trusted header is young enough that whoever
 * signed can still be punished.
 */
export function skipEpochs(
  trusted: TrustedEpoch,
  target: CertifiedTarget,
  chain: ChainRules,
  skip: SkipRules,
): Result<TrustedEpoch> {
  const { header, certificate } = target
  const from = trusted.newest.header
  if (header.epoch <= trusted.epoch || header.height <= from.height) {
    return fault('EPOCH_OTHER', 'a skip leads to a later epoch')
  }
  if (header.timeMs <= from.timeMs || header.timeMs > skip.nowMs + skip.aheadMs) {
    return fault('HEADER_TIME', 'the header is older than the trusted one, or of the future')
  }
  const ageMs = skip.nowMs - from.timeMs
  if (ageMs > skip.trustingMs) {
    return fault('TRUST_EXPIRED', 'the trusted header is too old to skip from: hop by epochs', {
      ageMs,
      trustingMs: skip.trustingMs,
    })
  }
  const validators = checkValidatorSet(target.validators, header.validatorsHash)
  if (!validators.ok) return validators
  const { validatorsHash } = header
  const final = checkFinality(header, certificate, {
    ...chain,
    validators: validators.value,
    validatorsHash,
  })
  if (!final.ok) return final
  if (!overlaps(trusted.validators, target, skip.overlap)) {
    return fault('OVERLAP_SMALL', 'too little of the trusted weight signed the header')
  }
  const { epoch } = header
  return ok({ epoch, validators: validators.value, validatorsHash, newest: final.value })
}

/** More than the asked part of the trusted weight signed; a key counts once. */
function overlaps(
  trusted: ValidatorSet,
  { certificate, validators }: CertifiedTarget,
  part: SkipRules['overlap'],
): boolean {
  const weights = new Map(trusted.map(({ publicKey, weight }) => [bytesToHex(publicKey), weight]))
  const total = trusted.reduce((sum, { weight }) => sum + weight, 0)
  let signed = 0
  for (const index of signersOf(certificate)) {
    const signer = validators[index]
    const key = signer && bytesToHex(signer.publicKey)
    if (key === undefined) continue
    signed += weights.get(key) ?? 0
    weights.delete(key)
  }
  return 3 * signed > (part === 'third' ? 1 : 2) * total
}

/** The proof that closes an epoch; undefined where the next set is not the committed one. */
export function handoverOf(
  { header, certificate }: Pick<CertifiedTarget, 'header' | 'certificate'>,
  nextValidators: ValidatorSet | undefined,
): EpochHandover | undefined {
  const stays = bytesEqual(header.nextValidatorsHash, header.validatorsHash)
  if (!nextValidators) return stays ? { header, certificate, nextValidators: [] } : undefined
  const isCommitted = bytesEqual(validatorSetHash(nextValidators), header.nextValidatorsHash)
  if (!isCommitted) return undefined
  return { header, certificate, nextValidators: stays ? [] : [nextValidators] }
}
