import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sha256 } from './hash.ts'
import { bytesToHex } from './hex.ts'
import {
  buildSumTree,
  drawFromSumTree,
  type SumEntry,
  sumPathOf,
  sumTreeDepth,
  sumTreeHolds,
  updateSumTree,
  verifySumPath,
} from './sum-tree.ts'

const entry = fc.record<SumEntry>({
  rail: fc.nat(2 ** 32 - 1),
  generation: fc.nat(2 ** 32 - 1),
  weight: fc.oneof(fc.constant(0n), fc.bigInt(0n, 1n << 88n)),
})
const entries = fc.array(entry, { maxLength: 40 })

describe('sum tree', () => {
  test('hashes leaf and inner as documented', () => {
    const zero = new Uint8Array(32)
    const le = (value: bigint, bytes: number) =>
      Uint8Array.from({ length: bytes }, (_, i) => Number((value >> BigInt(8 * i)) & 255n))
    const leaf = (e: SumEntry) =>
      sha256(Uint8Array.of(0), le(BigInt(e.rail), 4), le(BigInt(e.generation), 4), le(e.weight, 16))
    const a = { rail: 7, generation: 1, weight: (1n << 70n) + 5n }
    const b = { rail: 8, generation: 0, weight: 3n }
    const c = { rail: 9, generation: 2, weight: 0n }
    expect(buildSumTree([])).toMatchObject({ root: zero, sum: 0n, count: 0 })
    expect(bytesToHex(buildSumTree([a]).root)).toBe(bytesToHex(leaf(a)))
    const inner = (l: Uint8Array, ls: bigint, r: Uint8Array, rs: bigint) =>
      sha256(Uint8Array.of(1), l, le(ls, 16), r, le(rs, 16))
    const left = inner(leaf(a), a.weight, leaf(b), b.weight)
    const right = inner(leaf(c), 0n, zero, 0n)
    const tree = buildSumTree([a, b, c])
    expect(bytesToHex(tree.root)).toBe(bytesToHex(inner(left, a.weight + 3n, right, 0n)))
    expect(tree.sum).toBe(a.weight + 3n)
  })

  test('depth fits the count', () => {
    expect([0, 1, 2, 3, 4, 5, 8, 9, 2 ** 32].map(sumTreeDepth)).toEqual([
      0, 0, 1, 2, 2, 3, 3, 4, 32,
    ])
  })

  test('every position opens the entry whose stretch holds it, and no other', () => {
    fc.assert(
      fc.property(entries, fc.bigInt(0n, 1n << 128n), fc.nat(), (list, wide, other) => {
        const tree = buildSumTree(list)
        fc.pre(tree.sum > 0n)
        const position = wide % tree.sum
        const index = drawFromSumTree(tree, position)
        let start = 0n
        for (const before of list.slice(0, index)) start += before.weight
        const drawn = list[index] as SumEntry
        expect(position >= start && position < start + drawn.weight).toBe(true)
        const path = sumPathOf(tree, index)
        expect(verifySumPath(tree, { index, entry: drawn, path, position })).toBe(true)
        const wrong = other % list.length
        if (wrong === index) return
        const proof = { index: wrong, entry: list[wrong] as SumEntry, position }
        expect(verifySumPath(tree, { ...proof, path: sumPathOf(tree, wrong) })).toBe(false)
      }),
    )
  })

  test('the whole tree answers as its root does, for proofs good and bad', () => {
    const flaw = fc.record({ kind: fc.nat(9), at: fc.nat(40), by: fc.bigInt(-3n, 3n) })
    const met = { true: 0, false: 0 }
    fc.assert(
      fc.property(entries, fc.bigInt(0n, 1n << 128n), flaw, (list, wide, { kind, at, by }) => {
        const tree = buildSumTree(list)
        fc.pre(tree.sum > 0n)
        const index = drawFromSumTree(tree, wide % tree.sum)
        const path = [...sumPathOf(tree, index)]
        const good = { index, entry: list[index] as SumEntry, path, position: wide % tree.sum }
        const sibling = path[at % path.length]
        const claims = [
          { ...good, index: at },
          { ...good, index: index + 0.5 },
          { ...good, position: good.position + by },
          { ...good, entry: { ...good.entry, weight: good.entry.weight + by } },
          { ...good, entry: list[at % list.length] as SumEntry },
          { ...good, path: path.slice(1) },
          { ...good, path: sibling ? [...path, sibling] : path },
          { ...good, path: path.map((node) => ({ ...node, sum: node.sum + by })) },
          {
            ...good,
            path: sibling ? path.with(at % path.length, { ...sibling, hash: tree.root }) : path,
          },
          good,
        ]
        const claim = claims[kind] as typeof good
        const answer = sumTreeHolds(tree, list, claim)
        met[`${answer}`]++
        // A leaf's own weight may come out negative here, which no decoder lets through.
        if (claim.entry.weight >= 0n) expect(answer).toBe(verifySumPath(tree, claim))
        else expect(answer).toBe(false)
      }),
      { numRuns: 500 },
    )
    expect(met.true).toBeGreaterThan(20)
    expect(met.false).toBeGreaterThan(100)
  })

  test('a changed proof is refused', () => {
    const list = Array.from({ length: 11 }, (_, rail) => ({
      rail,
      generation: 0,
      weight: BigInt(100 + rail),
    }))
    const tree = buildSumTree(list)
    fc.assert(
      fc.property(fc.bigInt(0n, tree.sum - 1n), fc.nat(6), (position, kind) => {
        const index = drawFromSumTree(tree, position)
        const good = {
          index,
          entry: list[index] as SumEntry,
          path: sumPathOf(tree, index),
          position,
        }
        expect(verifySumPath(tree, good)).toBe(true)
        const first = good.path[0] as { hash: Uint8Array; sum: bigint }
        const bad = [
          { ...good, entry: { ...good.entry, weight: good.entry.weight + 1n } },
          { ...good, entry: { ...good.entry, generation: 1 } },
          { ...good, path: good.path.slice(1) },
          { ...good, path: [...good.path, first] },
          { ...good, path: [{ ...first, sum: first.sum + 1n }, ...good.path.slice(1)] },
          { ...good, path: [{ ...first, sum: (1n << 128n) - 1n }, ...good.path.slice(1)] },
          { ...good, index: index ^ 1 },
        ][kind] as typeof good
        expect(verifySumPath(tree, bad)).toBe(false)
      }),
    )
  })

  test('an update equals a new build', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('add' as const), entry }),
      fc.record({ kind: fc.constant('set' as const), at: fc.nat(), entry }),
      fc.record({ kind: fc.constant('swapRemove' as const), at: fc.nat() }),
    )
    fc.assert(
      fc.property(entries, fc.array(step, { maxLength: 30 }), (start, steps) => {
        let list = start
        let tree = buildSumTree(list)
        for (const change of steps) {
          const next = [...list]
          let touched: number[] = []
          if (change.kind === 'add') next.push(change.entry)
          else if (list.length > 0) {
            const at = change.at % list.length
            if (change.kind === 'set') next[at] = change.entry
            else {
              const last = next.pop() as SumEntry
              if (at < next.length) next[at] = last
            }
            touched = [at]
          }
          tree = updateSumTree(tree, next, touched)
          list = next
          const fresh = buildSumTree(list)
          expect(bytesToHex(tree.root)).toBe(bytesToHex(fresh.root))
          expect([tree.sum, tree.count]).toEqual([fresh.sum, fresh.count])
          expect(tree.levels.map((level) => level.length)).toEqual(
            fresh.levels.map((level) => level.length),
          )
        }
      }),
    )
  })
})
