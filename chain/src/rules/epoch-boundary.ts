import { assert } from '../bytes/assert.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { ZERO_HASH } from '../types/primitives.ts'
import { AnchorState, type Epoch, type SetMember } from '../types/records.ts'
import { Q_ALWAYS } from './challenge.ts'
import { nextSet } from './next-set.ts'
import { rewardRoot } from './reward-tree.ts'
import { commissionAfter, payShare } from './stake-rewards.ts'
import { emissionOf } from './subsidy.ts'
import { setMembers, validatorAt } from './validator-set.ts'

/** Class 1 takes nine tenths of the proof budget L, class 2 the rest (PROTOCOL 6.3). */
const CLASS_1_TENTHS = 9n

/** An epoch before anything happened in it. `nextValidators` is the set of the epoch after it. */
export function newEpoch(
  snapshotMainHeight: number,
  rates: { q1: bigint; q2: bigint },
  nextValidators: readonly SetMember[] = [],
): Epoch {
  return {
    checkpointHash: ZERO_HASH,
    checkpointTimeMs: 0,
    snapshotMainHeight,
    beacon: ZERO_HASH,
    beaconHeight: 0,
    ...rates,
    fees: 0n,
    burned: 0n,
    minted: 0n,
    toValidators: 0n,
    emission: 0n,
    proofBytes: 0,
    proofs: 0,
    rewardRoot: ZERO_HASH,
    rewardCount: 0,
    anchorMainHeight: 0,
    anchorState: AnchorState.none,
    nextValidators: [...nextValidators],
    anchorFinalEpoch: 0,
  }
}

/**
 * First block of an epoch: the checkpoint before it is known now. Its time is the parent's,
 * which the globals still hold.
 */
export function recordCheckpoint(draft: LedgerDraft, epoch: number, parentHash: Uint8Array): void {
  const ended = epochAt(draft, epoch - 1)
  draft.epochs.set(epoch - 1, {
    ...ended,
    checkpointHash: parentHash,
    checkpointTimeMs: draft.globals().timeMs,
  })
}

/**
 * Last block of an epoch, after its transactions: fixes the subsidy's ceiling and the reward
 * tree, pays the validators, and makes the record of the next epoch with the main-chain tip that
 * its beacon is counted from and the set of the epoch after it. Work grows with validators and
 * with nodes that redeemed, never with all nodes. Returns the reward root, the header's
 * epochDataRoot.
 */
export function closeEpoch(draft: LedgerDraft, epoch: number): Uint8Array {
  const record = epochAt(draft, epoch)
  const leaves = draft.rewardLeaves(epoch)
  const root = rewardRoot(leaves)
  draft.epochs.set(epoch, {
    ...record,
    emission: emissionOf(draft.params, record),
    rewardRoot: root,
    rewardCount: leaves.length,
  })
  payValidators(draft, epoch)
  assert(draft.epochs.count === epoch + 1, 'epochs follow each other')
  const set = fixSet(draft, record.nextValidators)
  const next = newEpoch(draft.globals().mainTipHeight, challengeRates(draft, epoch + 1), set)
  draft.epochs.set(epoch + 1, next)
  return root
}

/** The set of the epoch after the next, from the stake at this checkpoint (consensus 1.6). */
function fixSet(draft: LedgerDraft, previous: readonly SetMember[]): readonly SetMember[] {
  const set = nextSet(draft, previous)
  const weights = new Map(set.map(({ validator, weight }) => [validator, weight]))
  for (let index = 0; index < draft.validators.count; index++) {
    const validator = validatorAt(draft, index)
    const power = weights.get(index) ?? 0
    if (validator.power !== power) draft.validators.set(index, { ...validator, power })
  }
  return set
}

/**
 * q of both classes for an epoch, from what is known at the checkpoint before it:
 * budget / (nodes of the class x proof bytes) as fraction of 2^64; all ones where the budget
 * covers every node or there is no limit (PROTOCOL 6.3).
 */
export function challengeRates(draft: LedgerDraft, epoch: number): { q1: bigint; q2: bigint } {
  const { params } = draft
  if (params.proofBudgetBytes === 0) return { q1: Q_ALWAYS, q2: Q_ALWAYS }
  const { nodesClass1, nodesClass2 } = draft.globals()
  const proofBytes = meanProofBytes(draft, epoch)
  const budget = BigInt(params.proofBudgetBytes)
  const budget1 = (budget * CLASS_1_TENTHS) / 10n
  return {
    q1: rate(budget1, nodesClass1, proofBytes),
    q2: rate(budget - budget1, nodesClass2, proofBytes),
  }
}

function rate(budget: bigint, nodes: number, proofBytes: number): bigint {
  const demand = BigInt(nodes) * BigInt(proofBytes)
  if (demand <= budget) return Q_ALWAYS
  return (budget << 64n) / demand
}

/** Floor mean of the bytes of a proof over the epochs before this one, at least the floor. */
function meanProofBytes(draft: LedgerDraft, epoch: number): number {
  const { proofBytesFloor, proofBytesMeanEpochs } = draft.params
  let bytes = 0
  let proofs = 0
  for (let e = Math.max(0, epoch - proofBytesMeanEpochs); e < epoch; e++) {
    const record = epochAt(draft, e)
    bytes += record.proofBytes
    proofs += record.proofs
  }
  return proofs === 0 ? proofBytesFloor : Math.max(proofBytesFloor, Math.floor(bytes / proofs))
}

/**
 * Pays the validators' pool by weight x participation in this epoch; what floors leave over, and
 * all of it where nobody took part, waits for the next epoch. Participation starts anew.
 */
function payValidators(draft: LedgerDraft, epoch: number): void {
  const members = setMembers(draft, epoch) ?? []
  const claims = members.map((member) => claimOf(draft, member))
  const total = claims.reduce((sum, claim) => sum + claim, 0n)
  const { validatorPool } = draft.globals()
  let paid = 0n
  for (const [i, { validator }] of members.entries()) {
    const share = total === 0n ? 0n : (validatorPool * (claims[i] as bigint)) / total
    payShare(draft, validator, share)
    paid += share
  }
  for (let index = 0; index < draft.validators.count; index++) {
    const validator = validatorAt(draft, index)
    const commission = commissionAfter(validator, epoch)
    if (validator.participation === 0 && validator.commission === commission) continue
    draft.validators.set(index, { ...validator, participation: 0, commission })
  }
  draft.setGlobals({ ...draft.globals(), validatorPool: validatorPool - paid })
}

function claimOf(draft: LedgerDraft, { validator: index, weight }: SetMember): bigint {
  const { jailed, participation } = validatorAt(draft, index)
  return jailed ? 0n : BigInt(weight) * BigInt(participation)
}

function epochAt(draft: LedgerDraft, epoch: number): Readonly<Epoch> {
  const record = draft.epochs.get(epoch)
  assert(record !== undefined, 'every epoch up to the next one has a record')
  return record
}
