import { fault, ok, type Result } from '../bytes/result.ts'
import { type RewardProofStep, verifyRewardFee } from '../rules/reward-tree.ts'
import type { RewardLeaf } from '../state/ledger-draft.ts'

/** A fee in an epoch's reward tree with its path: what a stock merkletreejs checks as well. */
export interface RewardProof {
  readonly fee: RewardLeaf
  readonly steps: readonly RewardProofStep[]
}

/**
 * Checks a fee against the root of its epoch's reward tree: epochDataRoot of the checkpoint's
 * header, or rewardRoot of the epoch's record.
 */
export function verifyReward(root: Uint8Array, { fee, steps }: RewardProof): Result<RewardLeaf> {
  return verifyRewardFee(fee, steps, root)
    ? ok(fee)
    : fault('REWARD_PROOF_WRONG', 'the path does not lead to the reward root of the epoch')
}
