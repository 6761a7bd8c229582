import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { addressOf, bytesToHex } from '@ioex/chain/bytes'
import { CloseKind, PayloadKind, ReceiptKind } from '@ioex/chain/types'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { keyOf } from '../../../chain/src/rules/testing/sample-chain.ts'
import { openRailLedger } from '../transfer/voucher-ledger.ts'
import type { PeerNode } from './node-interfaces.ts'
import { StorageWorld, nodeKeyOf } from './testing/storage-world.ts'
import { OwnerAccount } from './transactions.ts'

const MIB = 1024 * 1024
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })
let world: StorageWorld
beforeEach(async () => {
  world = await StorageWorld.start({ params: { fillDeadlineEpochs: 40 } })
})
afterEach(() => world.stop())

async function sourceFile(name: string, bytes: Uint8Array): Promise<string> {
  await mkdir(join(world.folder, 'source'), { recursive: true })
  const path = join(world.folder, 'source', name)
  await writeFile(path, bytes)
  return path
}

const receiptsOf = (kind: number) =>
  world.chain.receipts.filter(({ body }) => body.selector === kind)

describe('a peer', () => {
  test('proves what it stores and is paid for it, to its owner', async () => {
    await world.startPeers(4)
    const client = await world.client('alice')
    const source = await sourceFile('paid', randomBytes(2 * MIB))
    const put = await client.put({ files: [{ source, path: 'paid' }], termEpochs: 60 })
    await world.until(() => receiptsOf(ReceiptKind.payout).length >= put.n)
    expect(receiptsOf(ReceiptKind.proof).length).toBeGreaterThan(0)
    expect(receiptsOf(ReceiptKind.storage).length).toBeGreaterThan(0)
    const [name, peer] = [...world.peers].find(([, { nodeKey }]) =>
      put.nodes.includes(bytesToHex(nodeKey)),
    ) as [string, PeerNode]
    await world.until(async () => {
      const account = await world.chain.account(keyOf(`${name}-owner`).address)
      return (account?.balance ?? 0n) > 0n
    })
    expect((await peer.status()).proofs.sent).toBeGreaterThan(0)
  })

  test('is paid for reads by the vouchers of the reader', async () => {
    await world.startPeers(4)
    const client = await world.client('alice')
    const bytes = randomBytes(4 * MIB)
    const source = await sourceFile('read', bytes)
    const redundancy = { k: 1, n: 1 }
    const put = await client.put({
      files: [{ source, path: 'read' }],
      redundancy,
      termEpochs: 60,
    })
    const got = await client.get({ path: 'read', target: join(world.folder, 'read.out') })
    expect(got.paidKib).toBeGreaterThan(4 * 1024)
    const contract = await world.chain.contract(put.contracts[0] ?? 0)
    const rail = contract?.rails[0]?.rail ?? 0
    const provider = [...world.peers.values()].find(
      ({ nodeKey }) => bytesToHex(nodeKey) === put.nodes[0],
    )
    await provider?.redeem()
    await world.until(async () => ((await world.chain.rail(rail))?.kib ?? 0) >= got.paidKib)
    expect((await world.chain.rail(rail))?.paidUnits).toBeGreaterThan(0n)
  })

  test('goes on after a restart: same slots, same rails, next proof', async () => {
    await world.startPeers(4)
    const client = await world.client('alice')
    const bytes = randomBytes(MIB)
    const source = await sourceFile('restart', bytes)
    const put = await client.put({ files: [{ source, path: 'restart' }], termEpochs: 60 })
    const [name, peer] = [...world.peers].find(([, { nodeKey }]) =>
      put.nodes.includes(bytesToHex(nodeKey)),
    ) as [string, PeerNode]
    await world.stopPeer(name)
    const again = await world.startPeer(name)
    expect(bytesToHex(again.nodeKey)).toBe(bytesToHex(peer.nodeKey))
    expect((await again.status()).slots).toMatchObject({ stored: 1, damaged: 0 })
    await world.until(async () => (await again.status()).proofs.sent > 0)
    await client.get({ path: 'restart', target: join(world.folder, 'restart.out') })
  })

  test('deletes a slot when its payer has closed the rail', async () => {
    await world.startPeers(3)
    const client = await world.client('alice')
    const source = await sourceFile('closed', randomBytes(MIB))
    const redundancy = { k: 1, n: 1 }
    const put = await client.put({ files: [{ source, path: 'x' }], redundancy, termEpochs: 60 })
    const index = put.contracts[0] ?? 0
    const contract = await world.chain.contract(index)
    const rail = contract?.rails[0]?.rail ?? 0
    const payer = new OwnerAccount(world.chain, keyOf('alice').secretKey)
    const close = () =>
      payer.send({
        selector: PayloadKind.close,
        value: { kind: CloseKind.rail, target: rail, generation: 0 },
      })
    await close()
    const stored = async () => {
      const statuses = await Promise.all([...world.peers.values()].map((one) => one.status()))
      return statuses.reduce((sum, { slots }) => sum + slots.stored, 0)
    }
    expect(await stored()).toBe(1)
    await world.until(async () => {
      const isFreed = await close().then(
        () => true,
        () => false,
      )
      return isFreed
    })
    await world.until(async () => (await stored()) === 0)
  })

  test("says of a closing rail what was read and never signed for, at its payer's cost", async () => {
    await world.startPeers(3)
    const client = await world.client('alice')
    const source = await sourceFile('unpaid', randomBytes(MIB))
    const redundancy = { k: 1, n: 1 }
    const put = await client.put({ files: [{ source, path: 'x' }], redundancy, termEpochs: 60 })
    const contract = await world.chain.contract(put.contracts[0] ?? 0)
    const rail = contract?.rails[0]?.rail ?? 0
    const [name] = await world.stopPeersByKey(put.nodes)
    // A reader took a step and went away.
    const vouchers = await openRailLedger(join(world.folder, name as string, 'vouchers'))
    const entry = await vouchers.get({ rail, generation: 0 })
    const newest = entry?.newest ?? []
    const usedBytes = (newest[0]?.voucher.kib ?? 0) * 1024 + 1000
    await vouchers.put({ rail, generation: 0 }, { usedBytes, newest })
    await vouchers.close()
    await world.startPeer(name as string)
    const payer = new OwnerAccount(world.chain, keyOf('alice').secretKey)
    const value = { kind: CloseKind.rail, target: rail, generation: 0 }
    const close = () => payer.send({ selector: PayloadKind.close, value })
    await close()
    await world.until(async () => (await world.chain.rail(rail))?.unpaid ?? false)
    await world.until(() =>
      close().then(
        () => true,
        () => false,
      ),
    )
    const burned = receiptsOf(ReceiptKind.close).map(({ body }) =>
      body.selector === ReceiptKind.close ? body.value.burnedUnits : 0n,
    )
    expect(burned.some((units) => units > 0n)).toBe(true)
  })

  test('declares a slot lost whose bytes are gone, and goes on proving the others', async () => {
    await world.startPeers(3)
    const client = await world.client('alice')
    const redundancy = { k: 1, n: 1 }
    const put = async (name: string) => {
      const source = await sourceFile(name, randomBytes(MIB))
      return client.put({ files: [{ source, path: name }], redundancy, termEpochs: 100 })
    }
    const first = await put('first')
    const name = [...world.peers].find(
      ([, { nodeKey }]) => bytesToHex(nodeKey) === first.nodes[0],
    )?.[0]
    const slots = join(world.folder, name ?? '', 'slots')
    const [slot] = await readdir(slots)
    await rm(join(slots, slot ?? '', 'data'))
    const rail = (await world.chain.contract(first.contracts[0] ?? 0))?.rails[0]?.rail ?? 0
    const none = 0xffff_ffff
    await world.until(async () => (await world.chain.rail(rail))?.lostEpoch !== none)
  })
})

