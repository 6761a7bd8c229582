import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bytesEqual } from '@ioex/chain/bytes'
import { type Contract, NONE, ReceiptKind } from '@ioex/chain/types'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { keyOf } from '../../../chain/src/rules/testing/sample-chain.ts'
import type { StorageClient } from '../scheduler/storage-interfaces.ts'
import type { PeerNode } from './node-interfaces.ts'
import { currentNode } from './proving.ts'
import { nodeKeyOf, StorageWorld, UNIT_PRICE } from './testing/storage-world.ts'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 90_000 })
const soon = { timeout: 60_000, interval: 100 }
const NAMES = ['peer-0', 'peer-1', 'peer-2']
/** What the heir's own customer stores leaves room for no slot of the file below. */
const HEIR_BYTES = 1_400_000
let world: StorageWorld
let client: StorageClient
let content: Buffer
let heir: PeerNode
let contract: number

beforeEach(async () => {
  world = await StorageWorld.start({ params: { fillDeadlineEpochs: 8 } })
  // Held pay covers a new slot where other customers pay the node more for what it moves.
  heir = await world.startPeer('heir', {
    capacityBytes: HEIR_BYTES,
    unitPrice: 100n * UNIT_PRICE,
  })
  const bob = await world.client('bob', keyOf('bob'))
  await bob.put({
    files: [{ source: await source('own', randomBytes(1_000_000)), path: 'own' }],
    redundancy: { k: 1, n: 1 },
    termEpochs: 200,
  })
  await world.startPeers(3)
  client = await world.client('alice')
  content = randomBytes(500_000)
  const put = await client.put({
    files: [{ source: await source('file', content), path: 'file' }],
    redundancy: { k: 1, n: 3 },
    termEpochs: 200,
  })
  contract = put.contracts[0] as number
  await world.stopPeer('heir')
  heir = await world.startPeer('heir')
  await vi.waitFor(async () => {
    expect((await world.chain.node(addressOfHeir()))?.record.held).toBeGreaterThan(100_000n)
  }, soon)
})
afterEach(() => world.stop())

async function source(name: string, bytes: Uint8Array): Promise<string> {
  const path = join(world.folder, `${name}.bin`)
  await writeFile(path, bytes)
  return path
}

const addressOfHeir = () => keyOf('heir').address
const recordOf = async () => (await world.chain.contract(contract)) as Contract

/** Who stores a slot: its node key. */
async function holderOf(slot: number): Promise<Uint8Array | undefined> {
  const rail = await world.chain.rail((await recordOf()).rails[slot]?.rail ?? NONE)
  return rail && (await world.chain.nodeAt(rail.node))?.nodeKey
}

async function nameOfHolder(slot: number): Promise<string> {
  const key = (await holderOf(slot)) ?? new Uint8Array(33)
  return NAMES.find((name) => bytesEqual(nodeKeyOf(name), key)) as string
}

const untilHeirHolds = (slot: number) =>
  vi.waitFor(async () => {
    expect(bytesEqual((await holderOf(slot)) ?? new Uint8Array(33), heir.nodeKey)).toBe(true)
  }, soon)

/** The heir is paid for proving the slot, and the file comes back from it alone. */
async function heirServes(slot: number): Promise<void> {
  const rail = (await recordOf()).rails[slot]?.rail ?? NONE
  await vi.waitFor(async () => {
    await heir.redeem()
    expect((await world.chain.rail(rail))?.paidTime).toBeGreaterThan(0n)
  }, soon)
  for (const name of NAMES) await world.stopPeer(name)
  const target = join(world.folder, 'out')
  await client.get({ path: 'file', target })
  expect(Buffer.compare(await readFile(target), content)).toBe(0)
}

test('a slot whose node left and nobody refilled goes to a node that the lottery draws', async () => {
  const before = (await recordOf()).rails[0]
  const leaving = world.peers.get(await nameOfHolder(0))
  const [given] = (await leaving?.leave()) ?? []
  await untilHeirHolds(0)
  const [receipt] = world.chain.receipts.flatMap(({ body }) =>
    body.selector === ReceiptKind.refill ? [body.value] : [],
  )
  const { params } = world.chain
  expect(receipt).toMatchObject({ by: 2, slot: 0, refill: 1, formerRail: before?.rail })
  expect(receipt?.draw).toBeLessThan(receipt?.chance as bigint)
  const rail = await world.chain.rail((await recordOf()).rails[0]?.rail ?? NONE)
  expect(rail?.fillEpoch).toBeGreaterThanOrEqual((given?.end ?? 0) + params.fillDeadlineEpochs)
  expect(bytesEqual(rail?.root ?? new Uint8Array(32), before?.root as Uint8Array)).toBe(true)
  expect((await heir.status()).claims.claimed).toBe(1)
  await heirServes(0)
})

test('the slot of a node that was evicted comes from its disk, once it is back', async () => {
  const name = await nameOfHolder(1)
  const address = keyOf(name).address
  await world.stopPeer(name)
  await vi.waitFor(async () => {
    const { record } = (await world.chain.node(address)) ?? {}
    const now = (await world.chain.head()).epoch
    expect(record && (await currentNode(world.chain, record, now)).node.evicted).toBe(true)
  }, soon)
  // Nobody has the bytes, and nobody who could rebuild them has the keys: the slot stays open.
  await vi.waitFor(async () => {
    expect((await heir.status()).claims.failed).toBeGreaterThan(0)
  }, soon)
  expect(bytesEqual((await holderOf(1)) ?? new Uint8Array(33), nodeKeyOf(name))).toBe(true)
  await world.startPeer(name)
  await untilHeirHolds(1)
  await heirServes(1)
})
