import fc from 'fast-check'
import { MerkleTree } from 'merkletreejs'
import { describe, expect, test } from 'vitest'
import { bytesToHex } from '../bytes/hex.ts'
import {
  rewardCountLeaf,
  rewardLeafHash,
  rewardNodeHash,
  rewardProof,
  rewardRoot,
  verifyRewardCount,
  verifyRewardFee,
} from './reward-tree.ts'

const fees = fc.array(
  fc.record({
    node: fc.uint8Array({ minLength: 20, maxLength: 20 }),
    fee: fc.bigInt(0n, (1n << 64n) - 1n),
  }),
  { maxLength: 40 },
)

/** The stock library, given the documented leaves and node hash. */
function stockTree(leaves: Uint8Array[]): MerkleTree {
  const hash = (data: Buffer) => Buffer.from(rewardNodeHash(data))
  return new MerkleTree(
    leaves.map((leaf) => Buffer.from(leaf)),
    hash,
  )
}

describe('epoch reward tree', () => {
  test('a stock merkletreejs builds the same root and checks our proofs', () => {
    fc.assert(
      fc.property(fees, fc.nat(), (list, pick) => {
        const leaves = [rewardCountLeaf(list.length), ...list.map(rewardLeafHash)]
        const stock = stockTree(leaves)
        const root = rewardRoot(list)
        expect(bytesToHex(root)).toBe(stock.getRoot().toString('hex'))
        const index = (pick % (list.length + 1)) - 1
        const leaf = leaves[index + 1] as Uint8Array
        const proof = rewardProof(list, index)
        const steps = proof.map(({ position, data }) => ({ position, data: Buffer.from(data) }))
        expect(stock.verify(steps, Buffer.from(leaf), Buffer.from(root))).toBe(true)
        const theirs = stock.getProof(Buffer.from(leaf), index + 1) as typeof proof
        for (const found of [proof, theirs]) {
          const fee = list[index]
          const holds = fee
            ? verifyRewardFee(fee, found, root)
            : verifyRewardCount(list.length, found, root)
          expect(holds).toBe(true)
        }
      }),
    )
  })

  test('neither another fee, nor another count, nor a doubled last fee has the root', () => {
    const list = Array.from({ length: 5 }, (_, i) => ({
      node: new Uint8Array(20).fill(i),
      fee: BigInt(1000 + i),
    }))
    const root = rewardRoot(list)
    const fee = list[3] as (typeof list)[0]
    const proof = rewardProof(list, 3)
    expect(verifyRewardFee(fee, proof, root)).toBe(true)
    expect(verifyRewardFee({ ...fee, fee: 9999n }, proof, root)).toBe(false)
    expect(verifyRewardFee(fee, proof.slice(1), root)).toBe(false)
    expect(verifyRewardFee(fee, [...proof, ...proof, ...Array(40).fill(proof[0])], root)).toBe(
      false,
    )
    expect(verifyRewardCount(5, rewardProof(list, -1), root)).toBe(true)
    expect(verifyRewardCount(6, rewardProof(list, -1), root)).toBe(false)
    expect(rewardRoot([...list, list[4] as (typeof list)[0]])).not.toEqual(root)
  })

  test('an epoch without fees has a root too', () => {
    expect(verifyRewardCount(0, [], rewardRoot([]))).toBe(true)
  })
})