describe('friends and relays', () => {
  test('a file goes from an undialable peer to another through a paid relay', async () => {
    const friend = nodeKeyOf('sender-node')
    const receiver = await world.startPeer('receiver', { listen: undefined, friends: [friend] })
    const sender = await world.client('sender', keyOf('alice'), {
      nodeKey: keyOf('sender-node').secretKey,
    })
    const bytes = randomBytes(6 * MIB)
    const source = await sourceFile('gift', bytes)
    const delivered = await sender.deliver({ to: receiver.nodeKey, source, name: '礼物.bin' })
    expect(delivered.relay).toBe(bytesToHex(nodeKeyOf('boot-0')))
    expect(delivered.relayKib).toBeGreaterThan(6 * 1024)
    const inbox = join(world.folder, 'receiver', 'inbox', '礼物.bin')
    expect(Buffer.compare(await readFile(inbox), bytes)).toBe(0)
    expect(delivered.sha256).toBe(createHash('sha256').update(bytes).digest('hex'))
    // The relay redeems the voucher of this very session.
    const rail = delivered.relayRail ?? 0
    await world.bootstraps[0]?.redeem()
    await world.until(async () => ((await world.chain.rail(rail))?.kib ?? 0) >= delivered.relayKib)
    expect(receiptsOf(ReceiptKind.relay).length).toBeGreaterThan(0)
    // A second file uses the same rail and another name where the first is taken.
    const again = await sender.deliver({ to: receiver.nodeKey, source, name: '礼物.bin' })
    expect(again.relayRail).toBe(rail)
    expect((await readdir(join(world.folder, 'receiver', 'inbox'))).sort()).toEqual([
      '礼物 (2).bin',
      '礼物.bin',
    ])
  })

  test('strangers deliver nothing', async () => {
    const receiver = await world.startPeer('receiver')
    const sender = await world.client('sender')
    const source = await sourceFile('spam', randomBytes(1000))
    const failure = sender.deliver({ to: receiver.nodeKey, source, name: 'spam' })
    await expect(failure).rejects.toMatchObject({ code: 'PEER_REFUSED', refusal: 'NOT_FRIEND' })
  })

  test('files are stored on and read from peers that only a relay reaches', async () => {
    await world.startPeers(4, { listen: undefined })
    const client = await world.client('alice')
    const bytes = randomBytes(2 * MIB)
    const source = await sourceFile('relayed', bytes)
    const put = await client.put({ files: [{ source, path: 'relayed' }], termEpochs: 60 })
    expect(put.relayed).toBeGreaterThanOrEqual(put.n)
    const target = join(world.folder, 'relayed.out')
    const got = await client.get({ path: 'relayed', target })
    expect(got.relayed).toBeGreaterThan(0)
    expect(Buffer.compare(await readFile(target), bytes)).toBe(0)
  })

  test('bootstrap nodes tell each other offers; peers link again when theirs is gone', async () => {
    await world.startPeer('peer-0')
    const second = await world.startBootstrap('boot-1')
    await world.until(() => second.status().offers >= 2)
    const late = await world.startPeer('late')
    await world.until(() => world.bootstraps.every((node) => node.status().offers === 4))
    const linked = bytesToHex(late.network.bootstrapKey ?? new Uint8Array(0))
    const gone = world.bootstraps.findIndex(({ nodeKey }) => bytesToHex(nodeKey) === linked)
    const [lost] = world.bootstraps.splice(gone, 1)
    await lost?.stop()
    await world.until(() => {
      const key = late.network.bootstrapKey
      return key !== undefined && bytesToHex(key) !== linked
    })
    expect(addressOf(late.nodeKey)).toHaveLength(20)
  })
})
