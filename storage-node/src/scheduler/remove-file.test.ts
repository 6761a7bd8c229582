import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { keyOf } from '../../../chain/src/rules/testing/sample-chain.ts'
import { StorageWorld } from '../node/testing/storage-world.ts'
import type { StorageClient } from './storage-interfaces.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })
const alice = keyOf('alice')
let world: StorageWorld
let client: StorageClient
beforeEach(async () => {
  world = await StorageWorld.start({ params: { fillDeadlineEpochs: 60 } })
  await world.startPeers(4)
  client = await world.client('alice')
})
afterEach(() => world.stop())

async function put(...paths: readonly string[]): Promise<number> {
  await mkdir(join(world.folder, 'source'), { recursive: true })
  const files = []
  for (const path of paths) {
    const source = join(world.folder, 'source', path)
    await writeFile(source, randomBytes(50_000))
    files.push({ source, path })
  }
  const { contracts } = await client.put({ files, termEpochs: 100, redundancy: { k: 1, n: 3 } })
  return contracts[0] as number
}

const names = async () => (await client.list()).map(({ path }) => path)
const balance = async () => (await world.chain.account(alice.address))?.balance ?? 0n

/** Lets the owner's client settle until the contract is gone. */
async function untilGone(contract: number, salt: Uint8Array): Promise<void> {
  await vi.waitFor(
    async () => {
      await client.closeEnded()
      const record = await world.chain.contract(contract)
      const isGone = !record?.live || Buffer.compare(record.salt, salt) !== 0
      expect(isGone).toBe(true)
    },
    { timeout: 50_000, interval: 100 },
  )
}

test('a file alone in its pack: its contract closes in two steps and the rest comes back', async () => {
  const contract = await put('alone')
  const salt = (await world.chain.contract(contract))?.salt as Uint8Array
  const before = await balance()
  const removed = await client.remove('alone')
  expect(removed).toMatchObject({ closing: [contract], kept: [], tombstone: undefined })
  expect(removed.refundMost).toBeGreaterThan(0n)
  expect(await names()).toEqual([])
  await expect(client.remove('alone')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await expect(client.status('alone')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await untilGone(contract, salt)
  const back = (await balance()) - before
  expect(back).toBeGreaterThan(removed.refundMost / 2n)
  expect(back).toBeLessThanOrEqual(removed.refundMost)
  expect(await names()).toEqual([])
})

test('a file that shares its pack is hidden by a tombstone; with the last one all closes', async () => {
  const shared = await put('first', 'second')
  const removed = await client.remove('first')
  expect(removed).toMatchObject({ closing: [], kept: [shared] })
  expect(removed.tombstone).toBeTypeOf('number')
  expect(await names()).toEqual(['second'])
  expect(await client.status('second')).toMatchObject({ path: 'second', size: 50_000 })
  const last = await client.remove('second')
  expect(last).toMatchObject({ closing: [shared], kept: [], tombstone: undefined })
  expect(await names()).toEqual([])
})

test('an older version does not come back when the newest is removed', async () => {
  const older = await put('note')
  const newer = await put('note')
  const removed = await client.remove('note')
  expect(new Set(removed.closing)).toEqual(new Set([older, newer]))
  expect(await names()).toEqual([])
})
