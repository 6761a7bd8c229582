import { assert } from '../bytes/assert.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { U64_MAX } from '../types/primitives.ts'
import { NONE, type Rail } from '../types/records.ts'
import { type TopUp, TopUpKind } from '../types/transactions.ts'
import { debit } from './accounts.ts'
import type { TransactionContext } from './block-context.ts'
import { isFillOver } from './contract-end.ts'
import { setWeight } from './inventory.ts'
import { askOf, isStorageRail, liveContract, liveRail, nodeOf, railWeight } from './rail-terms.ts'
import { epochsOf } from './settle-rail.ts'
import { timeAmount } from './settlement.ts'
import { touchNode } from './touch-node.ts'

/**
 * Adds to a lock of a rail or to a contract's pot; anyone may pay (PROTOCOL 6.7, 7). Time is
 * named in epochs, which also works at price 0. Never against the node's will: not after ask,
 * leave, loss or the end of the grace.
 */
export function applyTopUp(
  draft: LedgerDraft,
  topUp: TopUp,
  context: TransactionContext,
): Result<undefined> {
  if (topUp.amount === 0n) return fault('AMOUNT_ZERO', 'a topUp adds at least one')
  if (topUp.kind === TopUpKind.contractPot) return topUpPot(draft, topUp, context)
  const found = liveRail(draft, topUp.target, topUp.generation)
  if (!found.ok) return found
  touchNode(draft, found.value.node, context)
  const rail = draft.rails.get(topUp.target)
  assert(rail, 'a rail index names no rail')
  const allowed = checkRunning(draft, rail, context)
  if (!allowed.ok) return allowed
  if (topUp.kind === TopUpKind.railEpochs) return topUpEpochs(draft, topUp, rail, context)
  if (topUp.kind === TopUpKind.railUnits) return topUpUnits(draft, topUp, rail, context)
  return fault('TOP_UP_KIND', 'a topUp adds epochs, units or to a pot', { kind: topUp.kind })
}

function checkRunning(
  draft: LedgerDraft,
  rail: Readonly<Rail>,
  context: TransactionContext,
): Result<undefined> {
  const isEnding = rail.left || rail.lostEpoch !== NONE || nodeOf(draft, rail).evicted
  const isOver = context.epoch >= rail.end + draft.params.graceEpochs
  if (!isEnding && !isOver && !askOf(draft, rail, context.epoch)) return ok()
  return fault('RAIL_CLOSING', 'the rail is ending: open a new one', { end: rail.end })
}

function topUpEpochs(
  draft: LedgerDraft,
  topUp: TopUp,
  rail: Readonly<Rail>,
  context: TransactionContext,
): Result<undefined> {
  if (!isStorageRail(rail)) return fault('TOP_UP_KIND', 'a relay rail is not paid by time')
  const { termMaxEpochs } = draft.params
  if (BigInt(rail.term) + topUp.amount > BigInt(termMaxEpochs)) {
    return fault('CONTRACT_TERM', `a term has at most ${termMaxEpochs} epochs`, {
      term: rail.term,
    })
  }
  const epochs = Number(topUp.amount)
  const term = rail.term + epochs
  const lockTime = timeAmount(rail.price, rail.leaves, term)
  if (lockTime + rail.lockUnits > U64_MAX) {
    return fault('AMOUNT_TOO_LARGE', 'the locks of the rail exceed 64 bits')
  }
  const paid = debit(draft, context.senderAddress, lockTime - rail.lockTime)
  if (!paid.ok) return paid
  if (rail.clearedEpoch !== NONE) bringBack(draft, topUp.target, context)
  const renewed = draft.rails.get(topUp.target)
  assert(renewed, 'a rail index names no rail')
  draft.rails.set(topUp.target, { ...renewed, term, lockTime, end: renewed.end + epochs })
  return ok()
}

/**
 * A rail whose weight was cleared comes back into the inventory as if it were filled now: what it
 * earned is carried over, and nothing counts until a snapshot holds it again.
 */
function bringBack(draft: LedgerDraft, index: number, context: TransactionContext): void {
  const rail = draft.rails.get(index)
  assert(rail, 'a rail index names no rail')
  const earned = epochsOf(draft, rail, context.epoch)
  draft.rails.set(index, {
    ...rail,
    carriedE: earned.E,
    carriedElapsed: earned.elapsed,
    fillEpoch: context.epoch,
    end: context.epoch + 1,
    clearedEpoch: NONE,
    base: NONE,
    baseProven: 0,
  })
  setWeight(draft, rail.node, rail.entry, railWeight(rail), 0, context.epoch)
}

function topUpUnits(
  draft: LedgerDraft,
  topUp: TopUp,
  rail: Readonly<Rail>,
  context: TransactionContext,
): Result<undefined> {
  const lockUnits = rail.lockUnits + topUp.amount
  if (lockUnits + rail.lockTime > U64_MAX) {
    return fault('AMOUNT_TOO_LARGE', 'the locks of the rail exceed 64 bits')
  }
  const paid = debit(draft, context.senderAddress, topUp.amount)
  if (!paid.ok) return paid
  draft.rails.set(topUp.target, { ...rail, lockUnits })
  return ok()
}

function topUpPot(
  draft: LedgerDraft,
  topUp: TopUp,
  context: TransactionContext,
): Result<undefined> {
  const found = liveContract(draft, topUp.target, topUp.generation)
  if (!found.ok) return found
  const contract = found.value
  if (contract.askEpoch !== NONE || isFillOver(draft, contract, context.epoch)) {
    return fault('CONTRACT_CLOSING', 'the contract is closing')
  }
  const pot = contract.pot + topUp.amount
  if (pot > U64_MAX) return fault('AMOUNT_TOO_LARGE', 'the pot exceeds 64 bits')
  const paid = debit(draft, context.senderAddress, topUp.amount)
  if (!paid.ok) return paid
  draft.contracts.set(topUp.target, { ...contract, pot })
  return ok()
}
