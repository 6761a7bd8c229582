import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { NONE, PayloadKind, TopUpKind } from '@ioex/chain/types'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { keyOf } from '../../../chain/src/rules/testing/sample-chain.ts'
import type { StorageClient } from '../scheduler/storage-interfaces.ts'
import { nodeKeyOf, StorageWorld } from './testing/storage-world.ts'
import { OwnerAccount } from './transactions.ts'

vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 })
const soon = { timeout: 60_000, interval: 50 }
let world: StorageWorld
let client: StorageClient
beforeEach(async () => {
  world = await StorageWorld.start({ params: { fillDeadlineEpochs: 60, graceEpochs: 4 } })
  await world.startPeers(4)
  client = await world.client('alice')
})
afterEach(() => world.stop())

async function put(termEpochs: number, n: number): Promise<Buffer> {
  const content = randomBytes(80_000)
  const source = join(world.folder, 'source')
  await writeFile(source, content)
  const redundancy = { k: 1, n }
  await client.put({ files: [{ source, path: 'file' }], termEpochs, redundancy })
  return content
}

async function storedSlots(): Promise<number> {
  const statuses = await Promise.all([...world.peers.values()].map((peer) => peer.status()))
  return statuses.reduce((sum, { slots }) => sum + slots.stored, 0)
}

test('slots outlive their end by the grace, anyone may prolong them, then they are deleted', async () => {
  await put(6, 2)
  const contract = await world.chain.contract(0)
  const rails = contract?.rails.map(({ rail }) => rail) ?? []
  const [kept, ended] = rails as [number, number]
  const endOf = async (rail: number) => (await world.chain.rail(rail))?.end ?? 0
  const end = await endOf(ended)
  // Within the grace, by somebody who is neither payer nor node.
  await vi.waitFor(() => expect(world.chain.sample.epoch).toBeGreaterThanOrEqual(end), soon)
  expect(await storedSlots()).toBe(2)
  const bob = new OwnerAccount(world.chain, keyOf('bob').secretKey)
  const generation = (await world.chain.rail(kept))?.generation ?? 0
  const value = { kind: TopUpKind.railEpochs, target: kept, generation, amount: 200n }
  await bob.send({ selector: PayloadKind.topUp, value })
  expect(await endOf(kept)).toBeGreaterThan(end + 100)
  await vi.waitFor(async () => expect(await storedSlots()).toBe(1), soon)
  expect(world.chain.sample.epoch).toBeGreaterThanOrEqual(end + world.chain.params.graceEpochs)
  // Its weight was gone before its bytes: no challenge asked for what was deleted.
  expect((await world.chain.rail(ended))?.clearedEpoch).not.toBe(NONE)
  expect((await world.chain.rail(ended))?.lostEpoch).toBe(NONE)
})

test('a peer that leaves proves until its slots are handed over, which ends its notice', async () => {
  const content = await put(200, 2)
  const contract = await world.chain.contract(0)
  const rail = contract?.rails[0]?.rail ?? NONE
  const node = (await world.chain.rail(rail))?.node ?? NONE
  const key = (await world.chain.nodeAt(node))?.nodeKey ?? new Uint8Array(33)
  const name = ['peer-0', 'peer-1', 'peer-2', 'peer-3'].find(
    (one) => Buffer.compare(nodeKeyOf(one), key) === 0,
  ) as string
  const leaving = world.peers.get(name)
  const given = await leaving?.leave()
  const end = world.chain.sample.epoch + world.chain.params.leaveNoticeEpochs
  expect(given).toEqual([{ rail, end: expect.any(Number) }])
  expect(given?.[0]?.end).toBeLessThanOrEqual(end)
  const [repair] = (await client.repair({ always: true })).contracts
  expect(repair?.repaired).toMatchObject([{ slot: 0, refill: 1, why: 'left' }])
  const handedOver = (await world.chain.rail(rail))?.end ?? 0
  expect(handedOver).toBeLessThan(given?.[0]?.end ?? 0)
  // Restarted, it still takes nothing, and still answers for the old slot.
  await world.stopPeer(name)
  const again = await world.startPeer(name)
  await vi.waitFor(async () => {
    const record = await world.chain.nodeAt(node)
    expect(record?.log.at(-1)).toMatchObject({ passed: true })
    expect(record?.A).toBeGreaterThanOrEqual(handedOver - 1)
  }, soon)
  expect((await again.status()).slots.damaged).toBe(0)
  expect((await world.chain.rail(rail))?.lostEpoch).toBe(NONE)
  const target = join(world.folder, 'out')
  await vi.waitFor(() => client.get({ path: 'file', target }), soon)
  expect(Buffer.compare(await readFile(target), content)).toBe(0)
  await expect(again.leave()).resolves.toEqual([])
})
