import { randomBytes } from 'node:crypto'
import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { hasher } from '@chainsafe/persistent-merkle-tree/hasher/hashtree'
import { SlotTreeBuilder, verifyOpening } from '@ioex/chain/bytes'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { buildOpenings } from './build-openings.ts'

setHasher(hasher)

const slot = randomBytes(3 * 65_536 + 1024)

function treeOf(bytes: Uint8Array) {
  const builder = new SlotTreeBuilder()
  for (let at = 0; at < bytes.length; at += 65_536) builder.append(bytes.subarray(at, at + 65_536))
  return builder.finish()
}

const tree = treeOf(slot)

function storedSlot(bytes: Uint8Array, onRead?: (blockIndex: number) => void) {
  return {
    ...tree,
    async readBlock(blockIndex: number) {
      onRead?.(blockIndex)
      return bytes.subarray(blockIndex * 65_536, (blockIndex + 1) * 65_536)
    },
  }
}

test('openings of drawn leaves verify, in the order drawn', async () => {
  const drawn = fc.array(fc.nat(tree.leafCount - 1), { minLength: 1, maxLength: 8 })
  await fc.assert(
    fc.asyncProperty(drawn, async (leafIndexes) => {
      const openings = await buildOpenings(storedSlot(slot), leafIndexes)
      if (!openings.ok) throw new Error(openings.fault.message)
      const verified = openings.value.map((opening, i) =>
        verifyOpening({ ...tree, leafIndex: leafIndexes[i] as number, ...opening }),
      )
      expect(verified).toEqual(leafIndexes.map(() => true))
    }),
    { numRuns: 40 },
  )
})

test('each block is read once', async () => {
  const reads: number[] = []
  await buildOpenings(
    storedSlot(slot, (block) => reads.push(block)),
    [0, 255, 256, 3, 770, 256],
  )
  expect(reads).toEqual([0, 1, 3])
})

test('a disk that lost bytes gives a fault, one that fails its error', async () => {
  const damaged = Buffer.from(slot)
  damaged[65_536 + 9]! ^= 1
  expect(await buildOpenings(storedSlot(damaged), [300])).toMatchObject({
    ok: false,
    fault: { code: 'BLOCK_DAMAGED', facts: { blockIndex: 1 } },
  })
  expect((await buildOpenings(storedSlot(damaged), [3])).ok).toBe(true)
  expect((await buildOpenings(storedSlot(slot.subarray(0, 70_000)), [600])).ok).toBe(false)
  const failing = { ...tree, readBlock: () => Promise.reject(new Error('EIO')) }
  await expect(buildOpenings(failing, [3])).rejects.toThrow('EIO')
})
