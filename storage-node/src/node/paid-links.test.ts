import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { addressOf, bytesToHex } from '@ioex/chain/bytes'
import type { Indexed } from '@ioex/chain/state'
import { CloseKind, PayloadKind, type Rail, ReceiptKind } from '@ioex/chain/types'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { keyOf } from '../../../chain/src/rules/testing/sample-chain.ts'
import { PeerNetwork } from '../relay/peer-network.ts'
import { openRelayedChannel } from '../relay/relay-session.ts'
import { reserveLink } from '../relay/reserve-link.ts'
import { RailPayer, signVoucher } from '../transfer/rail-payer.ts'
import { ReservationPayer } from '../transfer/reservation-payer.ts'
import type { BootstrapNode, PeerNode } from './node-interfaces.ts'
import { nodeKeyOf, RELAY_PRICE, StorageWorld } from './testing/storage-world.ts'
import { OwnerAccount } from './transactions.ts'

/** Units per epoch of a paid link. */
const LINK_PRICE = 7_000_000n
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })
let world: StorageWorld
let home: BootstrapNode
let paid: BootstrapNode
const alice = keyOf('alice')

beforeEach(async () => {
  world = await StorageWorld.start()
  home = world.bootstraps[0] as BootstrapNode
  paid = await world.startBootstrap('boot-1', {
    reservationPrice: LINK_PRICE,
    voucherWaitMs: 300,
  })
})
afterEach(() => world.stop())

const epochNow = async () => (await world.chain.head()).epoch
const untilEpoch = (epoch: number) => world.until(async () => (await epochNow()) >= epoch)

/** A peer nobody can dial, whose free link is with boot-0 and whose paid one with boot-1. */
function startFar(): Promise<PeerNode> {
  return world.startPeer('far', {
    listen: undefined,
    bootstrap: home.multiaddrs,
    friends: [nodeKeyOf('bob-node')],
    paidLinks: { count: 1, payerKey: alice.secretKey, priceMax: LINK_PRICE },
  })
}

const linksOf = (peer: PeerNode) => peer.status().then(({ paidLinks }) => paidLinks)
const untilLinked = (peer: PeerNode) => world.until(async () => (await linksOf(peer)).length === 1)

async function onlyRail(): Promise<Indexed<Rail>> {
  const rails = await world.chain.railsOfPayer(alice.address)
  expect(rails).toHaveLength(1)
  return rails[0] as Indexed<Rail>
}

async function openRail(unitPrice: bigint, reservationPrice: bigint): Promise<number> {
  const value = {
    node: addressOf(paid.nodeKey),
    lockUnits: 10n * LINK_PRICE,
    unitPrice,
    reservationPrice,
  }
  const owner = new OwnerAccount(world.chain, alice.secretKey)
  const { receipts } = await owner.send({ selector: PayloadKind.openRelay, value })
  for (const { body } of receipts) {
    if (body.selector === ReceiptKind.creation && body.value.kind !== 0) return body.value.index
  }
  throw new Error('no rail was opened')
}

const relayReceipts = () =>
  world.chain.receipts.flatMap(({ body }) =>
    body.selector === ReceiptKind.relay ? [body.value] : [],
  )

