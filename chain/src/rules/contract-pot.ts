import { assert } from '../bytes/assert.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { U64_MAX } from '../types/primitives.ts'
import { ReceiptKind } from '../types/receipts.ts'
import { type Contract, NONE, type SlotRepair } from '../types/records.ts'
import { ContractPolicy } from '../types/transactions.ts'
import { credit } from './accounts.ts'
import type { TransactionContext } from './block-context.ts'
import { contractOf } from './rail-terms.ts'

/** Where a payment out of a pot came from, units. */
export interface PotSpending {
  /** Forfeited holds. */
  readonly fromHeld: bigint
  /** The payer's own part. */
  readonly fromPot: bigint
}

/**
 * Takes units out of a contract's pot for its repair, forfeited holds first (PROTOCOL 7): the
 * payer's own part is what comes back to it. As much as is there, at most `amount`; the caller
 * says where it goes.
 */
export function spendPot(draft: LedgerDraft, index: number, amount: bigint): PotSpending {
  const contract = draft.contracts.get(index)
  assert(contract?.live, 'a pot belongs to a live contract')
  const spent = amount < contract.pot ? amount : contract.pot
  const fromHeld = spent < contract.potHeld ? spent : contract.potHeld
  draft.contracts.set(index, {
    ...contract,
    pot: contract.pot - spent,
    potHeld: contract.potHeld - fromHeld,
  })
  return { fromHeld, fromPot: spent - fromHeld }
}

/** Where a contract's payer trusts its delegate with the pot: bounded by nothing but the pot. */
const BUDGET_OF_TRUST = U64_MAX

/**
 * Units that the pot may pay in all for the open refill of a slot, vouchers and delegate's fee
 * together: what the rail that stood there forfeited. Whoever lets its own nodes lose slots to be
 * paid for repairing them then pays in more than it gets out, however many of the contract's
 * nodes, its delegate and its validators it is. Who knows better (its own box, a friend) opens
 * the contract with ContractPolicy.trustsDelegate and bounds the delegate by the pot alone.
 */
export function refillBudget(
  draft: LedgerDraft,
  contract: Pick<Contract, 'policy' | 'rails'>,
  slot: number,
): bigint {
  if ((contract.policy & ContractPolicy.trustsDelegate) !== 0) return BUDGET_OF_TRUST
  const former = contract.rails[slot]?.rail ?? NONE
  return draft.rails.get(former)?.forfeited ?? 0n
}

/** Units of that budget which rails other than `except` were paid already. */
export function paidForRefill(
  contract: Pick<Contract, 'repairs'>,
  slot: number,
  except?: Readonly<SlotRepair>,
): bigint {
  return contract.repairs
    .filter((repair) => repair.slot === slot && repair !== except)
    .reduce((sum, { paid }) => sum + paid, 0n)
}

/** Units of a delegate's fee that so many proven epochs of the refilled rail have vested. */
export function vestedFee(fee: bigint, E: number, vestingEpochs: number): bigint {
  return (fee * BigInt(Math.min(E, vestingEpochs))) / BigInt(vestingEpochs)
}

/**
 * Pays the delegate that granted a refill what of its fee has vested since, as far as the pot
 * goes. Vesting follows proven epochs, so that a refill which nobody stores earns nothing.
 */
export function payDelegate(
  draft: LedgerDraft,
  railIndex: number,
  E: number,
  context: TransactionContext,
): void {
  const rail = draft.rails.get(railIndex)
  assert(rail, 'a rail index names no rail')
  const { vestingEpochs } = draft.params
  const due = vestedFee(rail.delegateFee, E, vestingEpochs) - rail.delegatePaid
  if (due <= 0n) return
  const contract = contractOf(draft, rail)
  assert(contract, 'only a rail of a contract was granted by a delegate')
  const spent = spendPot(draft, rail.contract, due)
  const paid = spent.fromHeld + spent.fromPot
  if (paid === 0n) return
  const paidTotal = rail.delegatePaid + paid
  draft.rails.set(railIndex, { ...rail, delegatePaid: paidTotal })
  credit(draft, contract.delegate, paid)
  context.emit({
    selector: ReceiptKind.delegateFee,
    value: {
      contract: rail.contract,
      rail: railIndex,
      generation: rail.generation,
      delegate: contract.delegate,
      fee: rail.delegateFee,
      E,
      vestingEpochs,
      paidTotal,
      ...spent,
    },
  })
}
