import { presets } from '@ioex/genesis/presets'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sha256 } from '../bytes/hash.ts'
import { fromHex, utf8ToBytes } from '../bytes/hex.ts'
import {
  challengeClass,
  challengeLeaf,
  challengePosition,
  challengePositions,
  challengeRate,
  challengeSeed,
  fillLeaves,
  isChallenged,
  Q_ALWAYS,
  snapshotOf,
} from './challenge.ts'
import { newNode } from './new-node.ts'

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 })
const bytes20 = fc.uint8Array({ minLength: 20, maxLength: 20 })
const toBig = (bytes: Uint8Array) =>
  [...bytes].reduceRight((value, byte) => value * 256n + BigInt(byte), 0n)

describe('draws', () => {
  test('a node is challenged iff the first 8 bytes of H(beacon, node) are below q', () => {
    fc.assert(
      fc.property(bytes32, bytes20, fc.bigInt(0n, Q_ALWAYS - 1n), (beacon, node, q) => {
        const first = toBig(sha256(beacon, node).subarray(0, 8))
        expect(isChallenged(beacon, node, q)).toBe(first < q)
        expect(isChallenged(beacon, node, first)).toBe(false)
        if (first < Q_ALWAYS - 1n) expect(isChallenged(beacon, node, first + 1n)).toBe(true)
        expect(isChallenged(beacon, node, Q_ALWAYS)).toBe(true)
        expect(isChallenged(beacon, node, 0n)).toBe(false)
      }),
    )
  })

  test('positions and leaves are as documented and in range', () => {
    fc.assert(
      fc.property(
        bytes32,
        bytes20,
        fc.bigInt(1n, (1n << 128n) - 1n),
        fc.integer({ min: 1, max: 2 ** 22 }),
        (beacon, node, sum, leaves) => {
          const seed = challengeSeed(beacon, node)
          const positions = challengePositions(beacon, node, sum)
          expect(positions).toHaveLength(8)
          for (const [i, position] of positions.entries()) {
            expect(position).toBe(toBig(sha256(seed, Uint8Array.of(i, 0))) % sum)
            expect(position).toBe(challengePosition(seed, i, sum))
            const leaf = challengeLeaf(seed, i, leaves)
            expect(BigInt(leaf)).toBe(toBig(sha256(seed, Uint8Array.of(i, 1))) % BigInt(leaves))
          }
        },
      ),
    )
  })

  test('vectors', () => {
    const beacon = sha256(utf8ToBytes('beacon'))
    const node = fromHex('000102030405060708090a0b0c0d0e0f10111213')
    const seed = challengeSeed(beacon, node)
    expect(challengePositions(beacon, node, 1_000_000n)).toMatchInlineSnapshot(`
      [
        109920n,
        815772n,
        991192n,
        376968n,
        992553n,
        780098n,
        520073n,
        315102n,
      ]
    `)
    expect(
      Array.from({ length: 8 }, (_, i) => challengeLeaf(seed, i, 4096)),
    ).toMatchInlineSnapshot(`
      [
        3946,
        4048,
        2989,
        974,
        2456,
        303,
        1897,
        814,
      ]
    `)
    const root = sha256(utf8ToBytes('root'))
    expect(fillLeaves({ beacon, contract: 7, slot: 3, root, leaves: 4096 })).toMatchInlineSnapshot(`
      [
        3302,
        110,
        2192,
        1897,
        971,
        3411,
        2502,
        3991,
      ]
    `)
  })

  test('fill openings depend on beacon, contract, slot and root', () => {
    const base = {
      beacon: sha256(utf8ToBytes('a')),
      contract: 1,
      slot: 2,
      root: sha256(utf8ToBytes('r')),
      leaves: 2 ** 22,
    }
    const drawn = [
      base,
      { ...base, beacon: sha256(utf8ToBytes('b')) },
      { ...base, contract: 2 },
      { ...base, slot: 1 },
      { ...base, root: sha256(utf8ToBytes('s')) },
    ].map((fill) => fillLeaves(fill).join())
    expect(new Set(drawn).size).toBe(drawn.length)
    expect(fillLeaves({ ...base, leaves: 1 })).toEqual(Array.from({ length: 8 }, () => 0))
  })
})

describe('who is challenged how often', () => {
  const node = newNode({
    owner: new Uint8Array(20),
    nodeKey: new Uint8Array(33),
    payout: new Uint8Array(20),
    roles: 1,
    deposit: 0n,
    epoch: 0,
  })
  const at = (sum: bigint, bytes: number) => ({ root: new Uint8Array(32), sum, bytes, count: 1 })

  test('class by the snapshot, and always after a strike', () => {
    const params = presets.main
    const q = { q1: 5n, q2: 9n }
    expect(challengeClass(params, at(0n, 2 ** 40))).toBe(0)
    expect(challengeClass(params, at(1n, 2 ** 30))).toBe(1)
    expect(challengeClass(params, at(1n, 2 ** 30 - 1))).toBe(2)
    expect(challengeRate(params, node, q, at(1n, 2 ** 30))).toBe(5n)
    expect(challengeRate(params, node, q, at(1n, 1))).toBe(9n)
    expect(challengeRate(params, { ...node, strikes: 1 }, q, at(1n, 1))).toBe(Q_ALWAYS)
  })

  test('the snapshot of an epoch is what stood at the checkpoint before it', () => {
    const ring = [3, 7, 8].map((epoch) => ({ ...at(BigInt(epoch), epoch), epoch }))
    const held = { ...node, snapshots: ring, inventorySum: 99n, inventoryChanged: 8 }
    const sums = [1, 3, 4, 7, 8, 9, 20].map((epoch) => snapshotOf(held, epoch).sum)
    expect(sums).toEqual([3n, 3n, 7n, 7n, 8n, 99n, 99n])
  })
})
