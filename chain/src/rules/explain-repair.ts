import { assert } from '../bytes/assert.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import type { NetworkParams } from '../params/network-params.ts'
import { draftOf } from '../state/ledger.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { KIB_PER_GIB } from '../types/primitives.ts'
import {
  type DelegateFeeReceipt,
  RefillBy,
  type RefillReceipt,
  type RepairReceipt,
} from '../types/receipts.ts'
import { NONE, type SlotRepair } from '../types/records.ts'
import { isDrawn, lotteryDraw } from './challenge.ts'
import { lotteryStart } from './claim-slot.ts'
import { paidForRefill, refillBudget, vestedFee } from './contract-pot.ts'
import { silentContext } from './explain.ts'
import { repairBudgetKib, repairShares } from './redeem-repair.ts'
import { timeAmount } from './settlement.ts'
import { movableLock, openVacancy, type Vacancy } from './slot-vacancy.ts'

/** What a repair of an open slot has to go by. */
export interface RepairExplanation {
  readonly vacancy: Vacancy
  /** Number that the next grant or claim must bear, and what vouchers must bear until then. */
  readonly nextRefill: number
  readonly openRefill: number
  /** KiB that all serving rails may be paid for in all, and what they were. */
  readonly kibMax: number
  readonly kibPaid: number
  readonly repairs: readonly SlotRepair[]
  /** Units that they and the delegate's fee may cost the pot in all, and what was paid of it. */
  readonly budget: bigint
  readonly paid: bigint
  /** The pot, and the part of it that forfeited holds brought, spent first. Units. */
  readonly pot: bigint
  readonly potHeld: bigint
  /** Of the former rail's time lock: what the refill's locks may take. 0 where it was closed. */
  readonly movable: bigint
  /** First epoch in which the lottery is open; undefined for a slot that it does not draw for. */
  readonly lotteryFrom: number | undefined
}

/**
 * Everything that a refill of this slot in `nowEpoch` would be decided by. Writes nothing. Faults
 * as openVacancy does where the slot cannot be refilled.
 */
export function explainRepair(
  draft: LedgerDraft,
  contractIndex: number,
  slot: number,
  nowEpoch: number,
): Result<RepairExplanation> {
  if (!draft.contracts.get(contractIndex)?.live) {
    return fault('CONTRACT_UNKNOWN', 'there is no such contract', { contract: contractIndex })
  }
  const trial = draftOf(draft)
  const opened = openVacancy(trial, contractIndex, slot, silentContext(nowEpoch))
  if (!opened.ok) return opened
  const vacancy = opened.value
  const contract = trial.contracts.get(contractIndex)
  const place = contract?.rails[slot]
  assert(contract && place, 'an open slot is in its contract')
  const repairs = contract.repairs.filter((repair) => repair.slot === slot)
  const former = trial.rails.get(vacancy.formerRail)
  return ok({
    vacancy,
    nextRefill: place.refill + 1,
    openRefill: place.refill,
    kibMax: repairBudgetKib(contract),
    kibPaid: repairs.reduce((sum, { kib }) => sum + kib, 0),
    repairs,
    budget: refillBudget(trial, contract, slot),
    paid: paidForRefill(contract, slot),
    pot: contract.pot,
    potHeld: contract.potHeld,
    movable: former ? movableLock(trial, former, nowEpoch) : 0n,
    lotteryFrom: vacancy.since === NONE ? undefined : lotteryStart(trial, vacancy.since),
  })
}

/**
 * Recomputes a repair receipt from its own fields: served bytes within the budget, units within
 * their price, burn and share by differences of cumulative totals. Faults with REPAIR_BUDGET,
 * REPAIR_UNCOVERED, REPAIR_PRICE, REPAIR_SHARES or REPAIR_SOURCE.
 */
export function checkRepairReceipt(
  params: NetworkParams,
  receipt: RepairReceipt,
): Result<undefined> {
  const { kib, kibOfOthers, kibMax, paidTotal, fee, unitPrice } = receipt
  if (kib + kibOfOthers > kibMax) {
    return fault('REPAIR_BUDGET', 'more was paid for than one refill may cost', { kib, kibMax })
  }
  if (paidTotal + receipt.paidToOthers > receipt.budget) {
    const message = 'the pot paid more for the refill than the former rail forfeited'
    return fault('REPAIR_UNCOVERED', message, { paidTotal, budget: receipt.budget })
  }
  if (fee > paidTotal || paidTotal > (unitPrice * BigInt(kib)) / KIB_PER_GIB) {
    return fault('REPAIR_PRICE', 'more was paid than the served bytes cost', { paidTotal })
  }
  const before = repairShares(params, paidTotal - fee)
  const now = repairShares(params, paidTotal)
  const isShared =
    receipt.burned === now.burned - before.burned &&
    receipt.toValidators === now.validators - before.validators &&
    receipt.net === now.proceeds - before.proceeds
  if (!isShared) return fault('REPAIR_SHARES', 'burn, share and net are not those of the fee')
  if (receipt.fromHeld + receipt.fromPot === fee) return ok()
  return fault('REPAIR_SOURCE', 'what left the pot is not the fee', { fee })
}

/** A delegate was paid no more than vested. Faults with DELEGATE_FEE_VESTED. */
export function checkDelegateFeeReceipt(receipt: DelegateFeeReceipt): Result<undefined> {
  const { fee, E, vestingEpochs, paidTotal, fromHeld, fromPot } = receipt
  const vested = vestedFee(fee, E, vestingEpochs)
  if (paidTotal <= vested && fromHeld + fromPot <= paidTotal) return ok()
  return fault('DELEGATE_FEE_VESTED', 'more was paid than has vested', { paidTotal, vested })
}

/**
 * Recomputes a refill receipt: its time lock, what paid for both locks, and for a lottery the
 * draw. Faults with REFILL_LOCK, REFILL_FUNDS or REFILL_DRAW.
 * @param epoch in which it was booked
 */
export function checkRefillReceipt(
  params: NetworkParams,
  receipt: RefillReceipt,
  epoch: number,
): Result<undefined> {
  const { price, leaves, term, lockTime, lockUnits, fromFormer, fromPayer } = receipt
  if (lockTime !== timeAmount(price, leaves, term)) {
    return fault('REFILL_LOCK', 'the time lock is not price x leaves x term', { lockTime })
  }
  const isFromFormer = receipt.formerRail !== NONE
  const funded = fromFormer + fromPayer === lockTime + lockUnits
  if (!funded || (isFromFormer ? fromPayer : fromFormer) !== 0n) {
    return fault('REFILL_FUNDS', 'the locks are not what was moved into them', { fromFormer })
  }
  if (receipt.by !== RefillBy.lottery) return ok()
  const epochs = epoch - receipt.openSince - params.fillDeadlineEpochs
  const isOpen = receipt.nodes > 0 && epochs >= 0
  const drawn = isOpen && lotteryDraw({ ...receipt, epochs })
  if (drawn && drawn.draw === receipt.draw && drawn.chance === receipt.chance && isDrawn(drawn)) {
    return ok()
  }
  return fault('REFILL_DRAW', 'the node was not drawn by this beacon', {
    draw: receipt.draw,
    chance: receipt.chance,
  })
}
