import { randomBytes } from 'node:crypto'
import { connect as tlsConnect, TLSSocket } from 'node:tls'
import { bytesEqual, publicKeyOf } from '@ioex/chain/bytes'
import { afterEach, describe, expect, test } from 'vitest'
import { createChannelCredentials } from './channel-credentials.ts'
import { FrameKind } from './frame-connection.ts'
import { acceptSecureChannel, openSecureChannel } from './secure-channel.ts'
import {
  CHAIN_ID,
  channelPair,
  type ChannelPair,
  secretKey,
  socketPair,
} from './testing/channel-pair.ts'

const ALICE = { chainId: CHAIN_ID, nodeKey: secretKey(1), ownerKey: secretKey(9) }
const BOB = { chainId: CHAIN_ID, nodeKey: secretKey(2) }
const BOB_KEY = publicKeyOf(BOB.nodeKey)

const open: ChannelPair[] = []
async function pair(people: Partial<Parameters<typeof channelPair>[0]> = {}) {
  const made = await channelPair({ client: ALICE, server: BOB, expectedPeer: BOB_KEY, ...people })
  open.push(made)
  return made
}
afterEach(() => {
  for (const made of open.splice(0)) made.close()
})

describe('secure channel', () => {
  test('both ends prove their node keys, and the payer its owner key', async () => {
    const { client, server } = await pair()
    expect(client.peerKey).toEqual(BOB_KEY)
    expect(client.peerOwnerKey).toBeUndefined()
    expect(server.peerKey).toEqual(publicKeyOf(ALICE.nodeKey))
    expect(server.peerOwnerKey).toEqual(publicKeyOf(ALICE.ownerKey))
  })

  test('a peer that is not the expected one is refused', async () => {
    const failure = pair({ expectedPeer: publicKeyOf(secretKey(3)) })
    await expect(failure).rejects.toMatchObject({ code: 'PEER_IDENTITY' })
  })

  test('a peer of another chain is refused', async () => {
    const failure = pair({ server: { ...BOB, chainId: new Uint8Array(32).fill(8) } })
    await expect(failure).rejects.toMatchObject({ code: 'PEER_IDENTITY' })
  })

  test('a man in the middle is found out although he passes every byte on', async () => {
    const credentials = await createChannelCredentials()
    const left = await socketPair()
    const right = await socketPair()
    // Mallory ends both TLS sessions and copies the plaintext, hello included.
    const facingAlice = new TLSSocket(left.far, { isServer: true, secureContext: credentials })
    const facingBob = tlsConnect({ socket: right.near, rejectUnauthorized: false })
    facingAlice.on('error', () => {})
    facingBob.on('error', () => {})
    facingAlice.pipe(facingBob).pipe(facingAlice)
    const results = await Promise.allSettled([
      openSecureChannel(left.near, ALICE, { expectedPeer: BOB_KEY }),
      acceptSecureChannel(right.far, BOB, { credentials }),
    ])
    expect(results.map((result) => result.status)).toEqual(['rejected', 'rejected'])
    left.server.close()
    right.server.close()
    left.near.destroy()
    right.near.destroy()
  })

  test('garbage instead of TLS ends in a typed error', async () => {
    const { near, far, server } = await socketPair()
    far.end('HTTP/1.1 400 Bad Request\r\n\r\n')
    const failure = openSecureChannel(near, ALICE, { expectedPeer: BOB_KEY })
    await expect(failure).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' })
    server.close()
  })

  test('a stranger that connects and hangs up is an error of the accepting side only', async () => {
    const credentials = await createChannelCredentials()
    const { near, far, server } = await socketPair()
    const accepting = acceptSecureChannel(far, BOB, { credentials })
    near.destroy()
    await expect(accepting).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' })
    server.close()
  })
})

describe('frames', () => {
  test('arrive whole, in order and unchanged, whatever their size', async () => {
    const { client, server } = await pair()
    const payloads = [0, 1, 4, 5, 16_384, 65_536, 300_001, 1024 * 1024].map((n) => randomBytes(n))
    const sending = (async () => {
      for (const payload of payloads) await client.frames.send(FrameKind.data, payload)
      await client.frames.close()
    })()
    for (const payload of payloads) {
      const frame = await server.frames.receive()
      expect(frame?.kind).toBe(FrameKind.data)
      expect(bytesEqual(frame?.payload ?? new Uint8Array(0), payload)).toBe(true)
    }
    expect(await server.frames.receive()).toBeUndefined()
    await sending
  })

  test('a frame that claims to be too long is refused before it is allocated', async () => {
    const { client, server } = await pair()
    const reading = server.frames.receive()
    await client.frames.send(FrameKind.request, new Uint8Array(65_537))
    await expect(reading).rejects.toMatchObject({ code: 'PEER_PROTOCOL' })
  })

  test('a slow reader holds the writer back', async () => {
    const { client, server } = await pair()
    const chunk = randomBytes(1024 * 1024)
    let sent = 0
    const sending = (async () => {
      for (; sent < 64; sent++) await client.frames.send(FrameKind.data, chunk)
    })()
    // Time for all 64 MiB to pass if nothing held them back: many turns of a busy loop.
    for (let turn = 0; turn < 2000; turn++) await new Promise(setImmediate)
    expect(sent).toBeLessThan(32)
    for (let read = 0; read < 64; read++) await server.frames.receive()
    await sending
    expect(sent).toBe(64)
  })

  test('a connection that breaks inside a frame fails the reader', async () => {
    const { client, server } = await pair()
    await client.frames.send(FrameKind.data, randomBytes(10))
    expect((await server.frames.receive())?.payload.length).toBe(10)
    client.frames.destroy()
    await expect(server.frames.receive()).resolves.toBeUndefined()
    await expect(server.frames.send(FrameKind.end)).rejects.toMatchObject({
      code: 'CHANNEL_CLOSED',
    })
  })

  test('acknowledgements follow what arrived', async () => {
    const { client, server } = await pair({
      clientFrames: { acknowledged: true },
      serverFrames: { acknowledges: true },
    })
    const done = Promise.withResolvers<void>()
    const total = 40 * (100_000 + 5)
    client.frames.onAcknowledged(() => {
      if (client.frames.acknowledgedBytes > total - 1024 * 1024) done.resolve()
    })
    // The client's own reader never sees an acknowledgement.
    const reading = client.frames.receive()
    for (let i = 0; i < 40; i++) {
      await client.frames.send(FrameKind.data, randomBytes(100_000))
      await server.frames.receive()
    }
    await done.promise
    await server.frames.send(FrameKind.end)
    expect((await reading)?.kind).toBe(FrameKind.end)
  })
})
