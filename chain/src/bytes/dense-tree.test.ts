import { ByteVectorType, ListCompositeType } from '@chainsafe/ssz'
import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { hasher as asSha256 } from '@chainsafe/persistent-merkle-tree/hasher/as-sha256'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { denseDepth, DenseTree, leafRow, overlayRows, verifyDenseProof } from './dense-tree.ts'
import { sha256 } from './hash.ts'
import { bytesToHex, concatBytes } from './hex.ts'

setHasher(asSha256)

const leaf = (value: number) => sha256(Uint8Array.of(value & 255, (value >> 8) & 255, value >> 16))

/** The definition, straight from the SSZ library: a list whose limit is the next power of two. */
function sszRoot(leaves: readonly Uint8Array[]): string {
  const limit = 2 ** denseDepth(leaves.length)
  const type = new ListCompositeType(new ByteVectorType(32), limit)
  return bytesToHex(type.hashTreeRoot([...leaves]))
}

const changesArbitrary = fc.array(
  fc.array(fc.tuple(fc.nat(400), fc.nat(70_000)), { minLength: 1, maxLength: 40 }),
  { minLength: 1, maxLength: 8 },
)

/** Turns random writes into legal ones: beyond the end they append. */
function legal(count: number, writes: readonly (readonly [number, number])[]) {
  const changes = new Map<number, Uint8Array>()
  let end = count
  for (const [at, value] of writes) {
    const index = at < end ? at : end++
    changes.set(index, leaf(value))
  }
  return changes
}

describe('DenseTree', () => {
  test('equals the SSZ list root after any sequence of writes', () => {
    fc.assert(
      fc.property(changesArbitrary, (rounds) => {
        const tree = new DenseTree()
        const model: Uint8Array[] = []
        for (const writes of rounds) {
          const changes = legal(model.length, writes)
          const before = bytesToHex(tree.root())
          const speculative = bytesToHex(tree.rootWith(leafRow(changes)))
          expect(bytesToHex(tree.root())).toBe(before)
          for (const [index, value] of changes) model[index] = value
          tree.apply(leafRow(changes))
          expect(bytesToHex(tree.root())).toBe(sszRoot(model))
          expect(speculative).toBe(sszRoot(model))
          expect(tree.count).toBe(model.length)
        }
      }),
    )
  })

  test('a row over another row counts where both have a leaf', () => {
    const writes = fc.array(fc.tuple(fc.nat(30), fc.nat(70_000)), { maxLength: 20 })
    fc.assert(
      fc.property(writes, writes, (below, above) => {
        const of = (entries: readonly (readonly [number, number])[]) =>
          new Map(entries.map(([index, value]) => [index, leaf(value)]))
        const both = overlayRows(leafRow(of(below)), leafRow(of(above)))
        expect(both).toEqual(leafRow(new Map([...of(below), ...of(above)])))
      }),
    )
  })

  test('bulk build equals growth one by one', () => {
    for (const count of [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 33, 100]) {
      const leaves = Array.from({ length: count }, (_, i) => leaf(i))
      const grown = new DenseTree()
      for (const [index, value] of leaves.entries()) grown.apply(leafRow(new Map([[index, value]])))
      const built = DenseTree.fromLeaves(concatBytes(...leaves))
      expect(bytesToHex(built.root())).toBe(sszRoot(leaves))
      expect(bytesToHex(grown.root())).toBe(sszRoot(leaves))
      if (count > 0) expect(built.leaf(count - 1)).toEqual(leaves[count - 1])
    }
  })

  test('a built tree goes on growing', () => {
    const tree = DenseTree.fromLeaves(concatBytes(leaf(0), leaf(1), leaf(2)))
    tree.apply(
      leafRow(
        new Map([
          [4, leaf(4)],
          [3, leaf(3)],
        ]),
      ),
    )
    expect(bytesToHex(tree.root())).toBe(sszRoot([0, 1, 2, 3, 4].map(leaf)))
  })

  test('no change costs nothing and changes nothing', () => {
    const tree = DenseTree.fromLeaves(leaf(1))
    expect(tree.rootWith(leafRow(new Map()))).toEqual(tree.root())
    tree.apply(leafRow(new Map()))
    expect(tree.count).toBe(1)
  })

  test('every leaf proves; no other leaf, index, count or branch does', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 70 }), fc.nat(), fc.nat(), (count, pick, flip) => {
        const leaves = Array.from({ length: count }, (_, i) => leaf(i))
        const tree = DenseTree.fromLeaves(concatBytes(...leaves))
        const index = pick % count
        const root = tree.root()
        const branch = tree.proof(index)
        const own = leaves[index] as Uint8Array
        expect(verifyDenseProof(root, own, index, count, branch)).toBe(true)
        expect(verifyDenseProof(root, leaf(count), index, count, branch)).toBe(false)
        expect(verifyDenseProof(root, own, index ^ 1, count, branch)).toBe(false)
        expect(verifyDenseProof(root, own, index, count + 1, branch)).toBe(false)
        const broken = branch.map((node) => node.slice())
        const at = broken[flip % broken.length] as Uint8Array
        at[flip % 32] = (at[flip % 32] as number) ^ 1
        expect(verifyDenseProof(root, own, index, count, broken)).toBe(false)
        expect(verifyDenseProof(root, own, index, count, branch.slice(1))).toBe(false)
      }),
    )
  })

  test('refuses a gap and a short leaf: bugs of the caller', () => {
    const tree = DenseTree.fromLeaves(leaf(1))
    expect(() => tree.apply(leafRow(new Map([[2, leaf(2)]])))).toThrow('without gaps')
    expect(() => leafRow(new Map([[0, new Uint8Array(31)]]))).toThrow('32 bytes')
    const twice = { indexes: Uint32Array.of(0, 0), leaves: concatBytes(leaf(1), leaf(2)) }
    expect(() => tree.apply(twice)).toThrow('ascends')
    expect(() => tree.proof(1)).toThrow('no leaf')
  })
})
