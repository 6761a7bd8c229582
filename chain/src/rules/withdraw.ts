import { fault, ok, type Result } from '../bytes/result.ts'
import { AddressPrefix, parseElaAddress } from '../elastos/ela-address.ts'
import { CROSS_CHAIN_FEE_MIN, SELA_MAX } from '../elastos/ela-amount.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { type WithdrawalRecord, WithdrawalState } from '../types/records.ts'
import { ReceiptKind } from '../types/receipts.ts'
import type { Withdraw } from '../types/transactions.ts'
import { debit } from './accounts.ts'
import type { TransactionContext } from './block-context.ts'
import { bookPeg, dailyAllowance, pegOfDay, pegReserve } from './peg-account.ts'

/** Kinds of main-chain address that a person can own: one key, or several. */
const PAYABLE_PREFIXES: ReadonlySet<number> = new Set([
  AddressPrefix.standard,
  AddressPrefix.multisig,
])
const ADDRESS_CHARACTERS = 34

/**
 * Burns units for the main chain to pay out: checked here as strictly as there, since nothing
 * comes back by itself. Listed at the checkpoint that contains it (PROTOCOL 9). Faults with
 * PEG_PAUSED, WITHDRAW_ADDRESS, WITHDRAW_AMOUNT, WITHDRAW_FEE, PEG_RESERVE, PEG_DAILY_CAP or
 * INSUFFICIENT_FUNDS.
 */
export function applyWithdraw(
  draft: LedgerDraft,
  withdraw: Withdraw,
  context: TransactionContext,
): Result<undefined> {
  const { output, amount } = withdraw
  const to = payableAddress(withdraw.to)
  if (!to.ok) return to
  const allowed = checkAmounts(draft, withdraw, context)
  if (!allowed.ok) return allowed
  const taken = debit(draft, context.senderAddress, output)
  if (!taken.ok) return taken
  const record: WithdrawalRecord = {
    id: context.transactionId(),
    owner: context.senderAddress,
    to: to.value,
    output,
    amount,
    height: context.height,
    state: WithdrawalState.listed,
  }
  const withdrawal = draft.withdrawals.count
  draft.withdrawals.set(withdrawal, record)
  const peg = pegOfDay(draft, context.epoch)
  bookPeg(draft, {
    ...peg,
    withdrawn: peg.withdrawn + output,
    dayWithdrawn: peg.dayWithdrawn + output,
  })
  const { owner } = record
  context.emit({
    selector: ReceiptKind.withdrawal,
    value: { withdrawal, owner, to: to.value, output, amount, returned: false },
  })
  return ok()
}

/** A main-chain address that arbiters can pay: it starts with E or 8. Gives its program hash. */
export function payableAddress(text: Uint8Array): Result<Uint8Array> {
  const malformed = () =>
    fault('WITHDRAW_ADDRESS', 'a withdrawal goes to a main-chain address that starts with E or 8')
  if (text.length !== ADDRESS_CHARACTERS || text.some((byte) => byte > 0x7f)) return malformed()
  const programHash = parseElaAddress(String.fromCharCode(...text))
  if (!programHash.ok || !PAYABLE_PREFIXES.has(programHash.value[0] ?? 0)) return malformed()
  return programHash
}

function checkAmounts(
  draft: LedgerDraft,
  { output, amount }: Withdraw,
  { epoch }: TransactionContext,
): Result<undefined> {
  const peg = pegOfDay(draft, epoch)
  if (peg.paused) {
    return fault('PEG_PAUSED', 'withdrawals are stopped until the validators resume them')
  }
  if (amount <= 0n || output > SELA_MAX) {
    return fault('WITHDRAW_AMOUNT', 'a withdrawal moves a positive, possible amount')
  }
  if (output < amount + CROSS_CHAIN_FEE_MIN) {
    return fault('WITHDRAW_FEE', `a withdrawal leaves ${CROSS_CHAIN_FEE_MIN} units as fee`, {
      output,
      amount,
    })
  }
  const reserve = pegReserve(peg)
  if (output > reserve) {
    return fault('PEG_RESERVE', `the main chain holds ${reserve} units for this one, not more`, {
      output,
      reserve,
    })
  }
  const allowance = dailyAllowance(draft.params, peg)
  if (output > allowance) {
    return fault('PEG_DAILY_CAP', `${allowance} units may still leave today: try again later`, {
      output,
      allowance,
      dayEpochs: draft.params.pegDayEpochs,
    })
  }
  return ok()
}
