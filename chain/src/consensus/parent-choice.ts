import { bytesToHex, type Hex } from '../bytes/hex.ts'
import {
  type Certificate,
  JUSTIFICATION_BYTES_MAX,
  type Justification,
  SKIPS_MAX,
} from '../types/consensus-objects.ts'
import { isHeld } from './block-tree.ts'
import { certificateBytes } from './certificate.ts'
import type { MachineState } from './machine-state.ts'

/** A block to build on, and why one may. */
export interface ParentChoice {
  readonly hash: Hex
  readonly view: number
  readonly justification: Justification
}

/**
 * Rule propose (consensus 1.6), choice of the parent: the highest notarized view below `view`
 * whose block is held, or the last final one, such that every view between has a nullify
 * certificate. Undefined: no such block, the leader stays silent and others skip it.
 */
export function chooseParent(state: MachineState, view: number): ParentChoice | undefined {
  const nearest = nearestParent(state, view)
  return nearest && roomUsed(nearest) <= 1 ? nearest : undefined
}

/**
 * How much of what a justification may hold the choice takes. Above 1 no block can stand there, and
 * as nothing but a block makes the gap shorter, none ever could again.
 */
export function roomUsed({ justification: { parent, skips } }: ParentChoice): number {
  let bytes = 0
  for (const certificate of [...parent, ...skips]) bytes += certificateBytes(certificate)
  return Math.max(skips.length / SKIPS_MAX, bytes / JUSTIFICATION_BYTES_MAX)
}

/** The parent that chooseParent looks for, however long the gap above it. */
export function nearestParent(state: MachineState, view: number): ParentChoice | undefined {
  const { start } = state.config.setup
  const skips: Certificate[] = []
  for (let below = view - 1; below > state.finalView; below--) {
    const round = state.rounds.get(below)
    const { notarized, nullified } = round ?? {}
    if (notarized && isHeld(state.tree, bytesToHex(notarized.statement.hash))) {
      return choice(bytesToHex(notarized.statement.hash), below, [notarized], skips)
    }
    if (!nullified) return undefined
    skips.push(nullified)
  }
  const { finalCertificate } = state
  if (finalCertificate) {
    const { hash, view: finalView } = finalCertificate.statement
    return choice(bytesToHex(hash), finalView, [finalCertificate], skips)
  }
  return choice(start.hash, 0, start.certificate ? [start.certificate] : [], skips)
}

function choice(
  hash: Hex,
  view: number,
  parent: Certificate[],
  skipsDescending: readonly Certificate[],
): ParentChoice {
  return { hash, view, justification: { parent, skips: skipsDescending.toReversed() } }
}
