import type { Duplex } from 'node:stream'
import { TransferError } from './transfer-error.ts'

/** Waits until a stream takes more. Throws CHANNEL_CLOSED where it closes first. */
export async function drained(stream: Duplex): Promise<void> {
  if (!stream.writableNeedDrain && !stream.destroyed) return
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const onClose = () => reject(new TransferError('CHANNEL_CLOSED', 'the peer closed the stream'))
  if (stream.destroyed) onClose()
  stream.once('drain', resolve).once('close', onClose)
  try {
    await promise
  } finally {
    stream.off('drain', resolve).off('close', onClose)
  }
}
