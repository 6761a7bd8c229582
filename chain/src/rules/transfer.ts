import { assert } from '../bytes/assert.ts'
import { bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { ZERO_ADDRESS } from '../types/primitives.ts'
import type { Transfer } from '../types/transactions.ts'
import { credit, debit } from './accounts.ts'
import type { TransactionContext } from './block-context.ts'
import { burnBaseFee } from './fees.ts'

/**
 * Moves units from the sender. A transfer to the address of a node key never lands there, since
 * a hot key holds no money (PROTOCOL 3): it pays the node's proof debt first, which burns as a
 * base fee (PROTOCOL 6.5), and the rest goes to the node's payout address.
 */
export function applyTransfer(
  draft: LedgerDraft,
  { to, amount }: Transfer,
  context: TransactionContext,
): Result<undefined> {
  if (amount === 0n) return fault('AMOUNT_ZERO', 'a transfer moves at least one unit')
  if (bytesEqual(to, ZERO_ADDRESS)) {
    return fault('ADDRESS_ZERO', 'nobody holds the key of the zero address')
  }
  const taken = debit(draft, context.senderAddress, amount)
  if (!taken.ok) return taken
  receiveUnits(draft, to, amount)
  return ok()
}

/** Units arrive at an address; at a node key's they pay its debt, then its payout address. */
export function receiveUnits(draft: LedgerDraft, to: Uint8Array, amount: bigint): void {
  const index = draft.nodeIndex(to)
  if (index === undefined) {
    credit(draft, to, amount)
    return
  }
  const node = draft.nodes.get(index)
  assert(node !== undefined, 'a node index names no node')
  const debtPaid = node.debt < amount ? node.debt : amount
  draft.nodes.set(index, { ...node, debt: node.debt - debtPaid })
  burnBaseFee(draft, debtPaid)
  credit(draft, node.payout, amount - debtPaid)
}
