import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { hasher as asSha256 } from '@chainsafe/persistent-merkle-tree/hasher/as-sha256'
import { describe, expect, test } from 'vitest'
import { decodeHeaderWithAuxPow } from '../elastos/main-header.ts'
import { draftOf, merge } from '../state/ledger.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import type { Epoch } from '../types/records.ts'
import { balanceOf } from './accounts.ts'
import { beaconOf } from './beacon.ts'
import { Q_ALWAYS } from './challenge.ts'
import { challengeRates } from './epoch-boundary.ts'
import { rewardRoot } from './reward-tree.ts'
import { auditSupply } from './supply.ts'
import {
  GENESIS_TIME_MS,
  keyOf,
  MAIN_CHECKPOINT_HEIGHT as BASE,
  SampleChain,
} from './testing/sample-chain.ts'

setHasher(asSha256)

const T0 = GENESIS_TIME_MS / 1000
const epochOf = (chain: SampleChain, epoch: number) => chain.ledger.epochs.get(epoch) as Epoch

function change(chain: SampleChain, write: (draft: LedgerDraft) => void): void {
  const draft = draftOf(chain.ledger)
  write(draft)
  merge(draft)
}

describe('checkpoints', () => {
  test('the next block knows the hash and time of the one before', () => {
    const chain = new SampleChain()
    chain.block()
    expect(epochOf(chain, 0)).toMatchObject({
      checkpointHash: chain.hashes[0],
      checkpointTimeMs: GENESIS_TIME_MS,
    })
    chain.runTo(10)
    expect(epochOf(chain, 1).checkpointHash).toEqual(new Uint8Array(32))
    chain.block()
    expect(epochOf(chain, 1)).toMatchObject({
      checkpointHash: chain.hashes[10],
      checkpointTimeMs: GENESIS_TIME_MS + 10 * chain.params.blockIntervalMs,
    })
  })

  test('the checkpoint makes the next epoch with the main tip of that moment', () => {
    const chain = new SampleChain()
    chain.runTo(8)
    expect(chain.ledger.epochs.count).toBe(2)
    chain.block([chain.mainHeaders([chain.main.mine(T0), chain.main.mine(T0 + 1)])])
    expect(chain.ledger.epochs.count).toBe(2)
    chain.block([chain.mainHeaders([chain.main.mine(T0 + 2)])])
    expect(chain.ledger.epochs.count).toBe(3)
    expect(epochOf(chain, 2).snapshotMainHeight).toBe(BASE + 3)
  })

  test('reward root and emission are fixed at the close and head the checkpoint', () => {
    const chain = new SampleChain()
    const leaves = [{ node: keyOf('n').address, fee: 900n }]
    chain.runTo(9)
    change(chain, (draft) => {
      for (const [i, leaf] of leaves.entries()) draft.setRewardLeaf(1, i, leaf)
      draft.epochs.set(1, { ...epochOf(chain, 1), fees: 900n, burned: 100n })
    })
    const { roots } = chain.block()
    expect(roots.epochDataRoot).toEqual(rewardRoot(leaves))
    expect(epochOf(chain, 1)).toMatchObject({
      rewardRoot: rewardRoot(leaves),
      rewardCount: 1,
      // rho x min(burned, floor(phi F)): phi of 900 is 90, half of that 45.
      emission: 45n,
    })
    expect(chain.block().roots.epochDataRoot).toEqual(new Uint8Array(32))
  })
})

describe('the beacon', () => {
  const fixed = (chain: SampleChain, epoch: number) => epochOf(chain, epoch).beaconHeight

  test('is the first header of height h+2 whose time is past the checkpoint', () => {
    const chain = new SampleChain()
    chain.runTo(11)
    // Checkpoint 1 is at T0 + 2 s; h is the genesis header.
    const late = Math.floor(epochOf(chain, 1).checkpointTimeMs / 1000)
    chain.block([chain.mainHeaders([chain.main.mine(late + 1)])])
    expect(fixed(chain, 2)).toBe(0)
    chain.block([chain.mainHeaders([chain.main.mine(late)])])
    expect(fixed(chain, 2)).toBe(0)
    const raw = chain.main.mine(late + 2)
    chain.block([chain.mainHeaders([raw])])
    expect(fixed(chain, 2)).toBe(14)
    const header = decodeHeaderWithAuxPow(raw)
    const bitcoinHash = header.ok ? header.value.bitcoinParentHash : new Uint8Array(32)
    expect(epochOf(chain, 2).beacon).toEqual(
      beaconOf(chain.chainId, 2, chain.hashes[10] as Uint8Array, bitcoinHash),
    )
    const before = epochOf(chain, 2)
    const fork = chain.main.fork(BASE + 1)
    chain.block([chain.mainHeaders([late + 3, late + 4, late + 5].map((t) => fork.mine(t)))])
    expect(epochOf(chain, 2)).toEqual(before)
  })

  test('waits for its confirmations', () => {
    const chain = new SampleChain({ params: { beaconConfirmations: 3 } })
    chain.runTo(1)
    const late = T0 + 5
    const mine = (time: number) => chain.block([chain.mainHeaders([chain.main.mine(time)])])
    for (const time of [late, late + 1, late + 2]) mine(time)
    expect(fixed(chain, 1)).toBe(0)
    mine(late + 3)
    expect(fixed(chain, 1)).toBe(5)
  })

  test('keeps the margin after the checkpoint', () => {
    const chain = new SampleChain({ params: { beaconMarginSeconds: 60 } })
    chain.runTo(1)
    const times = [T0 + 1, T0 + 59, T0 + 60]
    chain.block([chain.mainHeaders(times.map((time) => chain.main.mine(time)))])
    expect(fixed(chain, 1)).toBe(0)
    chain.block([chain.mainHeaders([chain.main.mine(T0 + 61)])])
    expect(fixed(chain, 1)).toBe(3)
  })

  test('may still come in the last block of its epoch, never after it', () => {
    const enough = (chain: SampleChain) =>
      chain.mainHeaders([T0 + 30, T0 + 31].map((time) => chain.main.mine(time)))
    const inTime = new SampleChain()
    inTime.runTo(9)
    inTime.block([enough(inTime)])
    expect(fixed(inTime, 1)).toBe(10)
    const late = new SampleChain()
    late.runTo(10)
    late.block([enough(late)])
    // Both headers are above the tip that checkpoint 1 recorded: epoch 2 gets its own beacon.
    expect(fixed(late, 1)).toBe(0)
    expect(fixed(late, 2)).toBe(11)
  })

  test('without headers there is none, and nobody is challenged', () => {
    const chain = new SampleChain({ nodes: ['node'] })
    chain.runTo(61)
    for (let epoch = 1; epoch <= 6; epoch++) expect(fixed(chain, epoch)).toBe(0)
    const evict = { selector: 10, value: { node: keyOf('node').address } } as const
    expect(chain.outcome(chain.byNode(keyOf('anyone'), evict))).not.toBe('ok')
    expect(chain.ledger.nodes.get(0)).toMatchObject({ strikes: 0, evicted: false })
  })

  test('differs in every input', () => {
    const hash = (byte: number) => new Uint8Array(32).fill(byte)
    const one = beaconOf(hash(1), 1, hash(2), hash(3))
    expect(beaconOf(hash(9), 1, hash(2), hash(3))).not.toEqual(one)
    expect(beaconOf(hash(1), 2, hash(2), hash(3))).not.toEqual(one)
    expect(beaconOf(hash(1), 1, hash(9), hash(3))).not.toEqual(one)
    expect(beaconOf(hash(1), 1, hash(2), hash(9))).not.toEqual(one)
  })
})

