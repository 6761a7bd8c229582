import { assert } from '../bytes/assert.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { NONE, type Rail } from '../types/records.ts'
import type { Leave } from '../types/transactions.ts'
import type { TransactionContext } from './block-context.ts'
import { forfeitHeld } from './held-pay.ts'
import { setWeight } from './inventory.ts'
import { askOf, isStorageRail, railBytes } from './rail-terms.ts'
import { byteFee } from './settlement.ts'
import { touchNode } from './touch-node.ts'

/**
 * A node ends a rail with notice, or declares its bytes lost (PROTOCOL 6.5, 6.6), or says of a
 * closing rail that it was not paid to the end (PROTOCOL 8). A node key has no money of its own, so
 * the byte fee of the former two is booked as debt like that of a proof.
 */
export function applyLeave(
  draft: LedgerDraft,
  { rail: index, lost, unpaid }: Leave,
  context: TransactionContext,
): Result<undefined> {
  const nodeIndex = draft.nodeIndex(context.senderAddress)
  if (nodeIndex === undefined) return fault('NODE_UNKNOWN', 'no node has this key')
  if (touchNode(draft, nodeIndex, context).evicted) {
    return fault('NODE_EVICTED', 'an evicted node has nothing left to leave')
  }
  const rail = draft.rails.get(index)
  if (!rail?.live || rail.node !== nodeIndex) {
    return fault('RAIL_UNKNOWN', 'the node has no such rail', { rail: index })
  }
  if (unpaid) return sayUnpaid(draft, index, lost, context)
  const left = lost ? declareLost(draft, index, rail, context) : giveNotice(draft, index, context)
  if (!left.ok) return left
  const node = draft.nodes.get(nodeIndex)
  assert(node, 'a node index names no node')
  const debt = node.debt + byteFee(draft.params, context.bytes)
  draft.nodes.set(nodeIndex, { ...node, debt })
  return ok()
}

/**
 * The payer took a last step and did not sign for it: the price of a step will burn out of what
 * it would get back. Free, since it brings its node nothing, and once per rail.
 */
function sayUnpaid(
  draft: LedgerDraft,
  index: number,
  lost: boolean,
  context: TransactionContext,
): Result<undefined> {
  const rail = draft.rails.get(index)
  assert(rail, 'a rail index names no rail')
  if (lost) return fault('LEAVE_KIND', 'a leave is about lost bytes or about unpaid ones')
  if (!askOf(draft, rail, context.epoch) && context.epoch < rail.end) {
    return fault('RAIL_RUNNING', 'its payer can still sign: no close was asked', { rail: index })
  }
  if (rail.unpaid || (rail.unitPrice === 0n && rail.reservationPrice === 0n)) {
    return fault('NOTHING_UNPAID', 'that was said already, or the rail is free', { rail: index })
  }
  draft.rails.set(index, { ...rail, unpaid: true })
  return ok()
}

function giveNotice(
  draft: LedgerDraft,
  index: number,
  context: TransactionContext,
): Result<undefined> {
  const rail = draft.rails.get(index)
  assert(rail, 'a rail index names no rail')
  if (rail.left || rail.lostEpoch !== NONE || askOf(draft, rail, context.epoch)) {
    return fault('RAIL_CLOSING', 'the rail is ending already', { rail: index })
  }
  const end = Math.min(rail.end, context.epoch + draft.params.leaveNoticeEpochs)
  draft.rails.set(index, { ...rail, end, left: true })
  return ok()
}

/** The loss leaves the next snapshot; an open challenge still draws from its own. */
function declareLost(
  draft: LedgerDraft,
  index: number,
  rail: Readonly<Rail>,
  context: TransactionContext,
): Result<undefined> {
  if (!isStorageRail(rail) || rail.lostEpoch !== NONE) {
    return fault('NOTHING_TO_LOSE', 'the rail stores nothing, or is lost already', { rail: index })
  }
  const { epoch } = context
  draft.rails.set(index, { ...rail, lostEpoch: epoch, left: true })
  setWeight(draft, rail.node, rail.entry, 0n, -railBytes(rail), epoch)
  forfeitHeld(draft, index, context)
  return ok()
}
