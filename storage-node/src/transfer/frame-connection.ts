import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { assert, decodeCanonical } from '@ioex/chain/bytes'
import {
  ACKNOWLEDGEMENT_BYTES,
  AcknowledgementType,
  ReceivedTally,
  SentTally,
} from './frame-acknowledgement.ts'
import { drained } from './stream-drain.ts'
import { TransferError } from './transfer-error.ts'

/** Kinds of frames on a channel; the number is the wire format. */
export const FrameKind = {
  acknowledgement: 0,
  hello: 1,
  request: 2,
  answer: 3,
  data: 4,
  end: 5,
  voucher: 6,
  refusal: 7,
} as const

export interface Frame {
  readonly kind: number
  readonly payload: Uint8Array
}

/** Payload length u32 little-endian, then the kind. */
const HEADER_BYTES = 5
const DATA_FRAME_BYTES_MAX = 1024 * 1024 + 16 * 1024
const CONTROL_FRAME_BYTES_MAX = 64 * 1024
/** Received bytes that wait for the reader; beyond it the peer is held back. */
const UNREAD_BYTES_MAX = 2 * 1024 * 1024
/** How long a closing side waits for the other; it may never end its own. */
const CLOSE_MS = 2_000

export interface FrameOptions {
  /** Sends acknowledgements of what arrives: the side that does not pay the relay. */
  readonly acknowledges?: boolean
  /** Expects acknowledgements of what it sends: the side that pays. */
  readonly acknowledged?: boolean
}

/**
 * Frames over a byte stream, in order, both ways at once. Reading holds the peer back when the
 * reader is slow; writing waits while the peer is slow. One reader and any number of writers.
 */
export class FrameConnection {
  readonly #stream: Duplex
  readonly #header = Buffer.alloc(HEADER_BYTES)
  #headerFilled = 0
  #payload: Uint8Array | undefined
  #payloadFilled = 0
  readonly #unread: Frame[] = []
  #unreadBytes = 0
  #reader: { resolve(frame: Frame | undefined): void; reject(error: Error): void } | undefined
  #ended = false
  #failure: Error | undefined
  readonly #received: ReceivedTally | undefined
  readonly #sent: SentTally | undefined
  #onAcknowledged: (() => void) | undefined

