import { assert } from '../bytes/assert.ts'
import { addressOf } from '../bytes/signature.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { ReceiptKind } from '../types/receipts.ts'
import { NONE, type Rail } from '../types/records.ts'
import type { TransactionContext } from './block-context.ts'
import { dropInventory } from './inventory.ts'
import { contractOf, nodeOf } from './rail-terms.ts'
import { forfeitBurn } from './settlement.ts'

/** True where the rail's hold is lost as soon as it is booked (PROTOCOL 7). */
export function isHoldForfeit(draft: LedgerDraft, rail: Readonly<Rail>): boolean {
  return rail.lostEpoch !== NONE || nodeOf(draft, rail).evicted
}

/**
 * Takes away what a rail holds: ceil(30 %) of its total forfeits burns, the rest goes to its
 * contract's pot, which pays for the repair. Held is per rail and booked by differences, so that
 * it can neither be dodged by redeeming late nor diluted by one's own rails.
 */
export function forfeitHeld(
  draft: LedgerDraft,
  railIndex: number,
  context: TransactionContext,
): void {
  const rail = draft.rails.get(railIndex)
  assert(rail, 'a rail index names no rail')
  const amount = rail.held - rail.forfeited
  if (amount === 0n) return
  const { params } = draft
  const burned = forfeitBurn(params, rail.held) - forfeitBurn(params, rail.forfeited)
  const toPot = amount - burned
  const contract = contractOf(draft, rail)
  assert(contract, 'only a rail of a contract holds pay')
  draft.contracts.set(rail.contract, {
    ...contract,
    pot: contract.pot + toPot,
    potHeld: contract.potHeld + toPot,
  })
  const globals = draft.globals()
  draft.setGlobals({ ...globals, burnedForfeit: globals.burnedForfeit + burned })
  draft.rails.set(railIndex, { ...rail, forfeited: rail.held })
  const node = nodeOf(draft, rail)
  draft.nodes.set(rail.node, { ...node, held: node.held - amount })
  context.emit({
    selector: ReceiptKind.eviction,
    value: {
      node: addressOf(node.nodeKey),
      epoch: context.epoch,
      strikes: node.strikes,
      rail: railIndex,
      contract: rail.contract,
      held: amount,
      burned,
      toPots: toPot,
    },
  })
}

/**
 * Evicts a node: its weights leave, it is never challenged, filled or proven again. What its
 * rails hold is forfeit from now on and moves as each rail is next touched, so that one eviction
 * costs the same however many rails the node had.
 */
export function evictNode(
  draft: LedgerDraft,
  nodeIndex: number,
  context: TransactionContext,
): void {
  dropInventory(draft, nodeIndex, context.epoch)
  const node = draft.nodes.get(nodeIndex)
  assert(node && !node.evicted, 'a node is evicted once')
  const ended = { evicted: true, evictedEpoch: context.epoch, challenge: NONE, snapshots: [] }
  draft.nodes.set(nodeIndex, { ...node, ...ended })
  draft.setInventorySnapshots(nodeIndex, [])
  context.emit({
    selector: ReceiptKind.eviction,
    value: {
      node: addressOf(node.nodeKey),
      epoch: context.epoch,
      strikes: node.strikes,
      rail: NONE,
      contract: NONE,
      held: node.held,
      burned: 0n,
      toPots: 0n,
    },
  })
}
