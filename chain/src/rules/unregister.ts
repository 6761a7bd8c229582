import { assert } from '../bytes/assert.ts'
import { bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { addressOf } from '../bytes/signature.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { ReceiptKind } from '../types/receipts.ts'
import { NONE, type Node } from '../types/records.ts'
import { NodeRole, type Unregister } from '../types/transactions.ts'
import { credit } from './accounts.ts'
import type { TransactionContext } from './block-context.ts'
import { burnBaseFee } from './fees.ts'
import { EXIT_EPOCHS, isReleased } from './release-stake.ts'

/**
 * The owner gives up a node's roles of register and, sent again, gets its deposit back
 * (PROTOCOL 4). Between the two lies what lies between unbond and release (PROTOCOL 11): FINAL
 * anchors that commit to the exit. What the node owes for proofs is paid out of the deposit first.
 * Rails, held pay and proofs go on under the same key; a peer's role stays.
 */
export function applyUnregister(
  draft: LedgerDraft,
  { node: index }: Unregister,
  context: TransactionContext,
): Result<undefined> {
  const node = draft.nodes.get(index)
  if (!node || !bytesEqual(node.owner, context.senderAddress)) {
    return fault('NODE_UNKNOWN', 'the owner has no such node', { node: index })
  }
  if ((node.roles & (NodeRole.bootstrap | NodeRole.validator)) !== 0) {
    giveUp(draft, index, node, context)
    return ok()
  }
  return refund(draft, index, node, context)
}

function giveUp(
  draft: LedgerDraft,
  index: number,
  node: Readonly<Node>,
  context: TransactionContext,
): void {
  // As stake does: what the running and the next epoch were fixed with may still count on it.
  const exitEpoch = context.epoch + EXIT_EPOCHS
  draft.nodes.set(index, { ...node, roles: node.roles & NodeRole.peer, exitEpoch })
  tell(index, { ...node, exitEpoch }, { refund: 0n, debtPaid: 0n }, context)
}

function refund(
  draft: LedgerDraft,
  index: number,
  node: Readonly<Node>,
  context: TransactionContext,
): Result<undefined> {
  const { deposit, debt, exitEpoch, owner } = node
  if (deposit === 0n) {
    return fault('DEPOSIT_NONE', 'nothing is set aside for the node', { node: index })
  }
  assert(exitEpoch !== NONE, 'a deposit without roles has an exit')
  if (!isReleased(draft, exitEpoch)) {
    return fault('DEPOSIT_HELD', 'the anchors behind which a deposit is paid back are not final', {
      exitEpoch,
      lastFinalEpoch: draft.globals().lastFinalEpoch,
    })
  }
  const debtPaid = debt < deposit ? debt : deposit
  draft.nodes.set(index, { ...node, deposit: 0n, debt: debt - debtPaid })
  burnBaseFee(draft, debtPaid)
  credit(draft, owner, deposit - debtPaid)
  tell(index, node, { refund: deposit - debtPaid, debtPaid }, context)
  return ok()
}

function tell(
  index: number,
  { nodeKey, owner, exitEpoch }: Readonly<Node>,
  amounts: { readonly refund: bigint; readonly debtPaid: bigint },
  context: TransactionContext,
): void {
  const value = { node: addressOf(nodeKey), index, owner, exitEpoch, ...amounts }
  context.emit({ selector: ReceiptKind.unregister, value })
}
