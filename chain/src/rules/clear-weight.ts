import { assert } from '../bytes/assert.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { NONE, type Node, type Rail } from '../types/records.ts'
import type { ClearWeight } from '../types/transactions.ts'
import type { TransactionContext } from './block-context.ts'
import { forfeitHeld } from './held-pay.ts'
import { setWeight } from './inventory.ts'
import { askOf, closingResolution, nodeOf, railWeight, stopOf } from './rail-terms.ts'
import { touchNode } from './touch-node.ts'

/**
 * Sets the weight of a rail that can no longer earn to 0, once, for free, by anyone (PROTOCOL
 * 6.1): otherwise ended rails with huge prices, whose bytes cost nothing, would dilute the
 * openings. Changes neither its stop nor its grace. Of an evicted node, whose weights are gone,
 * it books what the rail held into its contract's pot.
 */
export function applyClearWeight(
  draft: LedgerDraft,
  { rail: index }: ClearWeight,
  context: TransactionContext,
): Result<undefined> {
  const rail = draft.rails.get(index)
  if (!rail?.live) return fault('RAIL_UNKNOWN', 'there is no such rail', { rail: index })
  const node = touchNode(draft, rail.node, context)
  if (!node.evicted) {
    const isOwn = draft.nodeIndex(context.senderAddress) === rail.node
    return clearRail(draft, index, isOwn, context)
  }
  if (!holdsForfeitedPay(rail)) return nothingToClear(index)
  draft.rails.set(index, { ...rail, clearedEpoch: context.epoch })
  forfeitHeld(draft, index, context)
  return ok()
}

/** Of an evicted node's rail: held pay that did not go to its contract's pot yet. */
export function holdsForfeitedPay(rail: Readonly<Rail>): boolean {
  return rail.live && rail.clearedEpoch === NONE && rail.held !== rail.forfeited
}

/**
 * Clears the weight of a rail whose node was touched. `isOwn`: the node itself asks; it may do so
 * as soon as nothing of the rail is unresolved, so that an honest node always has a snapshot
 * between the end of a rail and the first proof that drawing it would spoil.
 */
export function clearRail(
  draft: LedgerDraft,
  index: number,
  isOwn: boolean,
  context: TransactionContext,
): Result<undefined> {
  const rail = draft.rails.get(index)
  assert(rail, 'a rail index names no rail')
  if (!isCounted(rail)) return nothingToClear(index)
  const node = nodeOf(draft, rail)
  const mayClear = isSpent(draft, node, rail, context.epoch)
  if (!mayClear && !(isOwn && isResolved(draft, node, rail, context.epoch))) {
    return fault('RAIL_EARNING', 'the rail can still earn, so its weight stays', { rail: index })
  }
  draft.rails.set(index, { ...rail, clearedEpoch: context.epoch })
  setWeight(draft, rail.node, rail.entry, 0n, 0, context.epoch)
  return ok()
}

/** True where nothing of the rail is paid in the node's running interval: its stop <= A - W. */
export function isSpent(
  draft: LedgerDraft,
  node: Readonly<Node>,
  rail: Readonly<Rail>,
  nowEpoch: number,
): boolean {
  const stop = stopOf(node.log, rail, askOf(draft, rail, nowEpoch))
  return stop <= node.A - draft.params.proofWindowEpochs
}

/** True where every epoch up to its stop is resolved and, if asked, its closing resolution. */
function isResolved(
  draft: LedgerDraft,
  node: Readonly<Node>,
  rail: Readonly<Rail>,
  nowEpoch: number,
): boolean {
  const ask = askOf(draft, rail, nowEpoch)
  if (stopOf(node.log, rail, ask) > node.A) return false
  return !ask || closingResolution(draft, node.log, rail, ask) !== undefined
}

/** True while the rail's weight is in its node's inventory. */
function isCounted(rail: Readonly<Rail>): boolean {
  return rail.clearedEpoch === NONE && rail.lostEpoch === NONE && railWeight(rail) > 0n
}

/**
 * Whether a node that passes its open challenge of `challenge` now may name the rail in the
 * proof's `clear`. It should name every such rail: drawn W epochs later it would spoil a proof.
 * @param node the node as replayed to now
 */
export function isClearedByProof(
  draft: LedgerDraft,
  node: Readonly<Node>,
  rail: Readonly<Rail>,
  challenge: number,
  nowEpoch: number,
): boolean {
  if (!rail.live || node.evicted || !isCounted(rail)) return false
  const resolution = { epoch: challenge, A: challenge, P: node.P, passed: true }
  const passed = { ...node, A: challenge, log: [...node.log, resolution] }
  return isResolved(draft, passed, rail, nowEpoch)
}

function nothingToClear(rail: number) {
  return fault('NOTHING_TO_CLEAR', 'the weight of the rail is gone already', { rail })
}
