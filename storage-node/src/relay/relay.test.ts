import { randomBytes } from 'node:crypto'
import { bytesEqual } from '@ioex/chain/bytes'
import { installNativeCrypto } from '@ioex/chain/native'
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { createChannelCredentials } from '../transfer/channel-credentials.ts'
import { type FrameConnection, FrameKind } from '../transfer/frame-connection.ts'
import { acceptSecureChannel, type SecureChannel } from '../transfer/secure-channel.ts'
import { RailPayer } from '../transfer/rail-payer.ts'
import type { PeerNetwork } from './peer-network.ts'
import { RELAY_STOP_BYTES, RELAY_STOP_PROTOCOL, RelayStopType } from './relay-messages.ts'
import { openRelayedChannel } from './relay-session.ts'
import { readMessage } from '../transfer/length-prefixed.ts'
import { keyBytes, RelayWorld } from './testing/relay-world.ts'

const MIB = 1024 * 1024
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })
let world: RelayWorld
beforeAll(async () => {
  await installNativeCrypto()
})

/** Accepts relayed channels at `network` and hands them to `serve`. */
async function acceptAt(
  network: PeerNetwork,
  name: string,
  serve: (channel: SecureChannel) => Promise<void>,
): Promise<void> {
  const credentials = await createChannelCredentials()
  await network.handle(RELAY_STOP_PROTOCOL, async (stream) => {
    await readMessage(stream, RelayStopType, { bytesMax: RELAY_STOP_BYTES, timeoutMs: 5000 })
    const options = { credentials, acknowledges: true }
    const channel = await acceptSecureChannel(stream, world.identity(name), options)
    await serve(channel)
  })
}

/** Sends back every data frame. */
async function echo({ frames }: SecureChannel): Promise<void> {
  for (let frame = await frames.receive(); frame; frame = await frames.receive()) {
    await frames.send(frame.kind, frame.payload)
  }
  await frames.close()
}

/** Takes everything; answers an end frame, so that the sender knows it is all here. */
async function sink({ frames }: SecureChannel): Promise<void> {
  for (let frame = await frames.receive(); frame; frame = await frames.receive()) {
    if (frame.kind === FrameKind.end) await frames.send(FrameKind.end)
  }
  await frames.close()
}

async function sendAll(frames: FrameConnection, chunk: Uint8Array, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await frames.send(FrameKind.data, chunk)
}

