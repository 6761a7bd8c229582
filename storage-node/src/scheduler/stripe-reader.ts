import type { Logger } from 'pino'
import type { FetchedStripe } from '../sealing/decode-pack.ts'
import { reasonOf } from '../transfer/transfer-error.ts'
import { openSlotFeed, type SlotFeed, type SlotReading, type SlotsToRead } from './slot-feed.ts'
import { StorageError } from './storage-interfaces.ts'
import { isLockUsedUp, type TrafficTopUp } from './traffic-top-up.ts'

/** A peer that gives no block for this long is replaced. */
const STALL_MS = 8_000
/** Bytes of a block on the wire at most: 64 KiB and its path. */
const BLOCK_BYTES_MAX = 66_000
/** How often the reading of a slot goes on behind a used-up lock: its provider may lag. */
const LOCK_ATTEMPTS = 4

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
  /** Adds to locks that are used up; where undefined, such a slot cannot be read. */
  readonly topUp?: TrafficTopUp
}

/**
 * Reads stripes of a pack from k of its n slots at once. A slot whose peer fails, stalls or
 * sends wrong bytes is replaced by another one from that stripe on, until fewer than k are left.
 * Then slots whose traffic lock was used up are paid for: others cost no transaction.
 */
export class StripeReader {
  readonly #options: StripeReaderOptions
  readonly #pack: SlotsToRead
  /** Slots not tried yet, best first: data slots need no decoding. */
  readonly #untried: number[]
  /** Slots that wait for a top-up, and how often each was refused for want of it. */
  readonly #short: number[] = []
  readonly #refusals = new Map<number, number>()
  readonly #topUp: TrafficTopUp | undefined
  #pauses = 0
  readonly #reasons: string[] = []

  constructor(
    options: StripeReaderOptions,
    pack: SlotsToRead,
    avoid: ReadonlySet<number> = new Set(),
  ) {
    this.#options = options
    this.#pack = pack
    this.#topUp = options.openFeed ? undefined : options.topUp
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
        const failed = slot ?? lane.slot
        const reason = reasonOf(error)
        if (!this.#mayReadLater(lane, failed, error)) figures.lost += 1
        this.#reasons.push(`slot ${failed}: ${reason}`)
        logger.info({ slot: failed, stripe, reason }, 'peer replaced')
        await lane.close()
      }
    }
  }

  /** Keeps a slot that failed for want of money, or because a top-up took its time. */
  #mayReadLater({ openedAt }: Lane, slot: number | undefined, error: unknown): boolean {
    if (!this.#topUp || slot === undefined) return false
    if (isLockUsedUp(error)) {
      const refusals = (this.#refusals.get(slot) ?? 0) + 1
      this.#refusals.set(slot, refusals)
      if (refusals < LOCK_ATTEMPTS) this.#short.push(slot)
      return refusals < LOCK_ATTEMPTS
    }
    // Providers hang up on who does not read on while another slot is paid for.
    if (openedAt === this.#pauses) return false
    this.#untried.unshift(slot)
    return true
  }

  /** A slot with a used-up lock, after its top-up. */
  async #paidSlot(range: { from: number; to: number }): Promise<number | undefined> {
    const slot = this.#short.shift()
    const rail = slot === undefined ? undefined : this.#pack.record.rails[slot]?.rail
    if (rail === undefined) return undefined
    const { payers } = this.#options
    const bytes = (range.to - range.from) * BLOCK_BYTES_MAX
    const signedKib = (generation: number) => payers.get(`${rail}-${generation}`)?.signedKib ?? 0
    // Counted at both ends: readings that break off meanwhile are told by it, and later ones.
    this.#pauses += 1
    await this.#topUp?.pay({ rail, bytes, signedKib })
    this.#pauses += 1
    return slot
  }

  /** The next untried slot from a stripe on, or one that can be paid again. */
  async #open(stripe: number, to: number): Promise<SlotChoice> {
    const slot = this.#untried.shift() ?? (await this.#paidSlot({ from: stripe, to }))
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
    return { slot, feed, openedAt: this.#pauses }
  }
}

interface SlotChoice {
  readonly slot: number
  readonly feed: () => Promise<SlotFeed>
  /** Begins and ends of top-ups that the reader had seen by then. */
  readonly openedAt: number
}

/** One of the k parallel readings; its slot changes when a peer is replaced. */
class Lane {
  readonly #choose: (stripe: number) => Promise<SlotChoice>
  #feed: SlotFeed | undefined
  slot: number | undefined
  openedAt = 0

  constructor(choose: (stripe: number) => Promise<SlotChoice>) {
    this.#choose = choose
  }

  get nodeKey(): string | undefined {
    return this.#feed?.nodeKey
  }

  async block(stripe: number, stallMs: number): Promise<Uint8Array> {
    if (!this.#feed) {
      const { slot, feed, openedAt } = await this.#choose(stripe)
      this.slot = slot
      this.openedAt = openedAt
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
