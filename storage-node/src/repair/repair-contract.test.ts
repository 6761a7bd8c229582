import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bytesToHex } from '@ioex/chain/bytes'
import { PayloadKind, ReceiptKind } from '@ioex/chain/types'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { keyOf } from '../../../chain/src/rules/testing/sample-chain.ts'
import { nodeKeyOf, StorageWorld } from '../node/testing/storage-world.ts'
import type { RepairFund, StorageClient } from '../scheduler/storage-interfaces.ts'
import type { TransferProgress } from '../scheduler/transfer-progress.ts'

const MIB = 1024 * 1024
vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 })

describe('repair over real peers', () => {
  let world: StorageWorld
  let client: StorageClient
  let content: Uint8Array
  let contract: number
  beforeEach(async () => {
    world = await StorageWorld.start({ params: { fillDeadlineEpochs: 60, proofWindowEpochs: 10 } })
    await world.startPeers(9)
    client = await world.client('alice')
  })
  afterEach(() => world.stop())

  async function put(bytes: number, repair?: RepairFund): Promise<readonly string[]> {
    content = randomBytes(bytes)
    const source = join(world.folder, 'source')
    await writeFile(source, content)
    const redundancy = { k: 2, n: 6 }
    const files = [{ source, path: 'file' }]
    // A read that a busy machine breaks off is tried again, and every try pays.
    const stored = await client.put({ files, termEpochs: 200, redundancy, repair, reads: 30 })
    contract = stored.contracts[0] as number
    return stored.nodes
  }

  const nameOf = (nodeKey: string) =>
    [...Array(12).keys()]
      .map((i) => `peer-${i}`)
      .find((name) => bytesToHex(nodeKeyOf(name)) === nodeKey) as string

  /** The peer says that its slot is gone, and goes itself. */
  async function lose(nodeKey: string): Promise<void> {
    const name = nameOf(nodeKey)
    const { chain } = world
    const node = await chain.node(keyOf(name).address)
    for (const { index } of await chain.railsOfNode(node?.index ?? -1)) {
      const value = { rail: index, lost: true, unpaid: false }
      await chain.submit(chain.sample.byNode(keyOf(name), { selector: PayloadKind.leave, value }))
    }
    chain.tick()
    await world.stopPeer(name)
  }

  async function restored(): Promise<Uint8Array> {
    const folder = join(world.folder, 'out')
    await mkdir(folder, { recursive: true })
    const target = join(folder, bytesToHex(randomBytes(4)))
    // Exactly k peers are left: on a busy machine one may stall for once.
    await vi.waitFor(() => client.get({ path: 'file', target }), { timeout: 40_000 })
    return new Uint8Array(await readFile(target))
  }

  const refillsSeen = () =>
    world.chain.receipts.filter(({ body }) => body.selector === ReceiptKind.refill).length

  test('lost slots stand again on other peers, which restore the file with one old one', async () => {
    const nodes = await put(3 * MIB + 17)
    await lose(nodes[0] as string)
    await lose(nodes[4] as string)
    const degraded = await client.status('file')
    expect(degraded).toMatchObject({ health: 'degraded' })
    expect(degraded.contracts[0]).toMatchObject({ live: 4, k: 2, n: 6 })
    const seen: TransferProgress[] = []
    const { contracts } = await client.repair({
      path: 'file',
      always: false,
      onProgress: (progress) => seen.push(progress),
    })
    const [repair] = contracts
    expect(repair).toMatchObject({ healthBefore: 'degraded', health: 'safe', live: 6, failed: [] })
    expect(repair?.repaired.map(({ slot, refill, why }) => ({ slot, refill, why }))).toEqual(
      expect.arrayContaining([
        { slot: 0, refill: 1, why: 'lost' },
        { slot: 4, refill: 1, why: 'lost' },
      ]),
    )
    const fresh = repair?.repaired.map(({ node }) => node) ?? []
    expect(new Set([...nodes, ...fresh]).size).toBe(8)
    // k slots are read once for both lost ones.
    const slotBytes = (3 * MIB) / 2
    expect(repair?.readBytes).toBeGreaterThanOrEqual(2 * slotBytes)
    expect(repair?.readBytes).toBeLessThan(2.1 * slotBytes + 65_536)
    expect(seen.at(-1)).toMatchObject({ phase: 'confirming' })
    expect(await client.status('file')).toMatchObject({ health: 'safe' })
    // Only rebuilt slots are left.
    const olds = nodes.filter((_, slot) => slot !== 0 && slot !== 4)
    await world.stopPeersByKey(olds)
    expect(Buffer.compare(await restored(), content)).toBe(0)
    // Nothing is open any more, so nothing is done or paid again.
    const again = await client.repair({ path: 'file', always: true })
    expect(again.contracts[0]).toMatchObject({ repaired: [], failed: [], readBytes: 0 })
    expect(refillsSeen()).toBe(2)
  })

  test('a slot that only misses, and a safe contract, are left alone', async () => {
    const nodes = await put(MIB)
    await world.stopPeersByKey(nodes.slice(0, 2))
    const [resting] = (await client.repair({ always: true })).contracts
    expect(resting).toMatchObject({ repaired: [], failed: [], readBytes: 0 })
    await lose(nodes[3] as string)
    const [safe] = (await client.repair({ always: false })).contracts
    const isSafe = safe?.healthBefore === 'safe'
    // The two that sleep may have missed a proof already; then repair is due indeed.
    expect(safe?.repaired).toHaveLength(isSafe ? 0 : 1)
    const [asked] = (await client.repair({ always: true })).contracts
    expect(asked?.repaired).toHaveLength(isSafe ? 1 : 0)
    expect(refillsSeen()).toBe(1)
  })

  test('two repairers at once refill each slot once', async () => {
    const nodes = await put(2 * MIB)
    await lose(nodes[1] as string)
    await lose(nodes[2] as string)
    const other = await world.client('laptop')
    const both = await Promise.allSettled([
      client.repair({ always: true }),
      other.repair({ always: true }),
    ])
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled'])
    expect(refillsSeen()).toBe(2)
    expect(await client.status('file')).toMatchObject({ health: 'safe' })
    const record = await world.chain.contract(contract)
    expect(record?.rails.map(({ refill }) => refill)).toEqual([0, 1, 1, 0, 0, 0])
    expect(Buffer.compare(await restored(), content)).toBe(0)
  })

  test('an interrupted repair goes on with the same peer and reads only what lacks', async () => {
    const nodes = await put(40 * MIB)
    await lose(nodes[5] as string)
    const stop = new AbortController()
    const first = client.repair({
      always: true,
      signal: stop.signal,
      onProgress: ({ phase, bytes }) => {
        if (phase === 'sending' && bytes > 17.5 * MIB) stop.abort()
      },
    })
    await expect(first).rejects.toMatchObject({ code: 'ABORTED' })
    expect(refillsSeen()).toBe(0)
    const [repair] = (await client.repair({ always: true })).contracts
    expect(repair).toMatchObject({ health: 'safe', failed: [] })
    expect(repair?.repaired).toHaveLength(1)
    // The new peer had synced its first 16 MiB.
    expect(repair?.readBytes).toBeLessThanOrEqual(2 * 4.2 * MIB)
    await world.stopPeersByKey(nodes.slice(1))
    expect(Buffer.compare(await restored(), content)).toBe(0)
  })

  test('the pot pays for the reading before the slot is refilled, and the owner pays nothing', async () => {
    const delegate = keyOf('alice').address
    const pot = 50_000_000n
    const nodes = await put(6 * MIB, { pot, delegate, trusted: true, delegateFee: 0n })
    const moved = async () => {
      const rails = await world.chain.railsOfPayer(delegate)
      return rails.reduce((sum, { record }) => sum + record.paidUnits, 0n)
    }
    const before = await moved()
    await lose(nodes[1] as string)
    await lose(nodes[2] as string)
    const [repair] = (await client.repair({ always: false })).contracts
    expect(repair).toMatchObject({ health: 'safe', failed: [] })
    const order = world.chain.receipts.flatMap(({ body }) =>
      body.selector === ReceiptKind.repair || body.selector === ReceiptKind.refill
        ? [body.selector]
        : [],
    )
    // k = 2 rails were paid, then both slots refilled.
    const { repair: paid, refill } = ReceiptKind
    expect(order).toEqual([paid, paid, refill, refill])
    const receipts = world.chain.receipts.flatMap(({ body }) =>
      body.selector === ReceiptKind.repair ? [body.value] : [],
    )
    const kib = receipts.reduce((sum, receipt) => sum + receipt.kib, 0)
    expect(kib).toBeGreaterThanOrEqual(6 * 1024)
    expect(kib).toBeLessThan(6 * 1024 * 1.1)
    const fees = receipts.reduce((sum, { fee }) => sum + fee, 0n)
    const record = await world.chain.contract(contract)
    expect(pot - (record?.pot ?? 0n)).toBeGreaterThanOrEqual(fees)
    expect(await moved()).toBe(before)
    // Another run finds nothing open; nobody is paid again.
    await client.repair({ always: true })
    expect((await world.chain.contract(contract))?.pot).toBe(record?.pot)
  })

  test('a delegate rebuilds with mask keys alone; a stranger with the same keys does not', async () => {
    const { address } = keyOf('bob')
    const fund = { pot: 50_000_000n, delegate: address, trusted: true, delegateFee: 0n }
    const nodes = await put(3 * MIB, fund)
    const keys = await client.repairKeys('file')
    await lose(nodes[0] as string)
    const stranger = await world.client('carol', keyOf('carol'))
    const refused = stranger.repairFor(keys, { always: true })
    await expect(refused).rejects.toMatchObject({ code: 'NOT_FOUND' })
    const bob = await world.client('bob', keyOf('bob'))
    expect(await bob.list()).toEqual([])
    const [repair] = (await bob.repairFor(keys, { always: true })).contracts
    expect(repair).toMatchObject({ health: 'safe', failed: [] })
    expect(repair?.repaired).toMatchObject([{ slot: 0, refill: 1, why: 'lost' }])
    await world.stopPeersByKey(nodes.slice(2))
    expect(Buffer.compare(await restored(), content)).toBe(0)
  })

  test('without a peer outside the contract a repair says so', async () => {
    const nodes = await put(MIB)
    const others = [...world.peers.keys()].filter(
      (name) => !nodes.includes(bytesToHex(nodeKeyOf(name))),
    )
    for (const name of others) await world.stopPeer(name)
    await lose(nodes[0] as string)
    const failure = client.repair({ always: true })
    await expect(failure).rejects.toMatchObject({ code: 'PEERS_TOO_FEW' })
    expect(refillsSeen()).toBe(0)
  })
})

