import { bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { ReceiptKind, StakeAction } from '../types/receipts.ts'
import { type Delegation, DelegationKind, NONE, type Validator } from '../types/records.ts'
import type { Bond, Delegate, Unbond } from '../types/transactions.ts'
import { changeBond, debit, moveToBond } from './accounts.ts'
import type { TransactionContext } from './block-context.ts'
import { addDelegation, freeDelegation } from './delegation-records.ts'
import { checkLeaving } from './next-set.ts'
import { EXIT_EPOCHS } from './release-stake.ts'
import { collectRewards } from './stake-rewards.ts'
import { validatorAt } from './validator-set.ts'

/** The owner raises its validator's own stake; it has weight from the set after the next on. */
export function applyBond(
  draft: LedgerDraft,
  { validator: index, amount }: Bond,
  context: TransactionContext,
): Result<undefined> {
  if (amount === 0n) return fault('AMOUNT_ZERO', 'a bond is at least one unit')
  const own = ownValidator(draft, index, context)
  if (!own.ok) return own
  if (own.value.jailed) return jailed()
  const moved = moveToBond(draft, context.senderAddress, amount)
  if (!moved.ok) return moved
  draft.validators.set(index, { ...own.value, bond: own.value.bond + amount })
  emitStake(context, StakeAction.bond, { validator: index, delegation: NONE, amount })
  return ok()
}

/**
 * Stakes on a validator, on a new record or an own one, whose rewards so far are paid out first.
 * Shares stand at what the validator's delegated stake is worth now.
 */
export function applyDelegate(
  draft: LedgerDraft,
  { validator: index, delegation, amount }: Delegate,
  context: TransactionContext,
): Result<undefined> {
  const isNew = delegation === NONE
  const checked = isNew
    ? checkNewDelegation(draft, index, amount)
    : ownDelegation(draft, index, delegation, context)
  if (!checked.ok) return checked
  if (!isNew) collectRewards(draft, delegation, context)
  if (amount === 0n) return ok()
  const validator = validatorAt(draft, index)
  if (validator.jailed) return jailed()
  const taken = debit(draft, context.senderAddress, amount)
  if (!taken.ok) return taken
  const { shares, delegated, rewardIndex } = validator
  const bought = shares === 0n || delegated === 0n ? amount : (amount * shares) / delegated
  if (bought === 0n) return fault('AMOUNT_ZERO', 'the amount is less than a share')
  draft.validators.set(index, {
    ...validator,
    delegated: delegated + amount,
    shares: shares + bought,
  })
  const at = isNew
    ? addDelegation(draft, {
        kind: DelegationKind.staked,
        owner: context.senderAddress,
        validator: index,
        shares: bought,
        rewardIndex,
      })
    : addShares(draft, delegation, bought)
  emitStake(context, StakeAction.delegate, { validator: index, delegation: at, amount })
  return ok()
}

/**
 * Asks stake back. It loses its weight with the set of the epoch after the next and is paid out by
 * releaseStake behind anchors; until then it answers for what its validator signed while it had
 * weight. Refused while too much would leave the set at once.
 */
export function applyUnbond(
  draft: LedgerDraft,
  { validator: index, delegation, amount }: Unbond,
  context: TransactionContext,
): Result<undefined> {
  const taken =
    delegation === NONE
      ? takeOwnStake(draft, index, amount, context)
      : takeDelegated(draft, { validator: index, delegation, amount }, context)
  if (!taken.ok) return taken
  const limited = checkLeaving(draft)
  if (!limited.ok) return limited
  if (amount === 0n) return ok()
  const validator = validatorAt(draft, index)
  const exit = addDelegation(draft, {
    kind: DelegationKind.unbonding,
    owner: context.senderAddress,
    validator: index,
    amount,
    exitEpoch: context.epoch + EXIT_EPOCHS,
    penalty: validator.penalty,
  })
  draft.validators.set(index, { ...validator, unbonding: validator.unbonding + amount })
  emitStake(context, StakeAction.unbond, { validator: index, delegation: exit, amount })
  return ok()
}

function takeOwnStake(
  draft: LedgerDraft,
  index: number,
  amount: bigint,
  context: TransactionContext,
): Result<undefined> {
  if (amount === 0n) return fault('AMOUNT_ZERO', 'nothing is asked back')
  const own = ownValidator(draft, index, context)
  if (!own.ok) return own
  if (own.value.bond < amount) return insufficientStake(own.value.bond)
  changeBond(draft, context.senderAddress, -amount)
  draft.validators.set(index, { ...own.value, bond: own.value.bond - amount })
  return ok()
}

/** Rounds in favour of those who stay; who takes the whole value gives up all shares. */
function takeDelegated(
  draft: LedgerDraft,
  { validator: index, delegation: at, amount }: Unbond,
  context: TransactionContext,
): Result<undefined> {
  const own = ownDelegation(draft, index, at, context)
  if (!own.ok) return own
  collectRewards(draft, at, context)
  const validator = validatorAt(draft, index)
  const { delegated, shares } = validator
  const value = (own.value.shares * delegated) / shares
  // What a slash left worthless is given up with amount 0, which frees its record.
  if (amount === 0n && value > 0n) return fault('AMOUNT_ZERO', 'nothing is asked back')
  if (amount > value) return insufficientStake(value)
  const sold = amount === value ? own.value.shares : (amount * shares + delegated - 1n) / delegated
  draft.validators.set(index, {
    ...validator,
    delegated: delegated - amount,
    shares: shares - sold,
  })
  if (sold === own.value.shares) freeDelegation(draft, at)
  else addShares(draft, at, -sold)
  return ok()
}

function addShares(draft: LedgerDraft, index: number, change: bigint): number {
  // Read again: collecting rewards has written it since.
  const delegation = draft.delegations.get(index) as Delegation
  draft.delegations.set(index, { ...delegation, shares: delegation.shares + change })
  return index
}

export function ownValidator(
  draft: LedgerDraft,
  index: number,
  { senderAddress }: TransactionContext,
): Result<Readonly<Validator>> {
  const validator = draft.validators.get(index)
  if (!validator) return validatorUnknown(index)
  return bytesEqual(validator.owner, senderAddress)
    ? ok(validator)
    : fault('VALIDATOR_OTHER', 'the validator is of another owner', { validator: index })
}

function ownDelegation(
  draft: LedgerDraft,
  validator: number,
  index: number,
  { senderAddress }: TransactionContext,
): Result<Readonly<Delegation>> {
  const delegation = draft.delegations.get(index)
  const isOwn =
    delegation?.kind === DelegationKind.staked &&
    delegation.validator === validator &&
    bytesEqual(delegation.owner, senderAddress)
  return isOwn
    ? ok(delegation)
    : fault('DELEGATION_OTHER', 'this is no delegation of the sender to this validator', { index })
}

function checkNewDelegation(draft: LedgerDraft, index: number, amount: bigint): Result<undefined> {
  if (draft.validators.get(index) === undefined) return validatorUnknown(index)
  const { stakeUnit } = draft.params
  return amount >= stakeUnit
    ? ok()
    : fault('STAKE_TOO_SMALL', `a new delegation is at least ${stakeUnit} units`, { amount })
}

function validatorUnknown(validator: number) {
  return fault('VALIDATOR_UNKNOWN', 'there is no such validator', { validator })
}

function jailed() {
  return fault('VALIDATOR_JAILED', 'the validator signed twice and is out for good')
}

function insufficientStake(stake: bigint) {
  return fault('INSUFFICIENT_STAKE', `${stake} units are at stake here`, { stake })
}

function emitStake(
  context: TransactionContext,
  action: number,
  fields: { readonly validator: number; readonly delegation: number; readonly amount: bigint },
): void {
  const value = { action, owner: context.senderAddress, burned: 0n, ...fields }
  context.emit({ selector: ReceiptKind.stake, value })
}
