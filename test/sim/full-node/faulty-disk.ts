import { MemoryLevel } from 'memory-level'
import { assert } from '../../../chain/src/bytes/assert.ts'
import type { Database } from '../../../chain/src/store/database.ts'
import type { Random } from '../random.ts'

type Entry = readonly [key: Uint8Array, value: Uint8Array]
type Write = { readonly key: Uint8Array; readonly value: Uint8Array | undefined }

/** What the process is told at the moment it loses its power. */
export class PowerLoss extends Error {
  override name = 'PowerLoss'
}

/**
 * The disk below a store: what was not synced can be lost, from some point on; a batch is on it
 * whole or not at all (LevelDB: one record of its log with a checksum); bytes can rot.
 */
export class FaultyDisk {
  readonly db: Database
  /** Asked at each synced batch: whether the power fails before or after it, or not at all. */
  powerAt: () => 'before' | 'after' | undefined = () => undefined
  /** Synced batches, and writes of any other kind. */
  syncedBatches = 0
  otherWrites = 0
  readonly #batch: (writes: object[], options?: object) => Promise<void>
  /** What stood where writes that are not synced went, oldest first. */
  #undo: Write[][] = []

  constructor() {
    this.db = new MemoryLevel<Uint8Array, Uint8Array>({
      keyEncoding: 'view',
      valueEncoding: 'view',
      storeEncoding: 'view',
    }) as unknown as Database
    const { db } = this
    this.#batch = db.batch.bind(db) as (writes: object[], options?: object) => Promise<void>
    const put = db.put.bind(db)
    Object.assign(db, {
      batch: (writes: Write[], options: { readonly sync?: boolean } = {}) =>
        this.#write(writes, options.sync === true, () => this.#batch(writes, options)),
      put: (key: Uint8Array, value: Uint8Array) =>
        this.#write([{ key, value }], false, () => put(key, value)),
      del: () => assert(false, 'the store deletes in batches only'),
    })
  }

  /** Writes not synced are lost from some point on. */
  async losePower(random: Random): Promise<void> {
    const kept = random.between(0, this.#undo.length)
    for (const before of this.#undo.splice(kept).reverse()) {
      for (const { key, value } of before) await this.#restore(key, value)
    }
    this.#undo = []
  }

  /** Flips one bit of a value; gives the place. */
  async rot(random: Random, isChosen: (key: Uint8Array) => boolean): Promise<string> {
    const entries: Entry[] = []
    for await (const [key, value] of this.db.iterator()) {
      if (isChosen(key) && value.length > 0) entries.push([key, value])
    }
    const [key, value] = random.pick(entries)
    const rotten = value.slice()
    const at = random.between(0, rotten.length - 1)
    rotten[at] = (rotten[at] as number) ^ (1 << random.between(0, 7))
    await this.#restore(key, rotten)
    return `${new TextDecoder().decode(key)}, byte ${at}`
  }

  async #write(writes: readonly Write[], sync: boolean, run: () => Promise<void>): Promise<void> {
    if (!sync) {
      this.otherWrites += 1
      const before: Write[] = []
      for (const { key } of writes) before.push({ key, value: await this.db.get(key) })
      this.#undo.push(before)
      return run()
    }
    this.syncedBatches += 1
    const power = this.powerAt()
    if (power !== 'before') {
      await run()
      this.#undo = []
    }
    if (power) throw new PowerLoss('no power')
  }

  async #restore(key: Uint8Array, value: Uint8Array | undefined): Promise<void> {
    await this.#batch([value === undefined ? { type: 'del', key } : { type: 'put', key, value }])
  }
}
