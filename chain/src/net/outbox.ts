import type { FrameWriter } from './stream-writer.ts'

/** Messages that wait for a slow peer before the oldest are dropped; peers ask again. */
const MESSAGES_MAX = 512
/** A question of 33 bytes can be answered by a block: who never reads must not cost memory. */
const BYTES_MAX = 16 * 1024 * 1024
const WRITE_TIMEOUT_MS = 10_000

/** Messages to one peer, in order, over one stream that is reopened when it breaks. */
export class Outbox {
  readonly #open: () => Promise<FrameWriter>
  readonly #writeTimeoutMs: number
  #queue: Uint8Array[] = []
  #bytes = 0
  #busy = false
  #closed = false
  #frames: FrameWriter | undefined

  constructor(open: () => Promise<FrameWriter>, writeTimeoutMs = WRITE_TIMEOUT_MS) {
    this.#open = open
    this.#writeTimeoutMs = writeTimeoutMs
  }

  add(message: Uint8Array): void {
    if (this.#closed) return
    this.#queue.push(message)
    this.#bytes += message.length
    while (this.#queue.length > MESSAGES_MAX || this.#bytes > BYTES_MAX) this.#next()
    if (!this.#busy) void this.#drain()
  }

  close(): void {
    this.#closed = true
    this.#queue = []
    this.#bytes = 0
    this.#giveUp(new Error('the peer is gone'))
  }

  #next(): Uint8Array | undefined {
    const message = this.#queue.shift()
    this.#bytes -= message?.length ?? 0
    return message
  }

  async #drain(): Promise<void> {
    this.#busy = true
    while (!this.#closed) {
      const message = this.#next()
      if (!message) break
      try {
        this.#frames ??= await this.#open()
        if (this.#closed) break
        await this.#frames.write(message, { signal: AbortSignal.timeout(this.#writeTimeoutMs) })
      } catch (error) {
        // The message is lost as on any network; consensus rebroadcasts what matters. The stream
        // goes with it: forgotten, it would keep what it holds as long as the peer stays connected.
        this.#giveUp(error as Error)
      }
    }
    if (this.#closed) this.#giveUp(new Error('the peer is gone'))
    this.#busy = false
  }

  #giveUp(reason: Error): void {
    this.#frames?.abort(reason)
    this.#frames = undefined
  }
}
