import { assert } from '../bytes/assert.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { ReceiptKind } from '../types/receipts.ts'
import type { TransactionBody } from '../types/transactions.ts'
import { credit, debit } from './accounts.ts'
import type { TransactionContext } from './block-context.ts'
import { setMembers, validatorAt } from './validator-set.ts'

/** Counts units that left an account or a lock as a burned base fee (byte fees, paid debt). */
export function burnBaseFee(draft: LedgerDraft, amount: bigint): void {
  assert(amount >= 0n, 'a burn is never negative')
  if (amount === 0n) return
  const globals = draft.globals()
  draft.setGlobals({ ...globals, burnedBaseFee: globals.burnedBaseFee + amount })
}

/** Units that an account's transaction of this size costs in the next block: base fee and tip. */
export function feeOf(draft: LedgerDraft, body: TransactionBody, bytes: number): bigint {
  return (draft.globals().baseFee + body.tip) * BigInt(bytes)
}

/**
 * Takes the fee of an account's transaction: the base fee burns, the tip goes to the proposer's
 * payout address. Faults with FEE_CAP_TOO_LOW or INSUFFICIENT_FUNDS.
 */
export function chargeFee(
  draft: LedgerDraft,
  body: TransactionBody,
  context: TransactionContext,
): Result<undefined> {
  const perByte = draft.globals().baseFee
  if (body.maxBaseFee < perByte) {
    return fault('FEE_CAP_TOO_LOW', `the base fee is ${perByte} units per byte`, {
      maxBaseFee: body.maxBaseFee,
      baseFee: perByte,
    })
  }
  const baseFee = perByte * BigInt(context.bytes)
  const tip = body.tip * BigInt(context.bytes)
  const paid = debit(draft, context.senderAddress, baseFee + tip)
  if (!paid.ok) return paid
  burnBaseFee(draft, baseFee)
  const proposer = setMembers(draft, context.epoch)?.[context.proposer]
  assert(proposer !== undefined, 'a block has a known proposer')
  credit(draft, validatorAt(draft, proposer.validator).payout, tip)
  context.emit({
    selector: ReceiptKind.fee,
    value: { payer: context.senderAddress, bytes: context.bytes, baseFee, tip },
  })
  return ok()
}
