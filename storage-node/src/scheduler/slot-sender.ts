import { bytesEqual, SlotTreeBuilder } from '@ioex/chain/bytes'
import type { SlotUpload } from '../transfer/provider-client.ts'
import { TransferError } from '../transfer/transfer-error.ts'

/** Cells that wait for a peer, bytes; a peer that is slower holds the encoder back. */
const QUEUE_BYTES_MAX = 1024 * 1024
/** Cells of one write: 256 KiB and more keep TLS efficient. */
const CELLS_PER_WRITE = 8
/** A peer that takes nothing for this long is given up. */
const STALL_MS = 30_000

/** Where a sender starts inside a slot whose root the chain knows already. */
export interface SlotResumption {
  /** Bytes of the slot before the first cell that is pushed: the provider has them. */
  readonly offset: number
  readonly root: Uint8Array
}

/**
 * Sends one slot to one provider while the encoder makes it: queues a few cells, skips what the
 * provider already has, and computes the root that its answer is held against.
 */
export class SlotSender {
  readonly #upload: SlotUpload
  readonly #builder = new SlotTreeBuilder()
  #queue: Uint8Array[] = []
  #queuedBytes = 0
  #offset: number
  readonly #knownRoot: Uint8Array | undefined
  #pumping: Promise<void> | undefined
  #room: PromiseWithResolvers<void> | undefined
  #failure: Error | undefined

  /** With `resumption` the provider's root is held against that one, not against the cells'. */
  constructor(upload: SlotUpload, resumption?: SlotResumption) {
    this.#upload = upload
    this.#knownRoot = resumption?.root
    this.#offset = resumption?.offset ?? 0
  }

  get failure(): Error | undefined {
    return this.#failure
  }

  /** Takes the slot's next cell. */
  push(cell: Uint8Array): void {
    if (!this.#knownRoot) this.#builder.append(cell)
    const isKnown = this.#offset + cell.length <= this.#upload.receivedBytes
    this.#offset += cell.length
    if (isKnown || this.#failure) return
    this.#queue.push(cell)
    this.#queuedBytes += cell.length
    this.#pumping ??= this.#pump()
  }

  /** Resolves when more may be pushed, or the peer is given up. */
  async room(): Promise<void> {
    if (this.#queuedBytes < QUEUE_BYTES_MAX || this.#failure) return
    this.#room ??= Promise.withResolvers()
    const timer = setTimeout(() => {
      this.fail(new TransferError('PEER_SILENT', 'the peer took no bytes for 30 s'))
    }, STALL_MS)
    await this.#room.promise
    clearTimeout(timer)
  }

  /** Sends the rest and the end; gives the slot's root. Throws why the slot is not stored. */
  async finish(): Promise<Uint8Array> {
    await this.#pumping
    if (this.#failure) throw this.#failure
    const root = this.#knownRoot ?? this.#builder.finish().root
    const stored = await this.#upload.finish()
    if (!bytesEqual(stored, root)) {
      throw new TransferError('SLOT_CORRUPT', 'the peer stored other bytes than were sent')
    }
    return root
  }

  fail(error: Error): void {
    this.#failure ??= error
    this.#queue = []
    this.#queuedBytes = 0
    this.#room?.resolve()
    this.#room = undefined
  }

  async #pump(): Promise<void> {
    try {
      while (this.#queue.length > 0 && !this.#failure) {
        const cells = this.#queue.splice(0, CELLS_PER_WRITE)
        await this.#upload.write(...cells)
        for (const cell of cells) this.#queuedBytes -= cell.length
        if (this.#queuedBytes < QUEUE_BYTES_MAX / 2) {
          this.#room?.resolve()
          this.#room = undefined
        }
      }
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(String(error)))
    } finally {
      this.#pumping = undefined
    }
  }
}
