import type { Logger } from 'pino'
import type { FetchedStripe } from '../sealing/decode-pack.ts'
import { reasonOf } from '../transfer/transfer-error.ts'
import { openSlotFeed, type SlotFeed, type SlotReading, type SlotsToRead } from './slot-feed.ts'
import { StorageError } from './storage-interfaces.ts'

/** A peer that gives no block for this long is replaced. */
const STALL_MS = 8_000

export interface ReaderFigures {
  /** Node keys of peers that gave blocks. */
  readonly used: Set<string>
  lost: number
}

export interface StripeReaderOptions extends SlotReading {
  readonly logger: Logger
  readonly figures: ReaderFigures
  readonly stallMs?: number
  /** How a slot is read; as its rail's payer where undefined. */
  readonly openFeed?: typeof openSlotFeed
}

/**
 * Reads stripes of a pack from k of its n slots at once. A slot whose peer fails, stalls or
 * sends wrong bytes is replaced by another one from that stripe on, until fewer than k are left.
 */
export class StripeReader {
  readonly #options: StripeReaderOptions
  readonly #pack: SlotsToRead
  /** Slots not tried yet, best first: data slots need no decoding. */
  readonly #untried: number[]
  readonly #reasons: string[] = []

  constructor(
    options: StripeReaderOptions,
    pack: SlotsToRead,
    avoid: ReadonlySet<number> = new Set(),
  ) {
    this.#options = options
    this.#pack = pack
    const slots = Array.from({ length: pack.geometry.n }, (_, slot) => slot)
    this.#untried = [
      ...slots.filter((slot) => !avoid.has(slot)),
      ...slots.filter((slot) => avoid.has(slot)),
    ]
  }

  /** Stripes from..to-1 in order, k cells each. Throws FILE_UNREADABLE. */
  async *read(from: number, to: number): AsyncGenerator<FetchedStripe> {
    const { k } = this.#pack.geometry
    const lanes = Array.from({ length: k }, () => new Lane((at) => this.#open(at, to)))
    try {
      for (let stripe = from; stripe < to; stripe++) {
        const cells = await Promise.all(lanes.map((lane) => this.#cell(lane, stripe)))
        // Before the last stripe is handed out: whoever has it may not come back for the end, and
        // the end brings the providers their last vouchers.
        if (stripe === to - 1) await Promise.all(lanes.map((lane) => lane.finish()))
        yield { stripe, cells: new Map(cells) }
      }
    } finally {
      await Promise.all(lanes.map((lane) => lane.close()))
    }
  }

  async #cell(lane: Lane, stripe: number): Promise<[number, Uint8Array]> {
    const { figures, logger, stallMs = STALL_MS } = this.#options
    for (;;) {
      const slot = lane.slot
      try {
        const bytes = await lane.block(stripe, stallMs)
        if (lane.nodeKey) figures.used.add(lane.nodeKey)
        return [lane.slot as number, bytes]
      } catch (error) {
        if (error instanceof StorageError) throw error
        figures.lost += 1
        this.#reasons.push(`slot ${slot ?? lane.slot}: ${reasonOf(error)}`)
        logger.info({ slot: slot ?? lane.slot, stripe, reason: reasonOf(error) }, 'peer replaced')
        await lane.close()
      }
    }
  }

  /** The next untried slot from a stripe on. */
  async #open(
    stripe: number,
    to: number,
  ): Promise<{ slot: number; feed: () => Promise<SlotFeed> }> {
    const slot = this.#untried.shift()
    if (slot === undefined) {
      const { k, n } = this.#pack.geometry
      throw new StorageError(
        'FILE_UNREADABLE',
        `fewer than ${k} of the ${n} peers of contract ${this.#pack.contract} give its data; ` +
          `try again when more are on. ${this.#reasons.slice(0, 6).join('; ')}`,
      )
    }
    const { openFeed = openSlotFeed } = this.#options
    const feed = () => openFeed(this.#options, this.#pack, slot, { from: stripe, to })
    return Promise.resolve({ slot, feed })
  }
}

/** One of the k parallel readings; its slot changes when a peer is replaced. */
class Lane {
  readonly #choose: (stripe: number) => Promise<{ slot: number; feed: () => Promise<SlotFeed> }>
  #feed: SlotFeed | undefined
  slot: number | undefined

  constructor(
    choose: (stripe: number) => Promise<{ slot: number; feed: () => Promise<SlotFeed> }>,
  ) {
    this.#choose = choose
  }

  get nodeKey(): string | undefined {
    return this.#feed?.nodeKey
  }

  async block(stripe: number, stallMs: number): Promise<Uint8Array> {
    if (!this.#feed) {
      const { slot, feed } = await this.#choose(stripe)
      this.slot = slot
      this.#feed = await feed()
    }
    const block = await withDeadline(this.#feed.next(), stallMs)
    if (block?.index !== stripe) throw new Error('the peer ended early')
    return block.bytes
  }

  /** Takes the end of the feed, so that its channel can be used again. */
  async finish(): Promise<void> {
    await this.#feed?.next().catch(() => {})
  }

  async close(): Promise<void> {
    const feed = this.#feed
    this.#feed = undefined
    this.slot = undefined
    await feed?.close()
  }
}

function withDeadline<T>(promise: Promise<T>, milliseconds: number): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => reject(new Error(`no block for ${milliseconds / 1000} s`)),
    milliseconds,
  )
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}