describe('relay between peers that nobody can dial', () => {
  beforeEach(async () => {
    world = await RelayWorld.start()
  })
  afterEach(() => world.stop())

  test('carries bytes both ways, end to end encrypted, and is paid for the payer’s leg', async () => {
    const bob = await world.peer('bob')
    const alice = await world.peer('alice-node')
    await acceptAt(bob, 'bob', echo)
    const payer = await world.rail(100_000_000n)
    const { channel, close, legBytes } = await openRelayedChannel({
      network: alice,
      relay: world.relayKey,
      destination: keyBytes('bob'),
      payer,
      identity: world.identity('alice-node'),
    })
    expect(bytesEqual(channel.peerKey, keyBytes('bob'))).toBe(true)
    const chunk = randomBytes(256 * 1024)
    const sending = sendAll(channel.frames, chunk, 32)
    for (let i = 0; i < 32; i++) {
      const frame = await channel.frames.receive()
      expect(frame && bytesEqual(frame.payload, chunk)).toBe(true)
    }
    await sending
    await close()
    expect(legBytes()).toBeGreaterThan(16 * MIB)
    const { rail, generation } = payer.rail
    const newest = await world.ledger.voucher({ rail, generation })
    // Every byte of the leg is paid, at most rounded up to one KiB.
    expect(newest?.voucher.kib).toBe(Math.ceil(legBytes() / 1024))
    expect(world.service.counters.bytesTotal).toBe(legBytes())
    expect(world.service.counters.cutTotal).toBe(0)
  })

  test('several sessions of one rail share its meter, and later ones go on from its counter', async () => {
    const bob = await world.peer('bob')
    const alice = await world.peer('alice-node')
    await acceptAt(bob, 'bob', sink)
    const payer = await world.rail(100_000_000n)
    const path = {
      network: alice,
      relay: world.relayKey,
      destination: keyBytes('bob'),
      payer,
      identity: world.identity('alice-node'),
    }
    const run = async () => {
      const session = await openRelayedChannel(path)
      await sendAll(session.channel.frames, randomBytes(200_000), 20)
      await session.channel.frames.send(FrameKind.end)
      await session.channel.frames.receive()
      await session.close()
      return session.legBytes()
    }
    const first = await Promise.all([run(), run(), run()])
    const last = await run()
    const total = [...first, last].reduce((sum, bytes) => sum + bytes, 0)
    const newest = await world.ledger.voucher(payer.rail)
    expect(newest?.voucher.kib).toBe(Math.ceil(total / 1024))
    expect(world.service.counters).toMatchObject({ sessionsTotal: 4, cutTotal: 0 })
  })

  test('a payer that stops paying is paused at one step and then cut', async () => {
    await world.stop()
    world = await RelayWorld.start(1000)
    const bob = await world.peer('bob')
    const alice = await world.peer('alice-node')
    await acceptAt(bob, 'bob', sink)
    const payer = await world.rail(100_000_000n)
    const { channel } = await openRelayedChannel({
      network: alice,
      relay: world.relayKey,
      destination: keyBytes('bob'),
      // Signs nothing beyond the first voucher.
      payer: Object.assign(payer, { owe: () => undefined, end: () => undefined }),
      identity: world.identity('alice-node'),
    })
    const failure = sendAll(channel.frames, randomBytes(256 * 1024), 1000)
    await expect(failure).rejects.toMatchObject({ code: 'CHANNEL_CLOSED' })
    expect(world.service.counters.cutTotal).toBe(1)
    expect(world.service.counters.bytesTotal).toBeLessThanOrEqual(256 * 1024)
  })

  test('a used-up lock ends the session', async () => {
    const bob = await world.peer('bob')
    const alice = await world.peer('alice-node')
    await acceptAt(bob, 'bob', sink)
    // 50,000,000 units per GiB: 100,000 units pay 2 MiB.
    const payer = await world.rail(100_000n)
    const { channel } = await openRelayedChannel({
      network: alice,
      relay: world.relayKey,
      destination: keyBytes('bob'),
      payer,
      identity: world.identity('alice-node'),
    })
    await expect(sendAll(channel.frames, randomBytes(100_000), 1000)).rejects.toThrow()
    expect(world.service.counters.bytesTotal).toBeLessThanOrEqual(2.05 * MIB)
  })

  test('refuses foreign rails, strange vouchers and unknown destinations', async () => {
    const alice = await world.peer('alice-node')
    const payer = await world.rail(100_000_000n)
    const path = {
      network: alice,
      relay: world.relayKey,
      destination: keyBytes('nobody'),
      payer,
      identity: world.identity('alice-node'),
    }
    const refused = (refusal: string) => ({ code: 'PEER_REFUSED', refusal })
    await expect(openRelayedChannel(path)).rejects.toMatchObject(refused('DESTINATION_UNREACHABLE'))
    const mallory = new RailPayer({
      ...payer.rail,
      ownerKey: new Uint8Array(32).fill(77),
    })
    const stolen = openRelayedChannel({ ...path, payer: mallory })
    await expect(stolen).rejects.toMatchObject(refused('VOUCHER_INVALID'))
    const other = new RailPayer({
      ...payer.rail,
      rail: 999,
    })
    const unknown = openRelayedChannel({ ...path, payer: other })
    await expect(unknown).rejects.toMatchObject(refused('RAIL_UNKNOWN'))
  })

  test('a slow destination holds the sender back; the relay keeps little in memory', async () => {
    const bob = await world.peer('bob')
    const alice = await world.peer('alice-node')
    const slow = Promise.withResolvers<void>()
    await acceptAt(bob, 'bob', async (channel) => {
      await channel.frames.receive()
      await slow.promise
      await sink(channel)
    })
    const payer = await world.rail(1_000_000_000n)
    const { channel, close, legBytes } = await openRelayedChannel({
      network: alice,
      relay: world.relayKey,
      destination: keyBytes('bob'),
      payer,
      identity: world.identity('alice-node'),
    })
    let sent = 0
    const chunk = randomBytes(MIB)
    const sending = (async () => {
      for (; sent < 64; sent++) await channel.frames.send(FrameKind.data, chunk)
    })()
    // Until nothing has moved for many turns of the event loop.
    for (let still = 0, last = -1; still < 300; still++) {
      await new Promise(setImmediate)
      const { bytesTotal } = world.service.counters
      if (bytesTotal !== last) still = 0
      last = bytesTotal
    }
    expect(world.service.counters.bytesTotal).toBeLessThan(24 * MIB)
    expect(sent).toBeLessThan(48)
    slow.resolve()
    await sending
    await close()
    expect(legBytes()).toBeGreaterThan(64 * MIB)
  })
})
