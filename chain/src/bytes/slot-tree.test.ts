import { createHash } from 'node:crypto'
import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { hasher as asSha256Hasher } from '@chainsafe/persistent-merkle-tree/hasher/as-sha256'
import { hasher as hashtreeHasher } from '@chainsafe/persistent-merkle-tree/hasher/hashtree'
import { hasher as nobleHasher } from '@chainsafe/persistent-merkle-tree/hasher/noble'
import { ByteVectorType } from '@chainsafe/ssz'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bytesToHex } from './hex.ts'
import {
  blockPathFrom,
  blockPaths,
  firstFalseOpening,
  LEAF_BYTES,
  openingFrom,
  openingPathLength,
  rootOfBlockHashes,
  SLOT_BLOCK_BYTES,
  SLOT_LEAVES_MAX,
  type SlotTree,
  SlotTreeBuilder,
  slotBlockBytes,
  slotBlockCount,
  slotLeafCount,
  slotRoot,
  verifyBlock,
  verifyOpening,
} from './slot-tree.ts'

setHasher(hashtreeHasher)

/** Bytes that depend on the seed and never repeat. */
function patternBytes(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let at = 0; at < length; at += 32) {
    const digest = createHash('sha256').update(`${seed}:${at}`).digest()
    bytes.set(digest.subarray(0, Math.min(32, length - at)), at)
  }
  return bytes
}

function treeOf(slot: Uint8Array): SlotTree {
  const builder = new SlotTreeBuilder()
  for (let at = 0; at < slot.length; at += SLOT_BLOCK_BYTES) {
    builder.append(slot.subarray(at, at + SLOT_BLOCK_BYTES))
  }
  return builder.finish()
}

function blockOf(slot: Uint8Array, leafCount: number, blockIndex: number): Uint8Array {
  const start = blockIndex * SLOT_BLOCK_BYTES
  return slot.slice(start, start + slotBlockBytes(leafCount, blockIndex))
}

function openingOf(slot: Uint8Array, tree: SlotTree, leafIndex: number) {
  const blockBytes = blockOf(slot, tree.leafCount, Math.floor(leafIndex / 256))
  const opened = openingFrom({ ...tree, leafIndex, blockBytes })
  if (!opened.ok) throw new Error(opened.fault.message)
  return opened.value
}

/** Around every power of two up to three blocks and a bit. */
const leafCounts = [1, 2, 3, 4, 5, 7, 8, 9, 31, 33, 128, 255, 256, 257, 300, 511, 512, 513, 769]

describe('slot root', () => {
  test.each(leafCounts)('of %i leaves is the SSZ root of the bytes', (leafCount) => {
    const slot = patternBytes(leafCount * LEAF_BYTES)
    const sszRoot = new ByteVectorType(slot.length).hashTreeRoot(slot)
    expect(bytesToHex(slotRoot(slot))).toBe(bytesToHex(sszRoot))
  })

  test('pads the last leaf with zero bytes', () => {
    const slot = patternBytes(65_536 + 700)
    const padded = new Uint8Array(slotLeafCount(slot.length) * LEAF_BYTES)
    padded.set(slot)
    expect(slotRoot(slot)).toEqual(slotRoot(padded))
    expect(treeOf(slot).leafCount).toBe(256 + 3)
  })

  test('does not change the bytes it hashes', () => {
    const slot = patternBytes(70_000)
    const before = bytesToHex(slot)
    slotRoot(slot)
    expect(bytesToHex(slot)).toBe(before)
  })

  test('is the same with every hasher', () => {
    const slot = patternBytes(3 * 65_536 + 5 * 256)
    const roots = [nobleHasher, asSha256Hasher, hashtreeHasher].map((hasher) => {
      setHasher(hasher)
      return bytesToHex(slotRoot(slot))
    })
    expect(new Set(roots).size).toBe(1)
  })

  test('known value: one zero leaf', () => {
    expect(bytesToHex(slotRoot(new Uint8Array(1)))).toBe(
      'c78009fdf07fc56a11f122370658a353aaa542ed63e44c4bc15ff4cd105ab33c',
    )
  })
})

