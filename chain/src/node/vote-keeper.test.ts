import { beforeAll, describe, expect, test } from 'vitest'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { keyOf, SampleChain } from '../rules/testing/sample-chain.ts'
import { signedStatement } from '../rules/testing/stake-world.ts'
import { type Vote, VoteKind } from '../types/consensus-objects.ts'
import { PayloadKind } from '../types/transactions.ts'
import { VoteKeeper } from './vote-keeper.ts'

beforeAll(() => installNativeCrypto())

const { notarize, nullify, finalize } = VoteKind

function vote(chain: SampleChain, height: number, validator: number, kind: VoteKind = notarize) {
  const epoch = Math.floor((height - 1) / chain.params.epochBlocks) + 1
  const hash = chain.hashes[height] ?? new Uint8Array(32).fill(height)
  const statement = { kind, epoch, view: height, hash }
  const { secretKey } = keyOf(`validator-${validator}`)
  return { ...signedStatement(chain.chainId, statement, secretKey), validator }
}

describe('the votes that a node keeps', () => {
  test('are those that a block can bring, and that block is valid', () => {
    const chain = new SampleChain()
    const keeper = new VoteKeeper(chain.ledger)
    chain.runTo(6)
    for (const height of [3, 4, 5, 6]) keeper.add(vote(chain, height, 3))
    // 6 is the parent of the block to come: its votes may still arrive. 0 to 2 voted already.
    keeper.add(vote(chain, 5, 1))
    const late = keeper.forBlockOn(chain.ledger)
    expect(late.map(({ back, validator }) => [back, validator])).toEqual([
      [1, 3],
      [2, 3],
      [3, 3],
    ])
    chain.block([chain.bySystem({ selector: PayloadKind.lateVotes, value: { votes: late } })])
    expect(chain.ledger.validators.get(3)?.participation).toBe(3)
    const next = keeper.forBlockOn(chain.ledger)
    expect(next.map(({ back, validator }) => [back, validator])).toEqual([[1, 3]])
  })

  test('are genuine: nobody pushes out the votes of another', () => {
    const chain = new SampleChain()
    const keeper = new VoteKeeper(chain.ledger)
    chain.runTo(6)
    keeper.add(vote(chain, 4, 3, finalize))
    const { statement, signature } = vote(chain, 4, 2)
    for (let i = 50; i < 90; i++) {
      const other = { ...statement, hash: new Uint8Array(32).fill(i) }
      const forged: Vote = { statement: other, signature, validator: 3 }
      expect(keeper.add(forged)).toBe(false)
    }
    expect(keeper.forBlockOn(chain.ledger)).toMatchObject([{ back: 2, kind: finalize }])
    // Its own do: a validator that signs everything loses only its own participation.
    for (let view = 50; view < 70; view++) {
      const { statement } = vote(chain, 5, 3)
      const other = { ...statement, view, hash: new Uint8Array(32).fill(view) }
      const { secretKey } = keyOf('validator-3')
      keeper.add({ ...signedStatement(chain.chainId, other, secretKey), validator: 3 })
    }
    expect(keeper.forBlockOn(chain.ledger)).toEqual([])
  })

  test('are votes for blocks by members of known sets, and go with their epoch', () => {
    const chain = new SampleChain()
    const keeper = new VoteKeeper(chain.ledger)
    chain.runTo(9)
    keeper.add(vote(chain, 5, 3, nullify))
    // The set is known, and nobody stands there; what is said of a later epoch cannot be judged.
    expect(keeper.add({ ...vote(chain, 5, 3), validator: 9 })).toBe(false)
    expect(keeper.add(vote(chain, 500, 3))).toBe(true)
    // What a decoder lets through: nothing of it may throw.
    for (const epoch of [0, 1, 2 ** 53, 2 ** 60, Number.POSITIVE_INFINITY]) {
      const { statement, ...rest } = vote(chain, 5, 3)
      keeper.add({ ...rest, statement: { ...statement, epoch, view: epoch } })
    }
    expect(keeper.forBlockOn(chain.ledger)).toEqual([])
    keeper.add(vote(chain, 8, 3))
    chain.runTo(12)
    keeper.afterBlock()
    expect(keeper.forBlockOn(chain.ledger)).toHaveLength(1)
    chain.runTo(21)
    keeper.afterBlock()
    // Of an epoch that is over for long none is taken in any more.
    keeper.add(vote(chain, 9, 3))
    expect(keeper.forBlockOn(chain.ledger)).toEqual([])
  })
})