describe('links beyond the free one', () => {
  test('are paid by the epoch, carry what comes for the peer, and are redeemed', async () => {
    const peer = await startFar()
    await untilLinked(peer)
    const first = await epochNow()
    const source = join(world.folder, 'letter')
    await writeFile(source, randomBytes(100_000))
    const bob = await world.client('bob', keyOf('bob'), { bootstrap: paid.multiaddrs })
    // Without its own bootstrap node the peer is reached over the link that it pays for.
    world.bootstraps.splice(0, 1)
    await home.stop()
    await bob.deliver({ to: peer.nodeKey, source, name: 'letter' })
    expect((await peer.status()).inboxFiles).toBe(1)
    await untilEpoch(first + 6)
    const [link] = await linksOf(peer)
    await world.stopPeer('far')
    const last = await epochNow()
    await paid.redeem()
    const { index, record } = await onlyRail()
    expect(record).toMatchObject({ unitPrice: 0n, reservationPrice: LINK_PRICE })
    const units = record.reservations
    // By hand: the link was granted in the epoch before `first` at the earliest.
    expect(units).toBeGreaterThanOrEqual(last - first)
    expect(units).toBeLessThanOrEqual(last - first + 2)
    const receipts = relayReceipts().filter(({ rail }) => rail === index)
    expect(receipts.at(-1)).toMatchObject({ reservations: units, kib: 0 })
    const fee = receipts.reduce((sum, one) => sum + one.fee, 0n)
    expect(fee).toBe(LINK_PRICE * BigInt(units))
    expect(link).toMatchObject({ relay: bytesToHex(paid.nodeKey), rail: index })
    // Bob's traffic went over a rail of its own.
    const [traffic] = await world.chain.railsOfPayer(keyOf('bob').address)
    expect(traffic?.record).toMatchObject({ unitPrice: RELAY_PRICE, reservationPrice: 0n })
  })

  test('go on after a restart of the peer and of the relay, and count each epoch once', async () => {
    const before = await startFar()
    await untilLinked(before)
    const first = await epochNow()
    await world.stopPeer('far')
    const peer = await startFar()
    await untilLinked(peer)
    await untilEpoch(first + 3)
    const [port] = paid.multiaddrs.map((address) => Number(address.split('/')[4]))
    world.bootstraps.pop()
    await paid.stop()
    paid = await world.startBootstrap('boot-1', {
      reservationPrice: LINK_PRICE,
      listen: { host: '127.0.0.1', port: port as number },
    })
    await world.until(async () => paid.status().reservations.links === 1)
    await untilEpoch(first + 8)
    await world.stopPeer('far')
    const last = await epochNow()
    await paid.redeem()
    const { record } = await onlyRail()
    expect(record.reservations).toBeGreaterThanOrEqual(4)
    expect(record.reservations).toBeLessThanOrEqual(last - first + 2)
    const journal = await readFile(join(world.folder, 'far', 'paid-links.json'), 'utf8')
    const [counted] = (JSON.parse(journal) as { rails: { units: number }[] }).rails
    expect(counted?.units).toBe(record.reservations)
  })

  test('end one step after the last voucher; what was not signed burns at the close', async () => {
    const rail = await openRail(0n, LINK_PRICE)
    const terms = { chainId: world.chain.chainId, rail, generation: 0 }
    const network = await linkedNetwork('mute')
    const payer = new ReservationPayer({ ...terms, ownerKey: alice.secretKey }, undefined)
    const grant = () => reserveLink(network.controlPlane, paid.nodeKey, payer.opening())
    try {
      await untilEpoch((await epochNow()) + 1)
      expect(await grant()).toMatchObject({ units: 1, epoch: await epochNow() })
      expect(paid.status().reservations.links).toBe(1)
      await world.until(() => paid.status().reservations.cutTotal === 1)
      expect(paid.status().reservations).toEqual({ links: 0, unitsTotal: 1, cutTotal: 1 })
      await expect(grant()).rejects.toMatchObject({ refusal: 'VOUCHER_LATE' })
    } finally {
      await network.stop()
    }
    const owner = new OwnerAccount(world.chain, alice.secretKey)
    const value = { kind: CloseKind.rail, target: rail, generation: 0 }
    await owner.send({ selector: PayloadKind.close, value })
    await world.until(async () => (await world.chain.rail(rail))?.unpaid ?? false)
    await untilEpoch((await epochNow()) + world.chain.params.proofWindowEpochs)
    const { receipts } = await owner.send({ selector: PayloadKind.close, value })
    const closed = receipts.find(({ body }) => body.selector === ReceiptKind.close)?.body.value
    expect(closed).toMatchObject({ burnedUnits: LINK_PRICE, refundUnits: 9n * LINK_PRICE })
  })

  test('a rail is for traffic or for links: neither is taken for the other', async () => {
    const network = await linkedNetwork('mixed')
    const terms = { chainId: world.chain.chainId, generation: 0, ownerKey: alice.secretKey }
    const links = await openRail(0n, LINK_PRICE)
    const traffic = await openRail(RELAY_PRICE, LINK_PRICE)
    try {
      const voucher = signVoucher({ ...terms, rail: traffic }, 0, 5)
      const asked = reserveLink(network.controlPlane, paid.nodeKey, voucher)
      await expect(asked).rejects.toMatchObject({ refusal: 'RAIL_PURPOSE' })
      for (const rail of [links, traffic]) {
        const relayed = openRelayedChannel({
          network,
          relay: paid.nodeKey,
          destination: nodeKeyOf('nobody'),
          payer: new RailPayer({ ...terms, rail }),
          identity: { chainId: world.chain.chainId, nodeKey: keyOf('mixed').secretKey },
        })
        await expect(relayed).rejects.toMatchObject({ refusal: 'RAIL_PURPOSE' })
      }
      const foreign = signVoucher({ ...terms, rail: links, ownerKey: keyOf('bob').secretKey }, 0, 5)
      const forged = reserveLink(network.controlPlane, paid.nodeKey, foreign)
      await expect(forged).rejects.toMatchObject({ refusal: 'VOUCHER_INVALID' })
    } finally {
      await network.stop()
    }
  })

  test('are not opened where they cost more than the peer would pay', async () => {
    const peer = await world.startPeer('thrifty', {
      bootstrap: home.multiaddrs,
      paidLinks: { count: 1, payerKey: alice.secretKey, priceMax: LINK_PRICE - 1n },
    })
    await untilEpoch((await epochNow()) + 3)
    expect(await linksOf(peer)).toEqual([])
    expect(await world.chain.railsOfPayer(alice.address)).toEqual([])
  })
})

async function linkedNetwork(name: string): Promise<PeerNetwork> {
  await mkdir(world.folder, { recursive: true })
  const network = await PeerNetwork.start({
    chainId: world.chain.chainId,
    nodeKey: keyOf(name).secretKey,
    bootstrap: paid.multiaddrs,
    logger: world.logger,
  })
  await network.linkedBootstrap()
  return network
}
