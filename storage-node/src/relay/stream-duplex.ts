import { Duplex } from 'node:stream'
import { callbackify } from 'node:util'
import type { Stream } from '@libp2p/interface'

/** Bytes of a relayed stream that wait in a process on each side of it. */
const BUFFERED_BYTES = 256 * 1024

/** Bytes that crossed a stream, counted where it leaves this process. */
export interface StreamTally {
  read: number
  written: number
  onChange: (() => void) | undefined
}

export function newTally(): StreamTally {
  return { read: 0, written: 0, onChange: undefined }
}

/**
 * A libp2p stream as a Node stream, so that TLS can run in it and `pipe` knows when to wait.
 * Back-pressure goes both ways: a slow reader pauses the muxer's window, a slow peer holds the
 * writer back.
 */
export function streamToDuplex(stream: Stream, tally: StreamTally = newTally()): Duplex {
  let failure: Error | undefined
  const duplex = new Duplex({
    readableHighWaterMark: BUFFERED_BYTES,
    writableHighWaterMark: BUFFERED_BYTES,
    read: () => resumeReading(stream),
    write: (chunk: Uint8Array, _encoding, done) => send(stream, tally, [chunk], done),
    writev: (chunks, done) =>
      send(
        stream,
        tally,
        chunks.map(({ chunk }) => chunk as Uint8Array),
        done,
      ),
    final: (done) => {
      callbackify(() => stream.close())(done)
    },
    destroy: (error, done) => {
      if (stream.status === 'open' || stream.status === 'closing') {
        stream.abort(error ?? new Error('stream destroyed'))
      }
      done(error)
    },
  })
  stream.addEventListener('message', ({ data }) => {
    let wantsMore = true
    const chunks = data instanceof Uint8Array ? [data] : data
    for (const chunk of chunks) {
      tally.read += chunk.length
      wantsMore = duplex.push(chunk)
    }
    tally.onChange?.()
    if (!wantsMore && stream.readStatus === 'readable') stream.pause()
  })
  stream.addEventListener('end', () => {
    if (failure === undefined) duplex.push(null)
  })
  stream.addEventListener('close', ({ error }) => {
    if (error === undefined) return
    failure = error
    duplex.destroy(error)
  })
  // Whoever uses the stream sees its failure where it reads or writes; without a listener an
  // error between two uses would end the process.
  duplex.on('error', () => {})
  return duplex
}

function resumeReading(stream: Stream): void {
  if (stream.readStatus === 'paused') stream.resume()
}

function send(
  stream: Stream,
  tally: StreamTally,
  chunks: readonly Uint8Array[],
  done: (error?: Error | null) => void,
): void {
  try {
    for (const chunk of chunks) {
      tally.written += chunk.length
      // Copied: TLS lends its own memory until `done`, while libp2p's socket may hold what it was
      // given for longer. Sent without a copy, records are overwritten under load.
      stream.send(Uint8Array.from(chunk))
    }
    tally.onChange?.()
    callbackify(() => flushed(stream))(done)
  } catch (error) {
    done(error as Error)
  }
}

/**
 * Waits until the muxer has taken everything. "drain" alone is not enough: it comes with every
 * window update, however small, and whoever then writes more fills the stream without bound.
 */
async function flushed(stream: Stream): Promise<void> {
  if (stream.writeBufferLength > 0) await idle(stream)
  if (stream.writableNeedsDrain) await stream.onDrain()
}

function idle(stream: Stream): Promise<void> {
  return new Promise((resolve, reject) => {
    const onClose = () => settle(() => reject(new Error('the stream was closed')))
    const onIdle = () => settle(resolve)
    const settle = (finish: () => void) => {
      stream.removeEventListener('idle', onIdle)
      stream.removeEventListener('close', onClose)
      finish()
    }
    stream.addEventListener('idle', onIdle)
    stream.addEventListener('close', onClose)
  })
}
