import { assert } from '../bytes/assert.ts'
import { bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { ZERO_HASH } from '../types/primitives.ts'
import { type Contract, NONE, type Rail } from '../types/records.ts'
import type { TransactionContext } from './block-context.ts'
import { forfeitHeld, isHoldForfeit } from './held-pay.ts'
import { nodeOf } from './rail-terms.ts'
import { lossBound } from './resolution-log.ts'
import { minimumEpochs, timeAmount } from './settlement.ts'
import { touchNode } from './touch-node.ts'

/** Why a slot that was filled once is open for a refill. */
export interface Vacancy {
  readonly why: 'lost' | 'evicted' | 'left' | 'closed'
  /** The rail that still stands in the slot; NONE where it was closed. */
  readonly formerRail: number
  /** Epoch since which nobody stores the slot for it; a node that gave notice, until its end. */
  readonly since: number
}

/**
 * The vacancy of a slot (PROTOCOL 5.2): its rail was declared lost, its node was evicted or gave
 * notice, or its payer closed the rail. Undefined for one that is stored, was never filled, or
 * whose rail is being closed. Reads state only; the former node counts as evicted once a
 * transaction has said so.
 */
export function vacancyOf(
  draft: LedgerDraft,
  contract: Readonly<Contract>,
  slot: number,
): Vacancy | undefined {
  const place = contract.rails[slot]
  if (!place || bytesEqual(place.root, ZERO_HASH)) return undefined
  const { rail: formerRail } = place
  if (formerRail === NONE) return { why: 'closed', formerRail, since: NONE }
  const rail = draft.rails.get(formerRail)
  assert(rail?.live, 'a slot names no live rail')
  // Its payer wants the money back: what is left of its lock is no longer there for a refill.
  if (rail.askEpoch !== NONE) return undefined
  const { evicted, evictedEpoch } = nodeOf(draft, rail)
  const isLost = rail.lostEpoch !== NONE
  if (isLost && (!evicted || rail.lostEpoch <= evictedEpoch)) {
    return { why: 'lost', formerRail, since: rail.lostEpoch }
  }
  if (evicted) return { why: 'evicted', formerRail, since: evictedEpoch }
  return rail.left ? { why: 'left', formerRail, since: rail.end } : undefined
}

/**
 * The vacancy of a slot in a contract that goes on, its former node touched and what the former
 * rail holds in the pot, if it is forfeit. Faults with SLOT_UNKNOWN, CONTRACT_CLOSING,
 * CONTRACT_INACTIVE, SLOT_TAKEN or, for a slot that waits for its first fill, SLOT_EMPTY.
 */
export function openVacancy(
  draft: LedgerDraft,
  contractIndex: number,
  slot: number,
  context: TransactionContext,
): Result<Vacancy> {
  const contract = draft.contracts.get(contractIndex)
  assert(contract?.live, 'a contract index names no contract')
  const place = contract.rails[slot]
  if (!place) return fault('SLOT_UNKNOWN', `the contract has ${contract.n} slots`, { slot })
  if (bytesEqual(place.root, ZERO_HASH)) {
    return fault('SLOT_EMPTY', 'the slot was never filled', { slot })
  }
  if (contract.askEpoch !== NONE) {
    return fault('CONTRACT_CLOSING', 'the contract is closing')
  }
  const former = place.rail === NONE ? undefined : draft.rails.get(place.rail)
  if (former) touchNode(draft, former.node, context)
  const vacancy = vacancyOf(draft, contract, slot)
  if (!vacancy)
    return fault('SLOT_TAKEN', 'the slot is stored, or its rail is being closed', { slot })
  if (!contract.active) {
    return fault('CONTRACT_INACTIVE', 'slots are refilled once the contract is active')
  }
  const rail = draft.rails.get(vacancy.formerRail)
  if (rail && isHoldForfeit(draft, rail)) forfeitHeld(draft, vacancy.formerRail, context)
  return ok(vacancy)
}

/**
 * Units of the former rail's time lock that it can no longer come to owe, whatever its node does:
 * they pay for the refill. What it may still owe, phi of forfeited epochs included, stays.
 */
export function movableLock(draft: LedgerDraft, rail: Readonly<Rail>, nowEpoch: number): bigint {
  const epochs = Math.max(
    rail.carriedElapsed + elapsedMax(draft, rail, nowEpoch),
    minimumOf(draft, rail),
  )
  const owed = timeAmount(rail.price, rail.leaves, epochs)
  return rail.lockTime > owed ? rail.lockTime - owed : 0n
}

/** Most epochs since its fill that can still count as elapsed for a rail whose slot is open. */
function elapsedMax(draft: LedgerDraft, rail: Readonly<Rail>, nowEpoch: number): number {
  const node = nodeOf(draft, rail)
  let stop = rail.end
  if (node.evicted) stop = Math.min(stop, node.A)
  if (rail.lostEpoch !== NONE) {
    const { proofWindowEpochs } = draft.params
    const mayOpen = draft.epochs.get(nowEpoch)?.beaconHeight === 0 && nowEpoch === rail.lostEpoch
    const isOpen = node.challenge !== NONE && node.challenge <= rail.lostEpoch
    const bound =
      isOpen || mayOpen ? rail.lostEpoch + proofWindowEpochs : lossBound(node.log, rail.lostEpoch)
    stop = Math.min(stop, bound)
  }
  return Math.max(0, stop - rail.fillEpoch)
}

/** A closing resolution that it passed before it was evicted may make the minimum charge due. */
function minimumOf(draft: LedgerDraft, rail: Readonly<Rail>): number {
  return rail.left ? 0 : minimumEpochs(draft.params, rail)
}
