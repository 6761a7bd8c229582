import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { assert, publicKeyOf } from '@ioex/chain/bytes'
import { FrameKind, type SecureChannel } from '@ioex/storage-node/transfer'
import {
  CHAIN_ID,
  channelPair,
  secretKey,
  socketPair,
} from '../storage-node/src/transfer/testing/channel-pair.ts'
import { type Bench, type Comparison, repeated, type Scale, sized } from './comparison.ts'
import { seededBytes } from './seeded.ts'

const MB = 1e6
const CELL_BYTES = 65_536
/** An upload writes eight cells at once. */
const CELLS_PER_WRITE = 8

type Cells = readonly Uint8Array[]

/** Sends frames of cells one way and reads them at the other end. */
async function throughChannel(
  from: SecureChannel,
  to: SecureChannel,
  writes: readonly Cells[],
  onPayload: (payload: Uint8Array) => void = () => {},
): Promise<void> {
  const sending = (async () => {
    for (const cells of writes) await from.frames.send(FrameKind.data, ...cells)
  })()
  for (const _ of writes) {
    const frame = await to.frames.receive()
    assert(frame, 'the channel stays open')
    onPayload(frame.payload)
  }
  await sending
}

/** The same writes over a bare socket, counted as they arrive. */
async function throughSocket(from: Socket, to: Socket, writes: readonly Cells[]): Promise<void> {
  let left = writes.flat().reduce((sum, { length }) => sum + length, 0)
  const { promise: arrived, resolve } = Promise.withResolvers<void>()
  const count = (chunk: Uint8Array) => {
    left -= chunk.length
    if (left === 0) resolve()
  }
  to.on('data', count)
  for (const cells of writes) {
    from.cork()
    for (const cell of cells) from.write(cell)
    from.uncork()
    if (from.writableNeedDrain) await once(from, 'drain')
  }
  await arrived
  to.off('data', count)
}

/**
 * Both ends in one process over loopback: the processor time of both is what a transfer costs on
 * the machine, whichever end waits for the other.
 */
async function* comparisons(scale: Scale): AsyncGenerator<Comparison> {
  const client = { chainId: CHAIN_ID, nodeKey: secretKey(1) }
  const server = { chainId: CHAIN_ID, nodeKey: secretKey(2) }
  const plain = await socketPair()
  const pair = await channelPair({ client, server, expectedPeer: publicKeyOf(server.nodeKey) })
  const writes = Array.from({ length: sized(scale, 2, 64) }, (_, write) =>
    Array.from({ length: CELLS_PER_WRITE }, (_, i) => seededBytes(`${write} ${i}`, CELL_BYTES)),
  )
  const bytes = writes.length * CELLS_PER_WRITE * CELL_BYTES
  try {
    const hash = createHash('sha256')
    await throughChannel(pair.client, pair.server, writes, (payload) => hash.update(payload))
    yield {
      name: `storage-node/transfer::upload/frame=${(CELLS_PER_WRITE * CELL_BYTES) / 1024}`,
      unit: 'MB',
      work: bytes / MB,
      subject: repeated(() => throughChannel(pair.client, pair.server, writes)),
      against: {
        name: 'plain TCP',
        workload: repeated(() => throughSocket(plain.near, plain.far, writes)),
      },
      result: hash.digest(),
      facts: { bytes },
    }
  } finally {
    pair.close()
    for (const socket of [plain.near, plain.far]) socket.destroy()
    plain.server.close()
  }
}

export const dataChannel: Bench = {
  name: 'channel',
  about: 'bytes through a TLS channel bound to node keys, against plain TCP',
  comparisons,
}
