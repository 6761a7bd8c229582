import { bytesToHex, type Hex } from '../bytes/hex.ts'
import {
  type Certificate,
  type Justification,
  type Statement,
  VoteKind,
} from '../types/consensus-objects.ts'
import { isSameCertificate, isValidCertificate } from './certificate.ts'
import type { EpochSetup, VoteVerifier } from './machine-interface.ts'

/** Where a proposal wants to stand: its view and the certified view and block below it. */
export interface Slot {
  readonly view: number
  readonly parentView: number
  readonly parentHash: Hex
}

export interface JustificationContext {
  readonly setup: EpochSetup
  readonly crypto: VoteVerifier
  /** A certificate already checked for the same statement; saves checking the same bytes again. */
  known(statement: Statement): Certificate | undefined
}

/**
 * True iff a block may stand in the slot (consensus 1.5, notarize): its parent is certified and
 * every view between has a nullify certificate, in ascending order. At view 0 the parent is the
 * last block of the previous epoch with its finality certificate; genesis needs none.
 */
export function isJustified(
  justification: Justification,
  slot: Slot,
  context: JustificationContext,
): boolean {
  const { view, parentView } = slot
  if (parentView < 0 || parentView >= view) return false
  if (justification.skips.length !== view - parentView - 1) return false
  if (!isParentCertified(justification.parent, slot, context)) return false
  return justification.skips.every(
    (skip, i) =>
      skip.statement.kind === VoteKind.nullify &&
      skip.statement.view === parentView + 1 + i &&
      isCertified(skip, context),
  )
}

function isParentCertified(
  parent: readonly Certificate[],
  { parentView, parentHash }: Slot,
  context: JustificationContext,
): boolean {
  const [certificate] = parent
  if (parentView === 0) return isStartCertified(certificate, parentHash, context)
  if (!certificate) return false
  const { kind, view, hash } = certificate.statement
  return (
    (kind === VoteKind.notarize || kind === VoteKind.finalize) &&
    view === parentView &&
    bytesToHex(hash) === parentHash &&
    isCertified(certificate, context)
  )
}

function isStartCertified(
  certificate: Certificate | undefined,
  parentHash: Hex,
  { setup, crypto }: JustificationContext,
): boolean {
  const { start } = setup
  if (parentHash !== start.hash) return false
  if (!start.certificate) return certificate === undefined
  if (!certificate) return false
  if (isSameCertificate(certificate, start.certificate)) return true
  const { kind, epoch, hash } = certificate.statement
  return (
    kind === VoteKind.finalize &&
    epoch === setup.epoch - 1 &&
    bytesToHex(hash) === start.hash &&
    isValidCertificate(certificate, setup.previousValidators, crypto)
  )
}

function isCertified(certificate: Certificate, context: JustificationContext): boolean {
  const { setup, crypto } = context
  if (certificate.statement.epoch !== setup.epoch) return false
  const known = context.known(certificate.statement)
  if (known && isSameCertificate(known, certificate)) return true
  return isValidCertificate(certificate, setup.validators, crypto)
}
