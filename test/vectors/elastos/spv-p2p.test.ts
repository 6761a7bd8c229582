import { bytesToHex, fromHex } from '@ioex/chain/bytes'
import {
  checkAuxPow,
  decodeMerkleBlock,
  decodeMerkleProof,
  decodeTransaction,
  encodeMerkleBlock,
  encodeMerkleProof,
  resolvePartialTree,
  toDisplayHash,
  toInternalHex,
} from '@ioex/chain/elastos'
import { describe, expect, test } from 'vitest'
import { faultCode, readVectors, valueOf } from './vector-file.ts'

interface MerkleBlockVector {
  readonly payload_hex: string
  readonly tx_messages_following?: readonly string[]
  readonly expected: {
    readonly height: number
    readonly block_hash_display: string
    readonly merkleroot_internal: string
    readonly transactions: number
    readonly hashes_internal: readonly string[]
    readonly flags_hex: string
    readonly matched_leaves: readonly { readonly pos: number; readonly hash: string }[]
  }
}

const file = readVectors<{
  merkleblocks: readonly MerkleBlockVector[]
  selective_filter: { merkleblocks: readonly MerkleBlockVector[] }
  merkle_proof: {
    raw: string
    block_hash_internal: string
    height: number
    transactions: number
    flags: string
    hashes_internal: readonly string[]
  }
}>('spv-p2p.json')

describe('spv-p2p.json: merkle blocks', () => {
  test.each([...file.merkleblocks, ...file.selective_filter.merkleblocks])(
    'block $expected.height with $expected.transactions transactions, flags $expected.flags_hex',
    ({ payload_hex, expected, tx_messages_following }) => {
      const block = valueOf(decodeMerkleBlock(fromHex(payload_hex)))
      expect(bytesToHex(encodeMerkleBlock(block))).toBe(payload_hex)
      expect(toDisplayHash(block.header.hash)).toBe(expected.block_hash_display)
      expect(block.header.header.height).toBe(expected.height)
      expect(block.tree.transactionCount).toBe(expected.transactions)
      expect(block.tree.hashes.map(toInternalHex)).toEqual(expected.hashes_internal)
      expect(faultCode(checkAuxPow(block.header.auxPow, block.header.hash))).toBeUndefined()
      const { root, matches } = valueOf(resolvePartialTree(block.tree))
      expect(toInternalHex(root)).toBe(expected.merkleroot_internal)
      expect(root).toEqual(block.header.header.merkleRoot)
      expect(matches.map(({ index, id }) => ({ pos: index, hash: toInternalHex(id) }))).toEqual(
        expected.matched_leaves,
      )
      const following = (tx_messages_following ?? []).map((hex) =>
        toInternalHex(valueOf(decodeTransaction(fromHex(hex))).id),
      )
      if (tx_messages_following) {
        expect(following).toEqual(expected.matched_leaves.map(({ hash }) => hash))
      }
    },
  )

  test('a stored Merkle proof', () => {
    const { merkle_proof: vector } = file
    const proof = valueOf(decodeMerkleProof(fromHex(vector.raw)))
    expect(bytesToHex(encodeMerkleProof(proof))).toBe(vector.raw)
    expect(toInternalHex(proof.blockHash)).toBe(vector.block_hash_internal)
    expect(proof.height).toBe(vector.height)
    expect(proof.tree.transactionCount).toBe(vector.transactions)
    expect(proof.tree.hashes.map(toInternalHex)).toEqual(vector.hashes_internal)
    expect(bytesToHex(proof.tree.flags)).toBe(vector.flags)
  })
})
