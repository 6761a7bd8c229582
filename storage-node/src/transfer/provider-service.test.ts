import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { addressOf, slotRoot } from '@ioex/chain/bytes'
import { installNativeCrypto } from '@ioex/chain/native'
import { type OpenContract, PayloadKind, ReceiptKind, ZERO_ADDRESS } from '@ioex/chain/types'
import pino from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { keyOf, UNITS } from '../../../chain/src/rules/testing/sample-chain.ts'
import { SlotStore } from '../blobs/slot-store.ts'
import { MemoryChain } from '../node/testing/memory-chain.ts'
import { OwnerAccount } from '../node/transactions.ts'
import { createChannelCredentials } from './channel-credentials.ts'
import { fetchBlocks } from './fetch-blocks.ts'
import { FrameKind } from './frame-connection.ts'
import { Inbox } from './inbox.ts'
import { beginPutSlot, ping, queryOffer } from './provider-client.ts'
import { ProviderService } from './provider-service.ts'
import { RailMeters } from './rail-meter.ts'
import { RailPayer } from './rail-payer.ts'
import { openSecureChannel, type SecureChannel } from './secure-channel.ts'
import { NO_LIMITS, ServiceGate } from './service-limits.ts'
import {
  openRailLedger,
  openRepairLedger,
  type RailLedger,
  type RepairLedger,
} from './voucher-ledger.ts'

const MIB = 1024 * 1024
const SALT = new Uint8Array(32).fill(3)
const provider = keyOf('provider')
let folder: string
let chain: MemoryChain
let store: SlotStore
let vouchers: RailLedger
let repairs: RepairLedger
let service: ProviderService
let port: number
let counters: { bytesIn: number; bytesOut: number; slotsReceived: number; filesReceived: number }
const channels: SecureChannel[] = []

beforeEach(async () => {
  await installNativeCrypto()
  folder = await mkdtemp(join(tmpdir(), 'ioex-provider-'))
  chain = new MemoryChain({ balances: { alice: 1000n * UNITS, bob: 1000n * UNITS } })
  // A provider looks for an unknown record again at the next heads.
  chain.start(50)
  store = await SlotStore.open(join(folder, 'slots'), 8 * MIB)
  vouchers = await openRailLedger(join(folder, 'vouchers'))
  repairs = await openRepairLedger(join(folder, 'repairs'))
  counters = { bytesIn: 0, bytesOut: 0, slotsReceived: 0, filesReceived: 0 }
  service = new ProviderService({
    identity: { chainId: chain.chainId, nodeKey: provider.secretKey },
    nodeAddress: provider.address,
    credentials: await createChannelCredentials(),
    chain,
    store,
    meters: new RailMeters(vouchers, 500),
    repairs,
    onRepairServed: () => undefined,
    inbox: await Inbox.open(join(folder, 'inbox'), []),
    price: 100n,
    unitPrice: 200n,
    takesSlots: () => true,
    submitFill: () => Promise.reject(new Error('no fill is expected here')),
    counters,
    gate: new ServiceGate({ ...NO_LIMITS, bytesPerDay: 4 * MIB }, counters),
    logger: pino({ level: 'silent' }),
  })
  port = await service.listen('127.0.0.1', 0)
})
afterEach(async () => {
  for (const { frames } of channels.splice(0)) frames.destroy()
  await service.stop()
  await vouchers.close()
  await repairs.close()
  chain.stop()
  await rm(folder, { recursive: true, force: true })
})

async function channelOf(owner: string | undefined = 'alice'): Promise<SecureChannel> {
  const socket = connect(port, '127.0.0.1')
  const identity = {
    chainId: chain.chainId,
    nodeKey: keyOf('client').secretKey,
    ownerKey: owner === '' ? undefined : keyOf(owner).secretKey,
  }
  const opened = await openSecureChannel(socket, identity, { expectedPeer: provider.publicKey })
  channels.push(opened)
  return opened
}

async function contractOf(changes: Partial<OpenContract> = {}): Promise<number> {
  const account = new OwnerAccount(chain, keyOf('alice').secretKey)
  const value: OpenContract = {
    salt: SALT,
    k: 1,
    n: 2,
    maxLeaves: 4096,
    priceCap: 100_000_000n,
    unitPriceCap: 1000n,
    lockUnits: 1000n,
    pot: 0n,
    term: 10,
    policy: 0,
    delegate: ZERO_ADDRESS,
    delegateFee: 0n,
    label: new Uint8Array(0),
    ...changes,
  }
  const { receipts } = await account.send({ selector: PayloadKind.openContract, value })
  const created = receipts.find(({ body }) => body.selector === ReceiptKind.creation)
  return created?.body.selector === ReceiptKind.creation ? created.body.value.index : -1
}

const refused = (refusal: string) => ({ code: 'PEER_REFUSED', refusal })

