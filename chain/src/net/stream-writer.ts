import { once } from 'node:events'
import type { Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'

/** A way to one peer. */
export interface FrameWriter {
  /** Resolves once nothing waits on our side any more; rejects when the signal says so. */
  write(message: Uint8Array, options: { readonly signal: AbortSignal }): Promise<void>
  /** Gives the way up, with what lies in its buffers, on both sides. */
  abort(reason: Error): void
}

/**
 * Messages on a stream, each after its length. The library resolves a write as soon as the
 * connection has room, also where this stream has none: a peer that leaves one stream unread and
 * reads another would fill our memory, and no time-out would ever end it.
 */
export function streamWriter(stream: Stream, frames = lpStream(stream)): FrameWriter {
  return {
    async write(message, { signal }) {
      await frames.write(message, { signal })
      if (stream.writeBufferLength > 0) await nothingWaits(stream, signal)
    },
    abort: (reason) => stream.abort(reason),
  }
}

/** Rejects where the stream ends first. */
async function nothingWaits(stream: Stream, signal: AbortSignal): Promise<void> {
  const heard = new AbortController()
  const until = { signal: AbortSignal.any([signal, heard.signal]) }
  try {
    await Promise.race([once(stream, 'idle', until), once(stream, 'close', until)])
  } finally {
    heard.abort()
  }
  // An aborted stream throws its buffer away, which looks like an empty one.
  if (stream.writeStatus !== 'writable') throw new Error(`the stream is ${stream.status}`)
}
