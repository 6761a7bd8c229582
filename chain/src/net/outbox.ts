/** Messages that wait for a slow peer before the oldest are dropped; peers ask again. */
const MESSAGES_MAX = 512
/** A question of 33 bytes can be answered by a block: who never reads must not cost memory. */
const BYTES_MAX = 16 * 1024 * 1024
const WRITE_TIMEOUT_MS = 10_000

export interface FrameWriter {
  write(message: Uint8Array, options: { readonly signal: AbortSignal }): Promise<unknown>
}

/** Messages to one peer, in order, over one stream that is reopened when it breaks. */
export class Outbox {
  readonly #open: () => Promise<FrameWriter>
  #queue: Uint8Array[] = []
  #bytes = 0
  #busy = false
  #closed = false
  #frames: FrameWriter | undefined

  constructor(open: () => Promise<FrameWriter>) {
    this.#open = open
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
        await this.#frames.write(message, { signal: AbortSignal.timeout(WRITE_TIMEOUT_MS) })
      } catch {
        // The message is lost as on any network; consensus rebroadcasts what matters.
        this.#frames = undefined
      }
    }
    this.#busy = false
  }
}
