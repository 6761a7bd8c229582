import { fault, ok, type Result } from '../bytes/result.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import type { Evict } from '../types/transactions.ts'
import type { TransactionContext } from './block-context.ts'
import { touchNode } from './touch-node.ts'

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
