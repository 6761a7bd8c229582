import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { ReceiptKind } from '@ioex/chain/types'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { StorageWorld } from './testing/storage-world.ts'

const EPOCH_BLOCKS = 256
let world: StorageWorld
beforeEach(async () => {
  world = await StorageWorld.start({ params: { epochBlocks: EPOCH_BLOCKS } })
  await world.startPeers(1)
}, 60_000)
afterEach(() => world.stop())

test('a node looks for challenges now and then in an epoch, and answers all in time', async () => {
  const { chain, folder } = world
  const source = join(folder, 'source')
  await writeFile(source, randomBytes(100_000))
  const client = await world.client('alice')
  const files = [{ source, path: 'file' }]
  await client.put({ files, termEpochs: 100, redundancy: { k: 1, n: 1 } })
  const receipts = (kind: number) => chain.receipts.filter(({ body }) => body.selector === kind)
  const asked = vi.spyOn(chain, 'node')
  const from = chain.sample.height
  const to = from + 8 * EPOCH_BLOCKS
  while (receipts(ReceiptKind.proof).length < 2 && chain.sample.height < to) {
    chain.tick()
    await setImmediate()
  }
  expect(receipts(ReceiptKind.proof).length).toBeGreaterThanOrEqual(2)
  expect(receipts(ReceiptKind.forfeit)).toEqual([])
  const blocks = chain.sample.height - from
  expect(asked.mock.calls.length).toBeLessThan(blocks / 2)
}, 60_000)
