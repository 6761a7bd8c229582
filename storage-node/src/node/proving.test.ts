import { randomBytes } from 'node:crypto'
import { rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { snapshotOf } from '@ioex/chain/rules'
import { NONE, OPENINGS } from '@ioex/chain/types'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { keyOf } from '../../../chain/src/rules/testing/sample-chain.ts'
import { slotKey } from '../blobs/slot-record.ts'
import { SlotStore } from '../blobs/slot-store.ts'
import { buildProve, SlotLostError } from './proving.ts'
import { StorageWorld } from './testing/storage-world.ts'

let world: StorageWorld
beforeEach(async () => {
  world = await StorageWorld.start({ params: { fillDeadlineEpochs: 60 } })
  await world.startPeers(3)
})
afterEach(() => world.stop())

test('a slot with no rail noted is proven, one on a failing disk later, one that is gone is lost', async () => {
  const source = join(world.folder, 'source')
  await writeFile(source, randomBytes(100_000))
  const client = await world.client('alice')
  const files = [{ source, path: 'file' }]
  await client.put({ files, termEpochs: 100, redundancy: { k: 1, n: 1 } })
  const rail = (await world.chain.contract(0))?.rails[0]?.rail ?? NONE
  const index = (await world.chain.rail(rail))?.node ?? NONE
  const node = await world.chain.nodeAt(index)
  const name = ['peer-0', 'peer-1', 'peer-2'].find((one) =>
    Buffer.from(keyOf(one).publicKey).equals(Buffer.from(node?.nodeKey ?? [])),
  ) as string
  await world.stopPeer(name)
  const store = await SlotStore.open(join(world.folder, name, 'slots'), 2 ** 30)
  const [record] = store.records()
  if (!node || !record) throw new Error('the slot was stored')
  // As after a fill that is final before the keeper has looked at the rails.
  await store.update(record, { rail: NONE, generation: 0 })
  const epoch = world.chain.sample.epoch + 1
  const challenge = {
    epoch,
    openedAt: 0,
    seed: new Uint8Array(randomBytes(32)),
    snapshot: snapshotOf(node, epoch),
  }
  const { value } = await buildProve(world.chain, store, index, challenge)
  expect(value.openings).toHaveLength(OPENINGS)
  const data = join(world.folder, name, 'slots', slotKey(record), 'data')
  await rename(data, `${data}.aside`)
  // Every read of it fails with EIO.
  await symlink('/proc/self/mem', data)
  const failing = buildProve(world.chain, store, index, challenge)
  await expect(failing).rejects.toMatchObject({ code: 'DISK_UNAVAILABLE' })
  await rm(data)
  await rename(`${data}.aside`, data)
  await expect(buildProve(world.chain, store, index, challenge)).resolves.toBeDefined()
  const [noted] = store.records()
  if (noted) await store.delete(noted)
  const gone = buildProve(world.chain, store, index, challenge)
  await expect(gone).rejects.toBeInstanceOf(SlotLostError)
})