describe('builder', () => {
  test('goes on from saved block hashes', () => {
    const slot = patternBytes(3 * SLOT_BLOCK_BYTES + 1000)
    const whole = treeOf(slot)
    const builder = new SlotTreeBuilder(whole.blockHashes.slice(0, 2 * 32))
    expect(builder.blockCount).toBe(2)
    builder.append(slot.subarray(2 * SLOT_BLOCK_BYTES, 3 * SLOT_BLOCK_BYTES))
    builder.append(slot.subarray(3 * SLOT_BLOCK_BYTES))
    expect(builder.finish()).toEqual(whole)
  })

  test('keeps one hash per block, which give the root again', () => {
    const tree = treeOf(patternBytes(40 * SLOT_BLOCK_BYTES))
    expect(tree.blockHashes.length).toBe(40 * 32)
    expect(rootOfBlockHashes(tree.blockHashes, tree.leafCount)).toEqual(tree.root)
  })

  test('refuses what our own code must not do', () => {
    expect(() => new SlotTreeBuilder().finish()).toThrow('at least one leaf')
    expect(() => new SlotTreeBuilder().append(new Uint8Array(0))).toThrow('1 to 65,536')
    const builder = new SlotTreeBuilder()
    builder.append(new Uint8Array(512))
    expect(() => builder.append(new Uint8Array(512))).toThrow('short block')
    const full = new SlotTreeBuilder(new Uint8Array(32 * slotBlockCount(SLOT_LEAVES_MAX)))
    expect(() => full.append(new Uint8Array(1))).toThrow('at most 2^22')
  })
})

