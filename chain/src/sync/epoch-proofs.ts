import { bytesEqual, bytesToHex, fromHex, type Hex } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import { isJustified } from '../consensus/justification.ts'
import type { EpochSetup, Reproposal, VoteVerifier } from '../consensus/machine-interface.ts'
import { handoverOf, hopEpoch, type TrustedEpoch } from '../light/epoch-hops.ts'
import type { NetworkParams } from '../params/network-params.ts'
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
import type { Certificate, Header } from '../types/consensus-objects.ts'
import { EPOCH_PROOF_BYTES_MAX, type EpochProof, EpochProofType } from '../types/epoch-proof.ts'
import type { ValidatorSet } from '../types/validator-set.ts'

/** An epoch whose end is proven: all that a node carries from one epoch to the next. */
export interface ProvenEpoch {
  readonly epoch: number
  /** Its checkpoint. */
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
  readonly crypto: VoteVerifier
}

/** Where every chain of epoch proofs starts: genesis closes epoch 0. */
export function genesisEpoch({ block, hash, ledger }: Genesis): ProvenEpoch {
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
 * One hop: an untrusted proof of the epoch after a proven one. What a light client checks of an
 * epoch's end, and that the new header's history holds the proven checkpoint. One certificate,
 * whatever the epoch's length. Faults as `hopEpoch`, with EPOCH_REPROPOSAL or EPOCH_HISTORY.
 */
export function verifyEpochHop(
  proven: ProvenEpoch,
  proof: EpochProof,
  { chainId, params, crypto }: HopContext,
): Result<ProvenEpoch> {
  const { header, certificate, nextValidators } = proof
  const handover = handoverOf({ header, certificate }, nextValidators)
  if (!handover) {
    return fault('VALIDATORS_OTHER', 'the next set is not the one that the header commits to')
  }
  const chain = { chainId, epochBlocks: params.epochBlocks }
  const hop = hopEpoch(trustedOf(proven), handover, chain)
  if (!hop.ok) return hop
  const links = { header, certificate, reproposals: proof.reproposals }
  if (!areReproposalsJustified(links, proven.validators, crypto)) {
    return fault('EPOCH_REPROPOSAL', 'a re-proposal of the last block is not justified')
  }
  const history = extendHistory(
    appendHistory(proven.history, blockHash(proven.header)),
    header.height,
    proof.history,
  )
  if (!history || !bytesEqual(historyRoot(history), header.historyRoot)) {
    return fault('EPOCH_HISTORY', 'the header does not stand on the checkpoint before it')
  }
  const hash = bytesToHex(hop.value.newest.hash)
  return ok({ epoch: header.epoch, header, hash, validators: nextValidators, history })
}

/** The trust that a light client puts in the same checkpoint. */
function trustedOf({ epoch, header, hash, validators }: ProvenEpoch): TrustedEpoch {
  const newest = { header, hash: fromHex(hash) }
  return { epoch: epoch + 1, validators, validatorsHash: header.nextValidatorsHash, newest }
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
  crypto: VoteVerifier,
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
