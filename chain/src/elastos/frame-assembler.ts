import { ok, type Result } from '../bytes/result.ts'
import {
  checkPayload,
  decodeFrameHeader,
  FRAME_HEADER_BYTES,
  type Frame,
  type FrameHeader,
} from './p2p-message.ts'

/** Room made for a payload at first; more comes as its bytes do, never as they are announced. */
const PAYLOAD_BYTES_FIRST = 4096

/** Cuts a stream of bytes, in whatever pieces it comes, into frames of one network. */
export class FrameAssembler {
  private readonly magic: number
  private readonly head = new Uint8Array(FRAME_HEADER_BYTES)
  private headBytes = 0
  private header: FrameHeader | undefined
  private payload = new Uint8Array(0)
  private payloadBytes = 0
  private refused: Result<Frame[]> | undefined

  constructor(magic: number) {
    this.magic = magic
  }

  /** Whether a frame has begun and is not whole: what a slow peer may not drag out for ever. */
  get isWaiting(): boolean {
    return this.headBytes > 0
  }

  /** The frames that this piece completes. After a fault the stream is lost: it stays one. */
  push(piece: Uint8Array): Result<Frame[]> {
    if (this.refused) return this.refused
    const frames: Frame[] = []
    let at = 0
    for (;;) {
      at += this.takeHead(piece.subarray(at))
      if (this.headBytes < FRAME_HEADER_BYTES) return ok(frames)
      if (!this.header) {
        const header = decodeFrameHeader(this.head, this.magic)
        if (!header.ok) return this.refuse(header)
        this.header = header.value
      }
      at += this.takePayload(piece.subarray(at), this.header.payloadBytes)
      if (this.payloadBytes < this.header.payloadBytes) return ok(frames)
      const payload = this.payload.slice(0, this.payloadBytes)
      const whole = checkPayload(this.header, payload)
      if (!whole.ok) return this.refuse(whole)
      frames.push({ command: this.header.command, payload })
      this.begin()
    }
  }

  private takeHead(bytes: Uint8Array): number {
    const part = bytes.subarray(0, FRAME_HEADER_BYTES - this.headBytes)
    this.head.set(part, this.headBytes)
    this.headBytes += part.length
    return part.length
  }

  private takePayload(bytes: Uint8Array, total: number): number {
    const part = bytes.subarray(0, total - this.payloadBytes)
    const end = this.payloadBytes + part.length
    if (end > this.payload.length) {
      const larger = new Uint8Array(
        Math.min(total, Math.max(end, 2 * this.payload.length, PAYLOAD_BYTES_FIRST)),
      )
      larger.set(this.payload.subarray(0, this.payloadBytes))
      this.payload = larger
    }
    this.payload.set(part, this.payloadBytes)
    this.payloadBytes = end
    return part.length
  }

  private begin(): void {
    this.headBytes = 0
    this.header = undefined
    this.payload = new Uint8Array(0)
    this.payloadBytes = 0
  }

  private refuse<T>(result: Result<T> & { ok: false }): Result<Frame[]> {
    this.begin()
    this.refused = result
    return result
  }
}
