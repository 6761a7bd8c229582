import { assert } from '../bytes/assert.ts'
import type { NetworkParams } from '../params/network-params.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { ReceiptKind } from '../types/receipts.ts'
import { type Contract, NONE } from '../types/records.ts'
import { credit } from './accounts.ts'
import type { TransactionContext } from './block-context.ts'
import { fillDeadline } from './rail-terms.ts'

/** Freed indexes that the state remembers for reuse; more are simply not reused. */
export const FREED_INDEXES_MAX = 65_536

export function hasLiveRails(contract: Readonly<Contract>): boolean {
  return contract.detached > 0 || contract.rails.some(({ rail }) => rail !== NONE)
}

/** True where an inactive contract has passed its fill deadline (PROTOCOL 5.2). */
export function isFillOver(
  draft: LedgerDraft,
  contract: Readonly<Contract>,
  nowEpoch: number,
): boolean {
  return isFillOverdue(draft.params, contract, nowEpoch)
}

/** The same for whoever has the contract's record, but no ledger. */
export function isFillOverdue(
  params: NetworkParams,
  contract: Readonly<Contract>,
  nowEpoch: number,
): boolean {
  return !contract.active && nowEpoch >= fillDeadline(params, contract)
}

/**
 * Ends a contract whose last rail is gone, unless it may still be filled: returns to the payer
 * the locks of slots never filled, the fill fees not used, the deposit and its own part of the
 * pot. What the pot got from forfeited holds burns, so that no payer profits from evicting its
 * nodes (PROTOCOL 7).
 */
export function endContractIfOver(
  draft: LedgerDraft,
  index: number,
  context: TransactionContext,
): void {
  const contract = draft.contracts.get(index)
  assert(contract?.live, 'a contract ended before its rails')
  const mayFill = contract.askEpoch === NONE && !contract.active
  if (hasLiveRails(contract)) return
  if (mayFill && !isFillOver(draft, contract, context.epoch)) return
  const { unfilledLock, prepaidFees, deposit, pot, potHeld, generation } = contract
  const refundPot = pot - potHeld
  assert(refundPot >= 0n, 'a pot holds less than what it got from holds')
  draft.contracts.set(index, {
    ...contract,
    generation: generation + 1,
    live: false,
    unfilledLock: 0n,
    prepaidFees: 0n,
    deposit: 0n,
    pot: 0n,
    potHeld: 0n,
  })
  const { freeContracts, ...globals } = draft.globals()
  const isFull = freeContracts.length >= FREED_INDEXES_MAX
  draft.setGlobals({
    ...globals,
    burnedForfeit: globals.burnedForfeit + potHeld,
    freeContracts: isFull ? freeContracts : [...freeContracts, { index }],
  })
  credit(draft, contract.payer, unfilledLock + prepaidFees + deposit + refundPot)
  context.emit({
    selector: ReceiptKind.contractEnd,
    value: {
      contract: index,
      generation,
      payer: contract.payer,
      refundLocks: unfilledLock,
      refundPot,
      refundFees: prepaidFees,
      refundDeposit: deposit,
      burned: potHeld,
    },
  })
}
