import type { Socket } from 'node:net'
import { FrameAssembler } from '../elastos/frame-assembler.ts'
import {
  decodeMessage,
  encodeFrame,
  encodeMessage,
  type Frame,
  type P2pMessage,
} from '../elastos/p2p-message.ts'

/** A frame that has begun is whole within this time, however slowly its bytes come. */
const DEFAULT_FRAME_MS = 30_000
/** Whoever does not read what was sent holds no more than this here. */
const UNREAD_BYTES_MAX = 32 * 1024 * 1024
/** What was sent before the end has so long to leave. */
const FAREWELL_MS = 1000

/** The other side broke the protocol or gave something that is provably false. */
export class P2pViolationError extends Error {
  override name = 'P2pViolationError'
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** The connection ended or did not go on. */
export class P2pClosedError extends Error {
  override name = 'P2pClosedError'
}

export interface P2pLinkOptions {
  readonly magic: number
  readonly frameMs?: number | undefined
  /** Called for one message after the other; the next one waits for the promise. */
  readonly onMessage: (message: P2pMessage) => void | Promise<void>
  /** Called once, with the reason. */
  readonly onClose: (reason: Error) => void
}

/**
 * One connection of the main chain's P2P protocol, from either side: bytes to messages and back.
 * Reads no further while a message is being worked on, so that a peer cannot fill our memory.
 */
export class P2pLink {
  readonly #socket: Socket
  readonly #options: P2pLinkOptions
  readonly #assembler: FrameAssembler
  readonly #waiting: Frame[] = []
  #working = false
  #closed = false
  #frameTimer: NodeJS.Timeout | undefined

  constructor(socket: Socket, options: P2pLinkOptions) {
    this.#socket = socket
    this.#options = options
    this.#assembler = new FrameAssembler(options.magic)
    socket.setNoDelay(true)
    socket.on('data', (piece: Uint8Array) => this.#read(piece))
    socket.on('error', (error) => this.close(new P2pClosedError(error.message, { cause: error })))
    socket.on('close', () => this.close(new P2pClosedError('the other side hung up')))
  }

  get isClosed(): boolean {
    return this.#closed
  }

  send(message: P2pMessage): void {
    if (this.#closed) return
    this.#socket.write(encodeFrame(encodeMessage(message), this.#options.magic))
    if (this.#socket.writableLength > UNREAD_BYTES_MAX) {
      this.close(new P2pClosedError('the other side does not read'))
    }
  }

  /** Resolves when what was sent has left, or the link is closed. */
  async drained(): Promise<void> {
    if (this.#closed || !this.#socket.writableNeedDrain) return
    const socket = this.#socket
    await new Promise<void>((resolve) => {
      const done = () => {
        socket.off('drain', done).off('close', done)
        resolve()
      }
      socket.on('drain', done).on('close', done)
    })
  }

  close(reason: Error): void {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#frameTimer)
    this.#waiting.length = 0
    // What was sent last, such as a refusal, still goes out, if the other side reads at all.
    this.#socket.end()
    const timer = setTimeout(() => this.#socket.destroy(), FAREWELL_MS)
    this.#socket.once('finish', () => this.#socket.destroy())
    this.#socket.once('close', () => clearTimeout(timer))
    if (this.#socket.destroyed) clearTimeout(timer)
    this.#options.onClose(reason)
  }

  #read(piece: Uint8Array): void {
    if (this.#closed) return
    const frames = this.#assembler.push(piece)
    if (!frames.ok) {
      this.close(new P2pViolationError(frames.fault.code, frames.fault.message))
      return
    }
    this.#watchFrame(frames.value.length > 0)
    this.#waiting.push(...frames.value)
    if (!this.#working) void this.#work()
  }

  /** The clock runs from a frame's first byte, not from its last. */
  #watchFrame(hasCompleted: boolean): void {
    if (hasCompleted || !this.#assembler.isWaiting) {
      clearTimeout(this.#frameTimer)
      this.#frameTimer = undefined
    }
    if (!this.#assembler.isWaiting) return
    this.#frameTimer ??= setTimeout(
      () => this.close(new P2pClosedError('a message came too slowly')),
      this.#options.frameMs ?? DEFAULT_FRAME_MS,
    )
  }

  async #work(): Promise<void> {
    this.#working = true
    this.#socket.pause()
    try {
      for (let frame = this.#waiting.shift(); frame; frame = this.#waiting.shift()) {
        await this.#take(frame)
        await this.drained()
        if (this.#closed) return
      }
    } catch (error) {
      this.close(error instanceof Error ? error : new P2pClosedError(String(error)))
    } finally {
      this.#working = false
      if (!this.#closed) this.#socket.resume()
    }
  }

  async #take(frame: Frame): Promise<void> {
    const message = decodeMessage(frame)
    if (message.ok) return this.#options.onMessage(message.value)
    // Newer nodes may say what we do not know; everything else that fails is malformed.
    if (message.fault.code === 'MAIN_MESSAGE_UNKNOWN') return
    throw new P2pViolationError(message.fault.code, message.fault.message)
  }
}