test('a peer that is gone for good is evicted by its missed proofs, and its slot is refilled', async () => {
  const world = await StorageWorld.start({ params: { fillDeadlineEpochs: 60 } })
  try {
    await world.startPeers(5)
    const client = await world.client('alice')
    const source = join(world.folder, 'source')
    await writeFile(source, randomBytes(200_000))
    const redundancy = { k: 1, n: 3 }
    const files = [{ source, path: 'file' }]
    const { nodes } = await client.put({ files, termEpochs: 200, redundancy })
    await client.status('file')
    await world.stopPeersByKey(nodes.slice(0, 1))
    const open = await vi.waitFor(
      async () => {
        const slot = (await client.status('file')).contracts[0]?.slots[0]
        expect(slot).toMatchObject({ state: 'evicted', open: 'evicted' })
        return slot
      },
      { timeout: 60_000, interval: 200 },
    )
    // The ledger learns of it from the fill.
    expect(open?.rail).toBeTypeOf('number')
    const [repair] = (await client.repair({ always: true })).contracts
    expect(repair?.repaired).toMatchObject([{ slot: 0, refill: 1, why: 'evicted' }])
    const evictions = world.chain.receipts.filter(
      ({ body }) => body.selector === ReceiptKind.eviction,
    )
    expect(evictions).toHaveLength(1)
  } finally {
    await world.stop()
  }
})