describe('opening', () => {
  test.each([
    [1, 0],
    [2, 1],
    [3, 2],
    [256, 8],
    [257, 9],
    [SLOT_LEAVES_MAX, 22],
  ])('of %i leaves has a path of %i', (leafCount, length) => {
    expect(openingPathLength(leafCount)).toBe(length)
  })

  test.each(leafCounts)('every drawn leaf of %i verifies', (leafCount) => {
    const slot = patternBytes(leafCount * LEAF_BYTES)
    const tree = treeOf(slot)
    const drawn = new Set([0, leafCount - 1, leafCount >> 1, Math.min(255, leafCount - 1)])
    for (const leafIndex of drawn) {
      const { leaf, path } = openingOf(slot, tree, leafIndex)
      expect(path.length).toBe(openingPathLength(leafCount))
      expect(leaf).toEqual(slot.slice(leafIndex * LEAF_BYTES, (leafIndex + 1) * LEAF_BYTES))
      expect(verifyOpening({ ...tree, leafIndex, leaf, path })).toBe(true)
    }
  })

  test('of the largest slot verifies (all blocks zero but one)', () => {
    const blocks = slotBlockCount(SLOT_LEAVES_MAX)
    const zeroBlock = new Uint8Array(SLOT_BLOCK_BYTES)
    const zeroHash = treeOf(zeroBlock).blockHashes
    const blockHashes = new Uint8Array(32 * blocks)
    for (let i = 0; i < blocks; i++) blockHashes.set(zeroHash, 32 * i)
    const blockBytes = patternBytes(SLOT_BLOCK_BYTES)
    const last = blocks - 1
    blockHashes.set(treeOf(blockBytes).blockHashes, 32 * last)
    const leafCount = SLOT_LEAVES_MAX
    const leafIndex = SLOT_LEAVES_MAX - 3
    const root = rootOfBlockHashes(blockHashes, leafCount)
    const opened = openingFrom({ blockHashes, leafCount, leafIndex, blockBytes })
    if (!opened.ok) throw new Error(opened.fault.message)
    expect(verifyOpening({ root, leafCount, leafIndex, ...opened.value })).toBe(true)
  })

  test('fails when any byte, index, count or length is changed', () => {
    const slot = patternBytes(300 * LEAF_BYTES)
    const tree = treeOf(slot)
    const positions = fc.record({
      leafIndex: fc.nat(299),
      node: fc.nat(10),
      byte: fc.nat(255),
      flip: fc.integer({ min: 1, max: 255 }),
    })
    fc.assert(
      fc.property(positions, ({ leafIndex, node, byte, flip }) => {
        const opening = openingOf(slot, tree, leafIndex)
        const nodes = [opening.leaf, ...opening.path]
        const changed = nodes[node % nodes.length] as Uint8Array
        changed[byte % changed.length]! ^= flip
        expect(verifyOpening({ ...tree, leafIndex, ...opening })).toBe(false)
        changed[byte % changed.length]! ^= flip
        expect(verifyOpening({ ...tree, leafIndex: leafIndex ^ 1, ...opening })).toBe(false)
        const longer = [...opening.path, new Uint8Array(32)]
        expect(verifyOpening({ ...tree, leafIndex, ...opening, path: longer })).toBe(false)
        const shorter = opening.path.slice(1)
        expect(verifyOpening({ ...tree, leafIndex, ...opening, path: shorter })).toBe(false)
      }),
      { numRuns: 50 },
    )
  })

  test('of many at once, from slots of any size, the first false one is named', () => {
    const slots = [1, 2, 5, 256, 300, 700].map((leaves, seed) => {
      const bytes = patternBytes(leaves * LEAF_BYTES, seed)
      return { bytes, tree: treeOf(bytes) }
    })
    const pick = fc.record({ slot: fc.nat(5), leaf: fc.nat(), flaw: fc.nat(12) })
    let found = 0
    fc.assert(
      fc.property(fc.array(pick, { maxLength: 9 }), (picks) => {
        const claims = picks.map(({ slot, leaf, flaw }) => {
          const { bytes, tree } = slots[slot] as (typeof slots)[number]
          const leafIndex = leaf % tree.leafCount
          const claim = { ...tree, leafIndex, ...openingOf(bytes, tree, leafIndex) }
          if (flaw === 0) return { ...claim, root: claim.root.map((byte) => byte ^ 1) }
          if (flaw === 1) return { ...claim, leaf: claim.leaf.map((byte) => byte ^ 1) }
          if (flaw === 2) return { ...claim, path: [...claim.path, claim.root] }
          if (flaw === 3 && claim.path.length > 0) {
            return { ...claim, path: claim.path.with(-1, new Uint8Array(32)) }
          }
          return flaw === 4 ? { ...claim, leafIndex: tree.leafCount } : claim
        })
        const expected = claims.findIndex((claim) => !verifyOpening(claim))
        const hasFlaw = ({ flaw, slot }: { flaw: number; slot: number }) =>
          flaw < 5 && !(flaw === 3 && slot === 0)
        expect(expected).toBe(picks.findIndex(hasFlaw))
        expect(firstFalseOpening(claims) ?? -1).toBe(expected)
        if (expected > 0) found++
      }),
    )
    expect(found).toBeGreaterThan(10)
  })

  test('hostile shapes are false, never an exception', () => {
    const slot = patternBytes(5 * LEAF_BYTES)
    const tree = treeOf(slot)
    const good = { ...tree, leafIndex: 2, ...openingOf(slot, tree, 2) }
    expect(verifyOpening(good)).toBe(true)
    for (const leafCount of [0, -1, 1.5, Number.NaN, SLOT_LEAVES_MAX + 1, 2 ** 40]) {
      expect(verifyOpening({ ...good, leafCount })).toBe(false)
    }
    for (const leafIndex of [-1, 5, 0.5, Number.NaN, 2 ** 32 + 2]) {
      expect(verifyOpening({ ...good, leafIndex })).toBe(false)
    }
    expect(verifyOpening({ ...good, leaf: good.leaf.slice(1) })).toBe(false)
    expect(verifyOpening({ ...good, root: good.root.slice(1) })).toBe(false)
    const crooked = good.path.map((hash) => hash.slice(1))
    expect(verifyOpening({ ...good, path: crooked })).toBe(false)
  })

  test('keeps no view of the memory it was built from', () => {
    const slot = Buffer.from(patternBytes(2 * SLOT_BLOCK_BYTES))
    const tree = treeOf(slot)
    const blockHashes = Buffer.from(tree.blockHashes)
    const blockBytes = Buffer.from(slot.subarray(SLOT_BLOCK_BYTES))
    const opened = openingFrom({ ...tree, blockHashes, leafIndex: 300, blockBytes })
    const oneBlock = Buffer.from(treeOf(blockBytes).blockHashes)
    const root = rootOfBlockHashes(oneBlock, 256)
    if (!opened.ok) throw new Error(opened.fault.message)
    for (const memory of [blockHashes, blockBytes, oneBlock]) memory.fill(0)
    expect(verifyOpening({ ...tree, leafIndex: 300, ...opened.value })).toBe(true)
    expect(root).toEqual(slotRoot(slot.subarray(SLOT_BLOCK_BYTES)))
  })

  test('a damaged block gives a fault instead of a proof that fails', () => {
    const slot = patternBytes(2 * SLOT_BLOCK_BYTES)
    const tree = treeOf(slot)
    const blockBytes = blockOf(slot, tree.leafCount, 1)
    blockBytes[40_000]! ^= 1
    const opened = openingFrom({ ...tree, leafIndex: 256, blockBytes })
    expect(opened).toMatchObject({ ok: false, fault: { code: 'BLOCK_DAMAGED' } })
    const short = openingFrom({ ...tree, leafIndex: 256, blockBytes: blockBytes.slice(1) })
    expect(short).toMatchObject({ ok: false, fault: { code: 'BLOCK_DAMAGED' } })
  })
})

describe('block proof', () => {
  test.each([3, 256, 257, 769])('every block of %i leaves verifies, changed ones not', (leaves) => {
    const slot = patternBytes(leaves * LEAF_BYTES)
    const tree = treeOf(slot)
    for (let blockIndex = 0; blockIndex < slotBlockCount(leaves); blockIndex++) {
      const block = blockOf(slot, leaves, blockIndex)
      const path = blockPathFrom({ ...tree, blockIndex })
      expect(blockPaths(tree)(blockIndex)).toEqual(path)
      expect(verifyBlock({ ...tree, blockIndex, block, path })).toBe(true)
      expect(verifyBlock({ ...tree, blockIndex: blockIndex + 1, block, path })).toBe(false)
      expect(verifyBlock({ ...tree, blockIndex, block: block.slice(1), path })).toBe(false)
      block[block.length - 1]! ^= 0x80
      expect(verifyBlock({ ...tree, blockIndex, block, path })).toBe(false)
    }
  })
})
