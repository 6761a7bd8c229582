import type { Hex } from '../bytes/hex.ts'
import { trustingMs } from '../light/epoch-hops.ts'
import type { NetworkParams } from '../params/network-params.ts'
import type { ProvenBranch } from './epoch-branches.ts'
import type { ProvenEpoch } from './epoch-proofs.ts'
import type { AnchoredCheckpoint } from './fork-choice.ts'

/**
 * What an operator vouches for: a checkpoint that he compared with somebody, or, where all peers
 * are his own, any history that they prove.
 */
export type OperatorTrust = 'any' | { readonly epoch: number; readonly hash: Hex }

/**
 * Networks for development release stake within seconds, faster than an anchor can be confirmed.
 * Nearer than this, milliseconds, no anchor is late.
 */
const ANCHOR_AGE_MIN_MS = 3_600_000

/**
 * Age, milliseconds, up to which a checkpoint vouches for what its validators and their successors
 * certified: afterwards their stake may be gone, and their keys may sign another past for nothing.
 */
export function limitOfTrust(params: NetworkParams): number {
  return Math.max(trustingMs(params), ANCHOR_AGE_MIN_MS)
}

/**
 * The newest checkpoint of a branch that is anchored, else where it starts. One whose own time is
 * after `latestMs` does not count: old keys may write any time.
 */
export function newestTrusted(
  { epochs }: Pick<ProvenBranch, 'epochs'>,
  anchors: readonly AnchoredCheckpoint[],
  start: ProvenEpoch,
  latestMs: number,
): ProvenEpoch {
  const anchored = new Set(anchors.map(({ checkpoint }) => checkpoint))
  const isTrusted = ({ hash, header }: ProvenEpoch) =>
    anchored.has(hash) && header.timeMs <= latestMs
  return epochs.findLast(isTrusted) ?? start
}

/** The branches that lead through a checkpoint. */
export function provenBranches<B extends Pick<ProvenBranch, 'epochs'>>(
  branches: readonly B[],
  { epoch, hash }: Exclude<OperatorTrust, 'any'>,
): B[] {
  return branches.filter(({ epochs }) =>
    epochs.some((each) => each.epoch === epoch && each.hash === hash),
  )
}
