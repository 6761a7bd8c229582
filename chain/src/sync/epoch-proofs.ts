import { bytesEqual, bytesToHex, type Hex } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import { isValidCertificate } from '../consensus/certificate.ts'
import { isJustified } from '../consensus/justification.ts'
import type { ConsensusCrypto, EpochSetup, Reproposal } from '../consensus/machine-interface.ts'
import { checkpointHeight, type NetworkParams } from '../params/network-params.ts'
import type { Genesis } from '../rules/genesis-state.ts'
import { validatorSetOf } from '../rules/validator-set.ts'
import {
  appendHistory,
  emptyHistory,
  extendHistory,
  type History,
  historyRoot,
} from '../state/history-list.ts'
import { blockHash } from '../types/block.ts'
import { type Certificate, type Header, VoteKind } from '../types/consensus-objects.ts'
import { EPOCH_PROOF_BYTES_MAX, type EpochProof, EpochProofType } from '../types/epoch-proof.ts'
import { type ValidatorSet, validatorSetHash } from '../types/validator-set.ts'

/** An epoch whose end is proven: all that a verifier carries from one epoch to the next. */
export interface TrustedEpoch {
  readonly epoch: number
  readonly header: Header
  readonly hash: Hex
  /** The set of the epoch after it. */
  readonly validators: ValidatorSet
  /** Hashes of all blocks before its header. */
  readonly history: History
}

export interface HopContext {
  readonly chainId: Uint8Array
  readonly params: NetworkParams
  readonly crypto: ConsensusCrypto
}

/** Where every chain of epoch proofs starts: genesis closes epoch 0. */
export function genesisEpoch({ block, hash, ledger }: Genesis): TrustedEpoch {
  return {
    epoch: 0,
    header: block.header,
    hash: bytesToHex(hash),
    validators: validatorSetOf(ledger, 1) ?? [],
    history: emptyHistory(),
  }
}

export function decodeEpochProof(bytes: Uint8Array): Result<EpochProof> {
  return decodeCanonical(EpochProofType, bytes, EPOCH_PROOF_BYTES_MAX)
}

/**
 * One hop: an untrusted proof of the epoch after a trusted one. The set that the trusted header
 * committed to must have made the new header final, the new header's history must hold the
 * trusted one, and the next set is taken by its hash. One certificate, whatever the epoch's length.
 * Faults with EPOCH_PLACE, EPOCH_SET, EPOCH_CERTIFICATE, EPOCH_REPROPOSAL or EPOCH_HISTORY.
 */
export function verifyEpochHop(
  trusted: TrustedEpoch,
  proof: EpochProof,
  context: HopContext,
): Result<TrustedEpoch> {
  const { header, certificate, nextValidators } = proof
  const { chainId, params, crypto } = context
  const epoch = trusted.epoch + 1
  const isPlaced = header.epoch === epoch && header.height === checkpointHeight(params, epoch)
  if (!isPlaced || !bytesEqual(header.chainId, chainId)) {
    return fault('EPOCH_PLACE', `this is not the last block of epoch ${epoch} of this chain`)
  }
  if (
    !bytesEqual(header.validatorsHash, trusted.header.nextValidatorsHash) ||
    !bytesEqual(validatorSetHash(nextValidators), header.nextValidatorsHash)
  ) {
    return fault('EPOCH_SET', 'a validator set is not the one that a header commits to')
  }
  const hash = blockHash(header)
  if (!isFinalityOf(certificate, header, hash, trusted.validators, crypto)) {
    return fault('EPOCH_CERTIFICATE', 'the finality certificate of the epoch does not verify')
  }
  const links = { header, certificate, reproposals: proof.reproposals }
  if (!areReproposalsJustified(links, trusted.validators, crypto)) {
    return fault('EPOCH_REPROPOSAL', 'a re-proposal of the last block is not justified')
  }
  const history = extendHistory(
    appendHistory(trusted.history, blockHash(trusted.header)),
    header.height,
    proof.history,
  )
  if (!history || !bytesEqual(historyRoot(history), header.historyRoot)) {
    return fault('EPOCH_HISTORY', 'the header does not stand on the checkpoint before it')
  }
  return ok({ epoch, header, hash: bytesToHex(hash), validators: nextValidators, history })
}

/** True iff the certificate makes this header final under the set of its epoch. */
export function isFinalityOf(
  certificate: Certificate,
  header: Header,
  hash: Uint8Array,
  validators: ValidatorSet,
  crypto: ConsensusCrypto,
): boolean {
  const { kind, epoch, view, hash: certified } = certificate.statement
  return (
    kind === VoteKind.finalize &&
    epoch === header.epoch &&
    view >= header.view &&
    bytesEqual(certified, hash) &&
    isValidCertificate(certificate, validators, crypto)
  )
}

export interface ReproposedBlock {
  readonly header: Header
  readonly certificate: Certificate
  readonly reproposals: readonly Reproposal[]
}

/**
 * True iff the links, oldest first, lead up to the view of the certificate, each standing on the
 * same block in the view below with all views between skipped. Oldest ones may be missing: a node
 * that only saw the certificate has none.
 */
export function areReproposalsJustified(
  { header, certificate, reproposals }: ReproposedBlock,
  validators: ValidatorSet,
  crypto: ConsensusCrypto,
): boolean {
  const parentHash = bytesToHex(certificate.statement.hash)
  const setup: EpochSetup = {
    epoch: header.epoch,
    validators,
    previousValidators: [],
    start: { hash: parentHash, header, certificate },
    lastHeight: header.height,
  }
  const context = { setup, crypto, known: () => undefined }
  let view: number | undefined
  for (const link of reproposals) {
    const parentView = link.justification.parent[0]?.statement.view ?? 0
    if (parentView < header.view || parentView < 1) return false
    if (view !== undefined && parentView !== view) return false
    if (!isJustified(link.justification, { view: link.view, parentView, parentHash }, context)) {
      return false
    }
    view = link.view
  }
  return view === undefined || view === certificate.statement.view
}
