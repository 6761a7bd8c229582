import { assert } from '../bytes/assert.ts'
import { BASIS_POINTS } from '../params/network-params.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { ReceiptKind, StakeAction } from '../types/receipts.ts'
import { DelegationKind, type Validator } from '../types/records.ts'
import { credit } from './accounts.ts'
import type { TransactionContext } from './block-context.ts'
import { validatorAt } from './validator-set.ts'

/** rewardIndex counts units per share in 1/2^64. */
const INDEX_BITS = 64n

/**
 * Gives a validator its share of an epoch: the part of its own stake and its commission on the
 * rest at once, the delegators' part by share. Each of them collects later, so that the close of
 * an epoch costs the same however many there are. Stake earns from the block in which it comes
 * to the one in which it is asked back, two epochs before it has weight and before it loses it.
 */
export function payShare(draft: LedgerDraft, index: number, share: bigint): void {
  if (share === 0n) return
  const validator = validatorAt(draft, index)
  const toDelegators = delegatorsPart(validator, share)
  if (toDelegators > 0n) {
    draft.validators.set(index, {
      ...validator,
      rewards: validator.rewards + toDelegators,
      rewardIndex: validator.rewardIndex + (toDelegators << INDEX_BITS) / validator.shares,
    })
  }
  credit(draft, validator.payout, share - toDelegators)
}

function delegatorsPart(validator: Readonly<Validator>, share: bigint): bigint {
  const { bond, delegated, shares, commission } = validator
  if (shares === 0n || delegated === 0n) return 0n
  const gross = (share * delegated) / (bond + delegated)
  return gross - (gross * BigInt(commission)) / BASIS_POINTS
}

/** The commission after the close of an epoch: a change waits until the epoch after is over. */
export function commissionAfter(validator: Readonly<Validator>, epoch: number): number {
  const { commission, commissionNext, commissionAsked } = validator
  return commissionAsked < epoch ? commissionNext : commission
}

/** Pays what a delegation earned since it was last paid, to its owner. */
export function collectRewards(
  draft: LedgerDraft,
  index: number,
  context: TransactionContext,
): void {
  const delegation = draft.delegations.get(index)
  assert(delegation?.kind === DelegationKind.staked, 'only staked shares earn')
  const { owner, shares, validator: of } = delegation
  const validator = validatorAt(draft, of)
  const { rewardIndex } = validator
  const earned = (shares * (rewardIndex - delegation.rewardIndex)) >> INDEX_BITS
  draft.delegations.set(index, { ...delegation, rewardIndex })
  if (earned === 0n) return
  assert(earned <= validator.rewards, 'shares earn no more than was set aside')
  draft.validators.set(of, { ...validator, rewards: validator.rewards - earned })
  credit(draft, owner, earned)
  const action = StakeAction.rewards
  const value = { action, owner, validator: of, delegation: index, amount: earned, burned: 0n }
  context.emit({ selector: ReceiptKind.stake, value })
}
