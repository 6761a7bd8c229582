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
 * A node ends a rail with notice, or declares its bytes lost (PROTOCOL 6.5, 6.6). A node key has
 * no money of its own, so the byte fee is booked as debt like that of a proof.
 */
export function applyLeave(
  draft: LedgerDraft,
  { rail: index, lost }: Leave,
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
  const left = lost ? declareLost(draft, index, rail, context) : giveNotice(draft, index, context)
  if (!left.ok) return left
  const node = draft.nodes.get(nodeIndex)
  assert(node, 'a node index names no node')
  const debt = node.debt + byteFee(draft.params, context.bytes)
  draft.nodes.set(nodeIndex, { ...node, debt })
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