  constructor(stream: Duplex, options: FrameOptions = {}) {
    this.#stream = stream
    this.#received = options.acknowledges ? new ReceivedTally() : undefined
    this.#sent = options.acknowledged ? new SentTally() : undefined
    stream.on('data', (chunk: Uint8Array) => this.#consume(chunk))
    stream.on('end', () => this.#finish())
    stream.on('error', (error: Error) => {
      this.#fail(closedError(error))
    })
    stream.on('close', () => this.#finish())
  }

  /** Bytes of frames that the other side acknowledged, where acknowledgements are expected. */
  get acknowledgedBytes(): number {
    return this.#sent?.acknowledgedBytes ?? 0
  }

  onAcknowledged(listener: () => void): void {
    this.#onAcknowledged = listener
  }

  get open(): boolean {
    return !this.#ended && this.#failure === undefined
  }

  /**
   * Sends one frame whose payload is the parts in a row; they are not copied, so they must not
   * change afterwards. Resolves when the stream takes more.
   */
  async send(kind: number, ...parts: readonly Uint8Array[]): Promise<void> {
    if (this.#failure) throw this.#failure
    if (!this.#stream.writable) throw closedError()
    const header = Buffer.allocUnsafe(HEADER_BYTES)
    header.writeUInt32LE(
      parts.reduce((sum, part) => sum + part.length, 0),
      0,
    )
    header[4] = kind
    this.#stream.cork()
    this.#stream.write(header)
    for (const part of parts) this.#stream.write(part)
    process.nextTick(() => this.#stream.uncork())
    this.#sent?.add([header, ...parts])
    if (this.#stream.writableNeedDrain) {
      try {
        await drained(this.#stream)
      } catch (error) {
        throw this.#failure ?? error
      }
    }
  }

  /** The next frame; undefined when the peer closed after a whole frame. */
  receive(): Promise<Frame | undefined> {
    const frame = this.#unread.shift()
    if (frame) {
      this.#unreadBytes -= frame.payload.length + HEADER_BYTES
      if (this.#unreadBytes < UNREAD_BYTES_MAX && this.#stream.isPaused()) this.#stream.resume()
      return Promise.resolve(frame)
    }
    if (this.#failure) return Promise.reject(this.#failure)
    if (this.#ended) return Promise.resolve(undefined)
    assert(this.#reader === undefined, 'a connection has one reader')
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject }
    })
  }

  /** Ends the writing side and waits until the stream is closed. */
  async close(): Promise<void> {
    if (this.#stream.destroyed) return
    this.#stream.end()
    const timer = setTimeout(() => this.#stream.destroy(), CLOSE_MS)
    try {
      await once(this.#stream, 'close')
    } catch {
      this.#stream.destroy()
    } finally {
      clearTimeout(timer)
    }
  }

  /** Cuts the connection at once; a waiting reader gets the error. */
  destroy(error: Error = closedError()): void {
    this.#fail(error)
    this.#stream.destroy()
  }

  #consume(chunk: Uint8Array): void {
    const due = this.#received?.add(chunk)
    if (due) {
      // An answer to a closing peer is lost with it; its own next step then fails.
      this.send(FrameKind.acknowledgement, AcknowledgementType.serialize(due)).catch(() => {})
    }
    let at = 0
    while (at < chunk.length && this.#failure === undefined) {
      if (this.#payload === undefined) {
        const take = Math.min(HEADER_BYTES - this.#headerFilled, chunk.length - at)
        this.#header.set(chunk.subarray(at, at + take), this.#headerFilled)
        this.#headerFilled += take
        at += take
        if (this.#headerFilled === HEADER_BYTES) this.#begin()
      } else {
        const take = Math.min(this.#payload.length - this.#payloadFilled, chunk.length - at)
        this.#payload.set(chunk.subarray(at, at + take), this.#payloadFilled)
        this.#payloadFilled += take
        at += take
      }
      if (this.#payload?.length === this.#payloadFilled) this.#complete(this.#payload)
    }
    if (this.#unreadBytes >= UNREAD_BYTES_MAX) this.#stream.pause()
  }

  /** The length is checked before anything is allocated for it. */
  #begin(): void {
    const length = this.#header.readUInt32LE(0)
    const kind = this.#header[4] as number
    const longest = kind === FrameKind.data ? DATA_FRAME_BYTES_MAX : CONTROL_FRAME_BYTES_MAX
    if (length > longest) {
      const message = `the peer announced a frame of ${length} bytes; at most ${longest} are allowed`
      this.destroy(new TransferError('PEER_PROTOCOL', message))
      return
    }
    // Plain bytes, not a Buffer, whose slice() would be a view where everyone expects a copy.
    this.#payload = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer, 0, length)
    this.#payloadFilled = 0
  }

  #complete(payload: Uint8Array): void {
    const kind = this.#header[4] as number
    this.#payload = undefined
    this.#headerFilled = 0
    if (kind === FrameKind.acknowledgement) {
      this.#acceptAcknowledgement(payload)
      return
    }
    const frame = { kind, payload }
    const reader = this.#reader
    this.#reader = undefined
    if (reader) {
      reader.resolve(frame)
      return
    }
    this.#unread.push(frame)
    this.#unreadBytes += payload.length + HEADER_BYTES
  }

  #acceptAcknowledgement(payload: Uint8Array): void {
    const decoded = decodeCanonical(AcknowledgementType, payload, ACKNOWLEDGEMENT_BYTES)
    if (!decoded.ok || !this.#sent?.accept(decoded.value)) {
      const message = 'the peer acknowledged bytes that were not sent'
      this.destroy(new TransferError('PEER_PROTOCOL', message))
      return
    }
    this.#onAcknowledged?.()
  }

  #finish(): void {
    if (this.#ended) return
    this.#ended = true
    if (this.#payload !== undefined || this.#headerFilled > 0) {
      this.#fail(closedError())
      return
    }
    this.#reader?.resolve(undefined)
    this.#reader = undefined
  }

  #fail(error: Error): void {
    this.#failure ??= error
    this.#reader?.reject(this.#failure)
    this.#reader = undefined
  }
}

function closedError(cause?: unknown): TransferError {
  return new TransferError('CHANNEL_CLOSED', 'the peer closed the connection', { cause })
}