describe('challenge rates', () => {
  function rates(
    nodes: [number, number],
    proofs: { bytes: number; count: number },
    budget: number,
  ) {
    const chain = new SampleChain({ params: { proofBudgetBytes: budget } })
    change(chain, (draft) => {
      const [nodesClass1, nodesClass2] = nodes
      draft.setGlobals({ ...draft.globals(), nodesClass1, nodesClass2 })
      const { bytes: proofBytes, count } = proofs
      draft.epochs.set(1, { ...epochOf(chain, 1), proofBytes, proofs: count })
    })
    return challengeRates(chain.ledger, 2)
  }

  test('share the budget 9 to 1 between the classes', () => {
    const budget = 42_000_000
    const { q1, q2 } = rates([1_000_000, 50_000], { bytes: 0, count: 0 }, budget)
    expect(q1).toBe((37_800_000n << 64n) / (1_000_000n * 4096n))
    expect(q2).toBe((4_200_000n << 64n) / (50_000n * 4096n))
    expect(rates([9000, 10], { bytes: 0, count: 0 }, budget)).toEqual({
      q1: Q_ALWAYS,
      q2: Q_ALWAYS,
    })
  })

  test('reckon with the mean proof, at least 4,096 bytes', () => {
    const budget = 42_000_000
    const mean = (bytes: number, count: number) => rates([100_000, 0], { bytes, count }, budget).q1
    expect(mean(10_001, 2)).toBe((37_800_000n << 64n) / (100_000n * 5000n))
    expect(mean(100, 2)).toBe((37_800_000n << 64n) / (100_000n * 4096n))
  })

  test('no budget means no limit', () => {
    expect(rates([1e9, 1e9], { bytes: 1e9, count: 1 }, 0)).toEqual({ q1: Q_ALWAYS, q2: Q_ALWAYS })
  })
})

test('validators are paid at the checkpoint by power and votes; the rest is carried', () => {
  const chain = new SampleChain()
  chain.runTo(5)
  const alice = keyOf('alice').address
  change(chain, (draft) => {
    // As if services had been paid: units move from an account into the pool.
    const index = draft.accountIndex(alice) as number
    const account = draft.accounts.get(index)
    if (account) draft.accounts.set(index, { ...account, balance: account.balance - 1000n })
    draft.setGlobals({ ...draft.globals(), validatorPool: 1000n })
    for (const [i, votes] of [7, 5, 1, 0].entries()) {
      const validator = draft.validators.get(i)
      if (validator) draft.validators.set(i, { ...validator, participation: votes })
    }
    const genesis = draft.epochs.get(0)
    const nextValidators = genesis?.nextValidators.map((member, i) => ({
      ...member,
      weight: i + 1,
    }))
    if (genesis && nextValidators) draft.epochs.set(0, { ...genesis, nextValidators })
  })
  chain.runTo(9)
  chain.block([], { participants: [0, 3] })
  // Four blocks more of 0, 1, 2, and a last one of 0 and 3: 12, 9, 5, 1 votes.
  const weights = [12n * 1n, 9n * 2n, 5n * 3n, 1n * 4n]
  const total = weights.reduce((sum, weight) => sum + weight)
  const paid = weights.map((weight) => (1000n * weight) / total)
  expect(
    paid.map((_, i) => balanceOf(chain.ledger, keyOf(`validator-${i}-payout`).address)),
  ).toEqual(paid)
  const rest = 1000n - paid.reduce((sum, share) => sum + share)
  expect(chain.ledger.globals().validatorPool).toBe(rest)
  expect(chain.ledger.validators.get(0)?.participation).toBe(0)
  expect(auditSupply(chain.ledger).ok).toBe(true)
})
