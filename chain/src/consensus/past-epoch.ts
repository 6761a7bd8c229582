import { bytesToHex } from '../bytes/hex.ts'
import { type Certificate, VoteKind } from '../types/consensus-objects.ts'
import { isValidCertificate } from './certificate.ts'
import {
  type ChainLink,
  type ContradictingVotes,
  contradictionTo,
  guiltyVotes,
} from './fork-proof.ts'
import type { ConsensusCrypto, EpochSetup, EpochValidator } from './machine-interface.ts'
import type { MachineState } from './machine-state.ts'

/** What is kept of an epoch that is over, to tell a fork of it from its own history. */
export interface PastEpoch {
  readonly validators: readonly EpochValidator[]
  /** Finality of its last block. */
  readonly closing: Certificate
  /** Its chain in views above `linksAbove`, with the re-proposals of its last block. */
  readonly links: readonly ChainLink[]
  readonly linksAbove: number
}

/** The running epoch and those before it. */
export interface EpochSets {
  readonly machine: MachineState
  readonly past: ReadonlyMap<number, PastEpoch>
}

/** The machine that has ended keeps the newest links of its chain. */
export function pastEpochOf(machine: MachineState, closing: Certificate): PastEpoch {
  const { config, finalLinks, linksAbove, reproposals } = machine
  const hash = bytesToHex(closing.statement.hash)
  const again = [...reproposals].map(([view, justification]) => ({ view, hash, justification }))
  return {
    validators: config.setup.validators,
    closing,
    links: [...finalLinks, ...again],
    linksAbove,
  }
}

/** The set of an epoch that is running or still kept. */
export function validatorsOf(
  { machine, past }: EpochSets,
  epoch: number,
): readonly EpochValidator[] {
  const { setup } = machine.config
  return setup.epoch === epoch ? setup.validators : (past.get(epoch)?.validators ?? [])
}

/** After a restart, of the epoch before: how it ended, without the way there. */
export function epochBefore({ start, previousValidators }: EpochSetup): PastEpoch | undefined {
  const { certificate: closing } = start
  if (!closing) return undefined
  const linksAbove = closing.statement.view
  return { validators: previousValidators, closing, links: [], linksAbove }
}

/**
 * True for a claim that a block which is not on our chain became final in that epoch. Nothing is
 * verified yet. The epoch's last block has no children: above the view that closed it, nothing but
 * itself can become final.
 */
export function claimsFork(past: PastEpoch, { statement }: Certificate): boolean {
  const { kind, view, hash } = statement
  const { closing, links, linksAbove } = past
  const isKnown = view > linksAbove || view >= closing.statement.view
  if (kind !== VoteKind.finalize || !isKnown) return false
  const name = bytesToHex(hash)
  if (name === bytesToHex(closing.statement.hash)) return false
  return !links.some((link) => link.view === view && link.hash === name)
}

/** Who made a claim of claimsFork true; undefined if no quorum signed it. */
export function forkOf(
  past: PastEpoch,
  claim: Certificate,
  crypto: ConsensusCrypto,
): ContradictingVotes[] | undefined {
  const { validators, closing, links } = past
  if (!isValidCertificate(claim, validators, crypto)) return undefined
  const isBelow = claim.statement.view < closing.statement.view
  const [lower, higher] = isBelow ? [claim, closing] : [closing, claim]
  const other = contradictionTo(lower, higher, isBelow ? links : [])
  if (!other || !isValidCertificate(other, validators, crypto)) return []
  return guiltyVotes(lower, other)
}
