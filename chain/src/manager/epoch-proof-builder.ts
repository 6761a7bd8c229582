import { assert } from '../bytes/assert.ts'
import { bytesEqual, fromHex } from '../bytes/hex.ts'
import {
  checkpointHeight,
  isCheckpointHeight,
  type NetworkParams,
} from '../params/network-params.ts'
import type { FinalCommit } from '../driver/block-host.ts'
import { historyLink } from '../state/history-list.ts'
import { EPOCH_PROOF_BYTES_MAX, type EpochProof, EpochProofType } from '../types/epoch-proof.ts'
import { type ValidatorSet, validatorSetHash } from '../types/validator-set.ts'
import type { ChainStore, StoredEpochProof } from './chain-store.ts'

export interface EpochEnd {
  readonly params: NetworkParams
  readonly store: Pick<ChainStore, 'hashAt'>
  readonly commit: FinalCommit
  /** Of the next epoch. */
  readonly nextValidators: ValidatorSet
}

/** The proof of an epoch whose last block this commit makes final; undefined for any other. */
export async function epochProofOf(end: EpochEnd): Promise<StoredEpochProof | undefined> {
  const { params, commit, nextValidators } = end
  const header = commit.blocks.at(-1)?.header
  if (!header || !isCheckpointHeight(params, header.height)) return undefined
  const setHash = validatorSetHash(nextValidators)
  assert(bytesEqual(setHash, header.nextValidatorsHash), 'a checkpoint commits to the next set')
  const proof: EpochProof = {
    header,
    certificate: commit.certificate,
    reproposals: commit.reproposals.map((each) => ({ ...each })),
    history: await historyOf(end, header.height),
    nextValidators,
  }
  const whole = EpochProofType.serialize(proof)
  const bytes =
    whole.length <= EPOCH_PROOF_BYTES_MAX
      ? whole
      : EpochProofType.serialize({ ...proof, reproposals: [] })
  return { epoch: header.epoch, bytes }
}

/** From the checkpoint before, whose hash the verifier adds itself, to the header's history. */
async function historyOf({ params, store, commit }: EpochEnd, height: number) {
  const from = checkpointHeight(params, height / params.epochBlocks - 1) + 1
  const ownFrom = height - commit.blocks.length + 1
  const stored = Math.max(0, ownFrom - from)
  const hashes = await Promise.all(
    Array.from({ length: stored }, async (_, i) => {
      const hash = await store.hashAt(from + i)
      assert(hash, 'blocks of the current epoch are in the store')
      return hash
    }),
  )
  const own = commit.blocks.slice(0, -1).map(({ hash }) => fromHex(hash))
  return historyLink(from, [...hashes, ...own])
}
