import { NONE, type Validator } from '../types/records.ts'

/** A validator that never voted and has no stake yet. */
export function newValidator(
  identity: Pick<Validator, 'owner' | 'payout' | 'consensusKey' | 'mainKey'>,
): Validator {
  return {
    ...identity,
    power: 0,
    bond: 0n,
    commission: 0,
    participation: 0,
    jailed: false,
    delegated: 0n,
    shares: 0n,
    rewards: 0n,
    rewardIndex: 0n,
    unbonding: 0n,
    penalty: 0,
    guiltEpoch: NONE,
    guiltShare: 0,
    commissionNext: 0,
    commissionAsked: 0,
  }
}