describe('provider', () => {
  test('answers several requests on one channel', async () => {
    const channel = await channelOf('')
    expect(await ping(channel)).toBeGreaterThan(0)
    expect(await queryOffer(channel)).toMatchObject({ price: 100n, freeBytes: 8 * MIB })
    expect(await ping(channel)).toBeGreaterThan(0)
  })

  test('beyond its bytes of the day refuses transfers by name, and still answers', async () => {
    const contract = await contractOf()
    counters.bytesOut += 4 * MIB
    const channel = await channelOf()
    expect(await ping(channel)).toBeGreaterThan(0)
    const put = beginPutSlot(channel, { contract, salt: SALT, slot: 1, leaves: 4 })
    await expect(put).rejects.toMatchObject(refused('TRAFFIC_CAP'))
  })

  test('takes a slot from the payer of its contract, and knows it when it comes again', async () => {
    const contract = await contractOf()
    const slot = new Uint8Array(randomBytes(1000 * 256))
    const request = { contract, salt: SALT, slot: 1, leaves: 1000 }
    const channel = await channelOf()
    const upload = await beginPutSlot(channel, request)
    await upload.write(slot.subarray(0, 131_072))
    await upload.write(slot.subarray(131_072))
    expect(await upload.finish()).toEqual(slotRoot(slot))
    const again = await beginPutSlot(channel, request)
    expect(again.receivedBytes).toBe(slot.length)
    expect(await again.finish()).toEqual(slotRoot(slot))
  })

  test('an upload that breaks off goes on where it stopped, over another channel', async () => {
    const contract = await contractOf()
    const slot = new Uint8Array(randomBytes(MIB))
    const request = { contract, salt: SALT, slot: 0, leaves: 4096 }
    const first = await channelOf()
    const upload = await beginPutSlot(first, request)
    await upload.write(slot.subarray(0, 327_680))
    await ping(await channelOf())
    await first.frames.close()
    // The provider syncs what it has when it notices; until then the slot is busy.
    let resumed: Awaited<ReturnType<typeof beginPutSlot>> | undefined
    for (let attempt = 0; attempt < 200 && !resumed; attempt++) {
      resumed = await beginPutSlot(await channelOf(), request).catch(() => undefined)
    }
    expect(resumed?.receivedBytes).toBe(327_680)
    await resumed?.write(slot.subarray(327_680))
    expect(await resumed?.finish()).toEqual(slotRoot(slot))
  })

  test.each([
    ['a stranger', { owner: 'bob' }, {}, {}, 'NOT_PAYER'],
    ['one without an owner key', { owner: '' }, {}, {}, 'NOT_PAYER'],
    ['another salt', {}, { salt: new Uint8Array(32) }, {}, 'CONTRACT_UNKNOWN'],
    ['an unknown contract', {}, { contract: 77 }, {}, 'CONTRACT_UNKNOWN'],
    ['a slot too many', {}, { slot: 2 }, {}, 'SLOT_UNKNOWN'],
    ['a slot too large', {}, { leaves: 4097 }, {}, 'SLOT_SIZE'],
    ['an empty slot', {}, { leaves: 0 }, {}, 'SLOT_SIZE'],
    ['too low a price', {}, {}, { unitPriceCap: 100n }, 'PRICE_TOO_LOW'],
    ['more than it has room for', {}, { leaves: 40_000 }, { maxLeaves: 50_000 }, 'CAPACITY'],
  ])('refuses a slot from %s', async (_, { owner }: { owner?: string }, put, terms, code) => {
    const contract = await contractOf(terms)
    const channel = await channelOf(owner)
    const request = { contract, salt: SALT, slot: 0, leaves: 1000, ...put }
    await expect(beginPutSlot(channel, request)).rejects.toMatchObject(refused(code))
    expect(store.figures()).toMatchObject({ receiving: 0, bytes: 0 })
  })

  test('more bytes than announced are refused while they come', async () => {
    const contract = await contractOf()
    const channel = await channelOf()
    const upload = await beginPutSlot(channel, { contract, salt: SALT, slot: 0, leaves: 256 })
    await upload.write(new Uint8Array(65_536))
    const tooMuch = (async () => {
      for (let i = 0; i < 100; i++) await upload.write(new Uint8Array(65_536))
      await upload.finish()
    })()
    await expect(tooMuch).rejects.toMatchObject({ code: expect.stringMatching(/REFUSED|CLOSED/) })
  })

  test('gives blocks for a rail of its own only', async () => {
    const channel = await channelOf()
    const payer = new RailPayer({
      chainId: chain.chainId,
      rail: 5,
      generation: 0,
      ownerKey: keyOf('alice').secretKey,
    })
    const request = {
      rail: 5,
      generation: 0,
      contract: 0,
      salt: SALT,
      slot: 0,
      from: 0,
      to: 1,
      root: new Uint8Array(32),
      leaves: 256,
    }
    const blocks = fetchBlocks(channel, request, payer)
    await expect(blocks.next()).rejects.toMatchObject(refused('RAIL_UNKNOWN'))
  })

  test('survives frames of any kind and any bytes', async () => {
    for (let kind = 0; kind < 9; kind++) {
      for (const bytes of [0, 1, 5, 40, 200, 1000]) {
        const channel = await channelOf('')
        await channel.frames.send(kind, randomBytes(bytes)).catch(() => {})
        await channel.frames.close()
      }
    }
    const raw = connect(port, '127.0.0.1')
    raw.on('error', () => {})
    raw.end(randomBytes(5000))
    expect(await ping(await channelOf(''))).toBeGreaterThan(0)
    expect(addressOf(provider.publicKey)).toHaveLength(20)
    expect(FrameKind.request).toBe(2)
  })
})
