import type { Duplex } from 'node:stream'
import type { Type } from '@chainsafe/ssz'
import { decodeCanonical } from '@ioex/chain/bytes'
import { drained } from './stream-drain.ts'
import { TransferError } from './transfer-error.ts'

const LENGTH_BYTES = 4

/** Writes one SSZ value with its length in front (u32 little-endian). */
export async function writeMessage<T>(stream: Duplex, type: Type<T>, value: T): Promise<void> {
  const body = type.serialize(value)
  const message = Buffer.allocUnsafe(LENGTH_BYTES + body.length)
  message.writeUInt32LE(body.length, 0)
  message.set(body, LENGTH_BYTES)
  if (!stream.writable) throw closed()
  if (!stream.write(message)) await drained(stream)
}

/**
 * Reads one SSZ value; what follows it stays in the stream. Throws PEER_SILENT after
 * `timeoutMs`, CHANNEL_CLOSED where the stream ends, PEER_PROTOCOL on other bytes.
 */
export async function readMessage<T>(
  stream: Duplex,
  type: Type<T>,
  options: { bytesMax: number; timeoutMs: number },
): Promise<T> {
  const signal = AbortSignal.timeout(options.timeoutMs)
  const header = await readExactly(stream, LENGTH_BYTES, signal)
  const length = new DataView(header.buffer, header.byteOffset).getUint32(0, true)
  if (length > options.bytesMax) {
    throw new TransferError('PEER_PROTOCOL', `a message of ${length} bytes is too long`)
  }
  const body = await readExactly(stream, length, signal)
  const decoded = decodeCanonical(type, body, options.bytesMax)
  if (!decoded.ok) throw new TransferError('PEER_PROTOCOL', decoded.fault.message)
  return decoded.value
}

/** Reads in paused mode, so that bytes behind the message are left to the next reader. */
async function readExactly(
  stream: Duplex,
  bytes: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const collected = new Uint8Array(bytes)
  let filled = 0
  while (filled < bytes) {
    const wanted = Math.min(bytes - filled, stream.readableLength)
    const chunk = wanted > 0 ? (stream.read(wanted) as Uint8Array | null) : null
    if (chunk) {
      collected.set(chunk, filled)
      filled += chunk.length
      continue
    }
    if (stream.readableEnded || stream.destroyed) throw closed()
    // Asks the source for bytes where none are buffered.
    stream.read(0)
    await moreOrEnd(stream, signal)
  }
  return collected
}

async function moreOrEnd(stream: Duplex, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const onEnd = () => reject(closed())
  const onError = (cause: Error) => reject(closed(cause))
  const onLate = () => reject(new TransferError('PEER_SILENT', 'the peer did not answer in time'))
  stream.once('readable', resolve).once('end', onEnd).once('close', onEnd).once('error', onError)
  signal.addEventListener('abort', onLate, { once: true })
  if (signal.aborted) onLate()
  try {
    await promise
  } finally {
    stream.off('readable', resolve).off('end', onEnd).off('close', onEnd).off('error', onError)
    signal.removeEventListener('abort', onLate)
  }
}

function closed(cause?: unknown): TransferError {
  return new TransferError('CHANNEL_CLOSED', 'the peer closed the stream', { cause })
}
