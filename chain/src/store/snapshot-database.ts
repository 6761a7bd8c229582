import { crc32 } from 'node:zlib'
import { ClassicLevel } from 'classic-level'
import { MemoryLevel } from 'memory-level'
import { bytesToHex, concatBytes, utf8ToBytes } from '../bytes/hex.ts'
import { type SnapshotShelf, SNAPSHOTS_KEPT } from '../sync/snapshot-shelf.ts'
import type { Database } from './database.ts'
import { readU32, readU64, u32Key, u64Key } from './layout.ts'

const ENCODING = { keyEncoding: 'view', valueEncoding: 'view' } as const

/**
 * Keys: c epoch ordinal = chunk; m epoch = manifest of a whole snapshot, written last; p epoch =
 * manifest of the one being fetched. Each value begins with the CRC-32 of its key and the rest:
 * LevelDB checks no checksums when it reads.
 */
const Prefix = { chunk: 'c', whole: 'm', begun: 'p' } as const

const epochKey = (prefix: string, epoch: number) => concatBytes(utf8ToBytes(prefix), u64Key(epoch))
const chunkAt = (epoch: number, ordinal: number) =>
  concatBytes(epochKey(Prefix.chunk, epoch), u32Key(ordinal))

const EPOCH_KEY_BYTES = 9
const CHUNK_KEY_BYTES = 13
const SUM_BYTES = 4
const MANIFESTS: readonly string[] = [Prefix.whole, Prefix.begun]

/** What lies in the folder is not what was written there. */
export class SnapshotsDamagedError extends Error {
  override name = 'SnapshotsDamagedError'
}

/** Snapshots in a LevelDB of their own: losing it loses nothing but the fetching. */
export class SnapshotDatabase implements SnapshotShelf {
  readonly #db: Database

  private constructor(db: Database) {
    this.#db = db
  }

  /**
   * Opens or creates a folder and reads all its keys and manifests: LevelDB finds most damage only
   * where it reads. Throws its errors, or SnapshotsDamagedError. Chunks are proven one by one when
   * they are used.
   */
  static async open(folder: string): Promise<SnapshotDatabase> {
    const db = new ClassicLevel<Uint8Array, Uint8Array>(folder, {
      ...ENCODING,
      cacheSize: 1024 * 1024,
      writeBufferSize: 4 * 1024 * 1024,
    }) as unknown as Database
    await db.open()
    const shelf = new SnapshotDatabase(db)
    try {
      await shelf.#look()
    } catch (error) {
      await db.close()
      throw error
    }
    return shelf
  }

  static inMemory(): SnapshotDatabase {
    const options = { ...ENCODING, storeEncoding: 'view' } as const
    return new SnapshotDatabase(
      new MemoryLevel<Uint8Array, Uint8Array>(options) as unknown as Database,
    )
  }

  epochs(): Promise<number[]> {
    return this.#epochsOf(Prefix.whole)
  }

  manifest(epoch: number): Promise<Uint8Array | undefined> {
    return this.#get(epochKey(Prefix.whole, epoch))
  }

  chunk(epoch: number, ordinal: number): Promise<Uint8Array | undefined> {
    return this.#get(chunkAt(epoch, ordinal))
  }

  put(epoch: number, ordinal: number, chunk: Uint8Array): Promise<void> {
    const key = chunkAt(epoch, ordinal)
    return this.#db.put(key, summed(key, chunk))
  }

  remove(epoch: number, ordinal: number): Promise<void> {
    return this.#db.del(chunkAt(epoch, ordinal))
  }

  async begin(epoch: number, manifest: Uint8Array): Promise<void> {
    const key = epochKey(Prefix.begun, epoch)
    await this.#db.put(key, summed(key, manifest))
    await this.#clearExcept([...(await this.epochs()), epoch], [epoch])
  }

  async unfinished(): Promise<{ epoch: number; manifest: Uint8Array } | undefined> {
    const [epoch] = await this.#epochsOf(Prefix.begun)
    const manifest =
      epoch === undefined ? undefined : await this.#get(epochKey(Prefix.begun, epoch))
    return epoch === undefined || !manifest ? undefined : { epoch, manifest }
  }

  async finish(epoch: number, manifest: Uint8Array): Promise<void> {
    const key = epochKey(Prefix.whole, epoch)
    const sync = { sync: true } as object
    await this.#db.batch([{ type: 'put', key, value: summed(key, manifest) }], sync)
    const kept = (await this.epochs()).slice(0, SNAPSHOTS_KEPT)
    for (const old of await this.epochs()) {
      if (!kept.includes(old)) await this.#db.del(epochKey(Prefix.whole, old))
    }
    await this.#clearExcept(kept, [])
  }

  async close(): Promise<void> {
    await this.#db.close()
  }

  /** What is damaged is not there: it is made or fetched again, and never served. */
  async #get(key: Uint8Array): Promise<Uint8Array | undefined> {
    const stored = await this.#db.get(key)
    if (!stored || stored.length < SUM_BYTES) return undefined
    const bytes = stored.subarray(SUM_BYTES)
    return readU32(stored) === sumOf(key, bytes) ? Uint8Array.from(bytes) : undefined
  }

  async #look(): Promise<void> {
    for await (const key of this.#db.keys()) {
      const prefix = String.fromCharCode(key[0] ?? 0)
      const isWhole =
        prefix === Prefix.chunk
          ? key.length === CHUNK_KEY_BYTES
          : MANIFESTS.includes(prefix) && key.length === EPOCH_KEY_BYTES && (await this.#get(key))
      if (!isWhole) throw new SnapshotsDamagedError(`what it has under ${bytesToHex(key)}`)
    }
  }

  /** Newest first. */
  async #epochsOf(prefix: string): Promise<number[]> {
    const epochs: number[] = []
    const range = { gte: epochKey(prefix, 0), lt: utf8ToBytes(`${prefix}~`) }
    for await (const key of this.#db.keys({ ...range, reverse: true })) {
      epochs.push(readU64(key, 1))
    }
    return epochs
  }

  /** Chunks of all other epochs go, and marks of snapshots begun. */
  async #clearExcept(kept: readonly number[], begun: readonly number[]): Promise<void> {
    let from = 0
    for (const epoch of [...new Set(kept)].sort((a, b) => a - b)) {
      await this.#db.clear({ gte: chunkAt(from, 0), lt: chunkAt(epoch, 0) })
      from = epoch + 1
    }
    await this.#db.clear({ gte: chunkAt(from, 0), lt: utf8ToBytes('c~') })
    for (const epoch of await this.#epochsOf(Prefix.begun)) {
      if (!begun.includes(epoch)) await this.#db.del(epochKey(Prefix.begun, epoch))
    }
  }
}

const sumOf = (key: Uint8Array, bytes: Uint8Array) => crc32(bytes, crc32(key))
const summed = (key: Uint8Array, bytes: Uint8Array) => concatBytes(u32Key(sumOf(key, bytes)), bytes)
