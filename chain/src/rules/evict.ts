import { fault, ok, type Result } from '../bytes/result.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { NONE, type Node } from '../types/records.ts'
import type { Evict } from '../types/transactions.ts'
import type { TransactionContext } from './block-context.ts'
import { type ChallengeRecords, nodeAsTouched, touchNode } from './touch-node.ts'

/**
 * Evicts a node whose lapses, replayed to now, reach the limit. Anyone may send it, free, once
 * per node: it only says aloud what the log already holds.
 */
export function applyEvict(
  draft: LedgerDraft,
  evict: Evict,
  context: TransactionContext,
): Result<undefined> {
  const index = draft.nodeIndex(evict.node)
  if (index === undefined) return fault('NODE_UNKNOWN', 'no node has this key address')
  if (draft.nodes.get(index)?.evicted) return fault('NODE_EVICTED', 'the node is evicted already')
  const { evicted, strikes } = touchNode(draft, index, context)
  if (evicted) return ok()
  const { strikesToEvict } = draft.params
  return fault('STRIKES_TOO_FEW', `the node has ${strikes} of ${strikesToEvict} strikes`, {
    strikes,
    strikesToEvict,
  })
}

/**
 * Whether an eviction of the node would be accepted in this epoch. Costs nothing for nodes that
 * were heard of lately: each strike takes a whole window.
 */
export function isEvictable(
  records: ChallengeRecords,
  node: Readonly<Node>,
  nowEpoch: number,
): boolean {
  const { proofWindowEpochs, strikesToEvict } = records.params
  if (node.evicted) return false
  const undecided = node.challenge === NONE ? node.seen : Math.min(node.seen, node.challenge)
  const lapsesAtMost = Math.floor((nowEpoch - undecided) / proofWindowEpochs)
  if (node.strikes + lapsesAtMost < strikesToEvict) return false
  return nodeAsTouched(records, node, nowEpoch).evicted
}
