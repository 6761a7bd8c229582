import type { FrameWriter } from './stream-writer.ts'

/** Messages that wait for a slow peer before the oldest are dropped; peers ask again. */
const MESSAGES_MAX = 512
/** A question of 33 bytes can be answered by a block: who never reads must not cost memory. */
const BYTES_MAX = 16 * 1024 * 1024
/** Of all peers: names are free, and each may leave unread what it asked for. */
const ALL_BYTES_MAX = 256 * 1024 * 1024
const WRITE_TIMEOUT_MS = 10_000

/** What waits for all peers. Above the bound the peer for which most waits loses its oldest. */
export class OutboxRoom {
  readonly #bytesMax: number
  readonly #outboxes = new Set<Outbox>()
  #bytes = 0

  constructor(bytesMax = ALL_BYTES_MAX) {
    this.#bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Told by an outbox of every change. */
  count(bytes: number): void {
    this.#bytes += bytes
  }

  join(outbox: Outbox): void {
    this.#outboxes.add(outbox)
  }

  leave(outbox: Outbox): void {
    this.#outboxes.delete(outbox)
  }

  makeRoom(): void {
    while (this.#bytes > this.#bytesMax) {
      const [first, ...rest] = this.#outboxes
      if (!first) return
      rest.reduce((most, each) => (each.bytes > most.bytes ? each : most), first).dropOldest()
    }
  }
}

/** Messages to one peer, in order, over one stream that is reopened when it breaks. */
export class Outbox {
  readonly #open: () => Promise<FrameWriter>
  readonly #room: OutboxRoom
  readonly #writeTimeoutMs: number
  #queue: Uint8Array[] = []
  #bytes = 0
  #busy = false
  #closed = false
  #frames: FrameWriter | undefined

  constructor(
    open: () => Promise<FrameWriter>,
    room = new OutboxRoom(),
    writeTimeoutMs = WRITE_TIMEOUT_MS,
  ) {
    this.#open = open
    this.#room = room
    this.#writeTimeoutMs = writeTimeoutMs
    room.join(this)
  }

  /** That wait. */
  get bytes(): number {
    return this.#bytes
  }

  dropOldest(): void {
    this.#next()
  }

  add(message: Uint8Array): void {
    if (this.#closed) return
    this.#queue.push(message)
    this.#count(message.length)
    while (this.#queue.length > MESSAGES_MAX || this.#bytes > BYTES_MAX) this.#next()
    this.#room.makeRoom()
    if (!this.#busy) void this.#drain()
  }

  close(): void {
    this.#closed = true
    this.#queue = []
    this.#count(-this.#bytes)
    this.#room.leave(this)
    this.#giveUp(new Error('the peer is gone'))
  }

  #next(): Uint8Array | undefined {
    const message = this.#queue.shift()
    this.#count(-(message?.length ?? 0))
    return message
  }

  #count(bytes: number): void {
    this.#bytes += bytes
    this.#room.count(bytes)
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
