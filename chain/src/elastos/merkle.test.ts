import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { asInternalHash, ZERO_INTERNAL_HASH } from './hash-orientation.ts'
import { merkleBranch, merkleRoot, verifyTransactionInclusion } from './merkle.ts'
import { resolvePartialTree } from './merkle-block.ts'

const ids = fc
  .uniqueArray(fc.uint8Array({ minLength: 32, maxLength: 32 }), {
    minLength: 1,
    maxLength: 40,
    selector: (bytes) => bytes.join(),
  })
  .map((list) => list.map(asInternalHash))

describe('Merkle branches', () => {
  test('every leaf proves its place and no other', () => {
    fc.assert(
      fc.property(ids, fc.nat(), (list, pick) => {
        const index = pick % list.length
        const id = list[index] ?? ZERO_INTERNAL_HASH
        const branch = merkleBranch(list, index)
        const root = merkleRoot(list)
        expect(verifyTransactionInclusion(id, branch, index, root).ok).toBe(true)
        for (let other = 0; other < 2 ** branch.length; other++) {
          const proven = verifyTransactionInclusion(id, branch, other, root).ok
          expect(proven).toBe(other === index)
        }
        expect(verifyTransactionInclusion(id, branch, 2 ** branch.length, root)).toMatchObject({
          fault: { code: 'MAIN_BRANCH_INDEX' },
        })
        expect(verifyTransactionInclusion(ZERO_INTERNAL_HASH, branch, index, root).ok).toBe(false)
      }),
    )
  })

  test('the copy of a doubled last leaf is not a place', () => {
    const list = [1, 2, 3].map((byte) => asInternalHash(new Uint8Array(32).fill(byte)))
    const id = list[2] ?? ZERO_INTERNAL_HASH
    const branch = merkleBranch(list, 2)
    expect(verifyTransactionInclusion(id, branch, 2, merkleRoot(list)).ok).toBe(true)
    expect(verifyTransactionInclusion(id, branch, 3, merkleRoot(list))).toMatchObject({
      fault: { code: 'MAIN_BRANCH_INDEX' },
    })
  })

  test('malformed branches', () => {
    const long = Array.from({ length: 33 }, () => ZERO_INTERNAL_HASH)
    const code = (branch: Uint8Array[], index: number) => {
      const proven = verifyTransactionInclusion(
        ZERO_INTERNAL_HASH,
        branch,
        index,
        new Uint8Array(32),
      )
      return proven.ok ? undefined : proven.fault.code
    }
    expect(code(long, 0)).toBe('MAIN_BRANCH_MALFORMED')
    expect(code([new Uint8Array(31)], 0)).toBe('MAIN_BRANCH_MALFORMED')
    expect(code([new Uint8Array(32)], -1)).toBe('MAIN_BRANCH_INDEX')
    expect(code([new Uint8Array(32)], 0.5)).toBe('MAIN_BRANCH_INDEX')
    expect(code([new Uint8Array(32)], 0)).toBe('MAIN_BRANCH_ROOT')
  })
})

describe('partial trees', () => {
  const hash = asInternalHash(new Uint8Array(32).fill(1))
  const malformed = (tree: Parameters<typeof resolvePartialTree>[0]) => {
    const resolved = resolvePartialTree(tree)
    return resolved.ok ? undefined : resolved.fault.code
  }

  test('too few or too many hashes and flags, doubled subtrees', () => {
    const flags = Uint8Array.of(1)
    expect(malformed({ transactionCount: 1, hashes: [hash], flags })).toBeUndefined()
    const cases = [
      { transactionCount: 0, hashes: [hash], flags },
      { transactionCount: 10_001, hashes: [hash], flags },
      { transactionCount: 1, hashes: [], flags },
      { transactionCount: 1, hashes: [hash, hash], flags },
      { transactionCount: 1, hashes: [hash], flags: new Uint8Array(0) },
      { transactionCount: 1, hashes: [hash], flags: Uint8Array.of(1, 0) },
      { transactionCount: 2, hashes: [hash, hash], flags: Uint8Array.of(7) },
    ]
    for (const tree of cases) expect(malformed(tree)).toBe('MAIN_TREE_MALFORMED')
  })
})
