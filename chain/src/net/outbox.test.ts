import type { Libp2p, Stream } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { afterEach, expect, test } from 'vitest'
import { Outbox, OutboxRoom } from './outbox.ts'
import { streamWriter } from './stream-writer.ts'

const running: Libp2p[] = []
afterEach(async () => {
  for (const node of running.splice(0)) await node.stop()
})

/** A peer that reads nothing until it is let go. */
function slowPeer() {
  const gate = Promise.withResolvers<void>()
  const written: Uint8Array[] = []
  const outbox = new Outbox(async () => {
    await gate.promise
    return {
      write: (message) => Promise.resolve(void written.push(message)),
      abort: () => undefined,
    }
  })
  const read = async () => {
    gate.resolve()
    await expect.poll(() => written.at(-1)?.[0]).toBe(255)
    return written
  }
  return { outbox, read }
}

test('large messages for a peer that does not read are bounded in bytes, the oldest go', async () => {
  const { outbox, read } = slowPeer()
  const block = new Uint8Array(2 * 1024 * 1024)
  for (let i = 0; i < 100; i++) outbox.add(block)
  outbox.add(Uint8Array.of(255))
  const written = await read()
  // One was on its way when the rest had to wait; the small one took the eighth place.
  expect(written).toHaveLength(1 + 7 + 1)
})

test('small messages are bounded in number', async () => {
  const { outbox, read } = slowPeer()
  for (let i = 0; i < 1000; i++) outbox.add(Uint8Array.of(1))
  outbox.add(Uint8Array.of(255))
  expect(await read()).toHaveLength(1 + 512)
})

test('a crowd that does not read is bounded in all, and whoever reads loses nothing to it', async () => {
  const room = new OutboxRoom(64 * 1024 * 1024)
  const never = () => new Promise<never>(() => undefined)
  const crowd = Array.from({ length: 100 }, () => new Outbox(never, room))
  const quiet = new Outbox(never, room)
  quiet.add(new Uint8Array(8))
  quiet.add(new Uint8Array(8))
  for (let i = 0; i < 8; i++) {
    for (const outbox of crowd) outbox.add(new Uint8Array(1024 * 1024))
  }
  expect(room.bytes).toBeLessThanOrEqual(64 * 1024 * 1024)
  expect(quiet.bytes).toBe(8)
  for (const outbox of crowd) outbox.close()
  expect(room.bytes).toBe(8)
})

async function startNode(): Promise<Libp2p> {
  const node = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [tls()],
    streamMuxers: [yamux()],
  })
  running.push(node)
  return node
}

/** Real streams to a node that has stopped reading the first one and reads all others. */
async function streamsToDeafPeer(writeTimeoutMs?: number) {
  const [near, far] = [await startNode(), await startNode()]
  const ours: Stream[] = []
  const theirs: Stream[] = []
  let read = 0
  await far.handle('/messages', async (stream) => {
    theirs.push(stream)
    if (theirs.length === 1) return stream.pause()
    stream.addEventListener('message', ({ data }) => {
      read += data.byteLength
    })
  })
  const connection = await near.dial(far.getMultiaddrs())
  const open = async () => {
    const stream = await connection.newStream('/messages')
    ours.push(stream)
    return streamWriter(stream)
  }
  const outbox = new Outbox(open, new OutboxRoom(), writeTimeoutMs)
  outbox.add(Uint8Array.of(1))
  await expect.poll(() => theirs[0]?.readStatus, { timeout: 5000 }).toBe('paused')
  return { outbox, connection, ours, theirs, read: () => read }
}

test('a stream whose write timed out is given up on both sides, the next message takes another', async () => {
  const { outbox, ours, theirs, read } = await streamsToDeafPeer(200)
  outbox.add(new Uint8Array(1024 * 1024))
  await expect.poll(() => ours[0]?.status, { timeout: 5000 }).toBe('aborted')
  await expect.poll(() => theirs[0]?.status, { timeout: 5000 }).toBe('reset')
  expect(ours[0]?.writeBufferLength).toBe(0)
  outbox.add(new Uint8Array(7))
  await expect.poll(read, { timeout: 5000 }).toBe(1 + 7)
})

test('a closed outbox gives up its stream, with what waits in it', async () => {
  const { outbox, ours } = await streamsToDeafPeer()
  outbox.add(new Uint8Array(1024 * 1024))
  await expect.poll(() => ours[0]?.writeBufferLength, { timeout: 5000 }).toBeGreaterThan(0)
  outbox.close()
  await expect.poll(() => ours[0]?.status, { timeout: 5000 }).toBe('aborted')
  expect(ours[0]?.writeBufferLength).toBe(0)
})

test('room on other streams of the connection is none on this one', async () => {
  const { outbox, connection, ours } = await streamsToDeafPeer()
  const side = streamWriter(await connection.newStream('/messages'))
  for (let i = 0; i < 64; i++) {
    outbox.add(new Uint8Array(256 * 1024))
    // What the peer does read drains the connection again and again.
    await side.write(new Uint8Array(256 * 1024), { signal: AbortSignal.timeout(10_000) })
  }
  expect(ours[0]?.writeBufferLength).toBeLessThan(2 * 256 * 1024)
  outbox.close()
})
