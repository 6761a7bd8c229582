import { assert } from '../bytes/assert.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { ReceiptKind } from '../types/receipts.ts'
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
