import { assert } from '../bytes/assert.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { ReceiptKind } from '../types/receipts.ts'
import { type Delegation, NONE, type SetMember } from '../types/records.ts'
import { changeBond } from './accounts.ts'
import type { TransactionContext } from './block-context.ts'
import { setMembers, validatorAt } from './validator-set.ts'

/** Penalties and shares of guilt are in 1/1,000,000. */
const PENALTY_UNIT = 1_000_000
const BASIS_TO_PENALTY = PENALTY_UNIT / 10_000
/** Guilt of a third of the weight costs everything: only a third can make a fork. */
const CORRELATION = 3

/**
 * Jails a double signer and slashes it. Whoever else is guilty in the same window then pays as
 * much: rate = min(1, max(slashShare, 3 x guilty weight / W)) of the stake (PROTOCOL 7). The
 * window is counted between the epochs of the deeds, so that nobody gains by the order or the
 * time in which evidence is shown.
 */
export function recordGuilt(
  draft: LedgerDraft,
  member: SetMember,
  epoch: number,
  context: TransactionContext,
): void {
  const validator = validatorAt(draft, member.validator)
  const share = Math.max(validator.guiltShare, shareOf(draft, member, epoch))
  draft.validators.set(member.validator, {
    ...validator,
    jailed: true,
    guiltEpoch: epoch,
    guiltShare: share,
  })
  const guilty = guiltyAround(draft, epoch)
  const together = guilty.reduce((sum, index) => sum + validatorAt(draft, index).guiltShare, 0)
  const least = draft.params.slashShare * BASIS_TO_PENALTY
  const rate = Math.min(PENALTY_UNIT, Math.max(least, CORRELATION * together))
  for (const index of guilty) slash(draft, index, rate, context)
}

function shareOf(draft: LedgerDraft, { weight }: SetMember, epoch: number): number {
  const members = setMembers(draft, epoch)
  assert(members !== undefined, 'a member comes from a set')
  const total = members.reduce((sum, each) => sum + each.weight, 0)
  return Number((BigInt(weight) * BigInt(PENALTY_UNIT) + BigInt(total) - 1n) / BigInt(total))
}

function guiltyAround(draft: LedgerDraft, epoch: number): number[] {
  const guilty: number[] = []
  for (let index = 0; index < draft.validators.count; index++) {
    const { guiltEpoch } = validatorAt(draft, index)
    if (guiltEpoch === NONE) continue
    if (Math.abs(guiltEpoch - epoch) < draft.params.slashWindowEpochs) guilty.push(index)
  }
  return guilty
}

/**
 * Raises a validator's penalty to `rate`: the same part of its own and of its delegators' stake
 * burns, two subtractions whatever the number of delegators. Stake on its way out pays when it is
 * released.
 */
function slash(draft: LedgerDraft, index: number, rate: number, context: TransactionContext): void {
  const validator = validatorAt(draft, index)
  const { owner, penalty, guiltEpoch } = validator
  if (rate <= penalty) return
  const bond = burnedPart(validator.bond, penalty, rate)
  const delegated = burnedPart(validator.delegated, penalty, rate)
  changeBond(draft, owner, -bond)
  draft.validators.set(index, {
    ...validator,
    penalty: rate,
    bond: validator.bond - bond,
    delegated: validator.delegated - delegated,
  })
  burnSlash(draft, bond + delegated)
  const penalties = { penaltyBefore: penalty, penalty: rate }
  const value = { validator: index, owner, epoch: guiltEpoch, ...penalties, bond, delegated }
  context.emit({ selector: ReceiptKind.slash, value })
}

/** What burns of stake that already paid `penalty` when its penalty rises to `rate`; rounded up. */
function burnedPart(amount: bigint, penalty: number, rate: number): bigint {
  const rest = BigInt(PENALTY_UNIT - penalty)
  return (amount * BigInt(rate - penalty) + rest - 1n) / rest
}

/**
 * What burns of stake on its way out: what its validator was slashed since it left, if it still
 * carried weight in the epoch of the deed.
 */
export function burnedOnExit(draft: LedgerDraft, exit: Readonly<Delegation>): bigint {
  const { penalty, guiltEpoch } = validatorAt(draft, exit.validator)
  const isInnocent = guiltEpoch === NONE || guiltEpoch >= exit.exitEpoch
  if (isInnocent || penalty <= exit.penalty) return 0n
  return burnedPart(exit.amount, exit.penalty, penalty)
}

export function burnSlash(draft: LedgerDraft, amount: bigint): void {
  if (amount === 0n) return
  const globals = draft.globals()
  draft.setGlobals({ ...globals, burnedSlash: globals.burnedSlash + amount })
}
