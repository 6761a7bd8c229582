import { ByteVectorType, ListCompositeType } from '@chainsafe/ssz'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bytesToHex } from './hex.ts'
import { checkListProof, proveListElement } from './list-proof.ts'

const Bytes32 = new ByteVectorType(32)
const roots = fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), {
  minLength: 1,
  maxLength: 40,
})

test('the root is that of the SSZ list, for every length, limit and index', () => {
  fc.assert(
    fc.property(roots, fc.integer({ min: 40, max: 70_000 }), fc.nat(), (leaves, limit, pick) => {
      const index = pick % leaves.length
      const proof = proveListElement(leaves, limit, index)
      const list = new ListCompositeType(Bytes32, limit)
      expect(bytesToHex(proof.root)).toBe(bytesToHex(list.hashTreeRoot(leaves)))
      expect(checkListProof(proof, limit).ok).toBe(true)
    }),
  )
})

test('any other leaf, index, sibling or length is refused', () => {
  fc.assert(
    fc.property(roots, fc.nat(), fc.nat({ max: 31 }), (leaves, pick, byte) => {
      const limit = 64
      const index = pick % leaves.length
      const proof = proveListElement(leaves, limit, index)
      const flip = (bytes: Uint8Array) => bytes.map((value, i) => (i === byte ? value ^ 1 : value))
      expect(checkListProof({ ...proof, leaf: flip(proof.leaf) }, limit).ok).toBe(false)
      expect(checkListProof({ ...proof, index: index + 64 }, limit).ok).toBe(false)
      expect(checkListProof({ ...proof, index: -1 }, limit).ok).toBe(false)
      expect(checkListProof({ ...proof, branch: proof.branch.slice(1) }, limit).ok).toBe(false)
      for (let i = 0; i < proof.branch.length; i++) {
        const branch = proof.branch.map((hash, at) => (at === i ? flip(hash) : hash))
        expect(checkListProof({ ...proof, branch }, limit).ok).toBe(false)
      }
    }),
    { numRuns: 30 },
  )
})
