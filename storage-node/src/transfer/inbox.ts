import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, link, mkdir, open, readdir, rm, statfs } from 'node:fs/promises'
import { join, parse } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { bytesEqual, bytesToHex } from '@ioex/chain/bytes'
import { diskError } from '../blobs/blob-error.ts'
import { syncFolder } from '../blobs/slot-files.ts'
import { Refusal } from './refusal.ts'

const PART_SUFFIX = '.part'
/** Names tried for a file whose name is taken. */
const NAMES_MAX = 10_000
/** Free space that a delivery must leave on the disk. */
const RESERVE_BYTES = 64 * 1024 * 1024

/** A file being delivered. */
export interface InboxFile {
  /** Bytes that came in an earlier attempt. */
  readonly receivedBytes: number
  write(bytes: Uint8Array): Promise<void>
  /** Checks length and hash and gives the file its name; gives its path. Throws Refusal. */
  finish(): Promise<string>
  /** Keeps what came for the next attempt. */
  suspend(): Promise<void>
}

/** A folder into which friends deliver files. */
export class Inbox {
  readonly #folder: string
  readonly #friends: ReadonlySet<string>
  readonly #receiving = new Set<string>()

  private constructor(folder: string, friends: readonly Uint8Array[]) {
    this.#folder = folder
    this.#friends = new Set(friends.map((key) => bytesToHex(key)))
  }

  static async open(folder: string, friends: readonly Uint8Array[]): Promise<Inbox> {
    await mkdir(folder, { recursive: true })
    return new Inbox(folder, friends)
  }

  isFriend(nodeKey: Uint8Array): boolean {
    return this.#friends.has(bytesToHex(nodeKey))
  }

  /** Names of the delivered files. */
  async files(): Promise<string[]> {
    const names = await readdir(this.#folder)
    return names.filter((name) => !name.endsWith(PART_SUFFIX))
  }

  /** Begins or resumes a delivery. Throws Refusal. */
  async receive(name: string, size: number, sha256: Uint8Array): Promise<InboxFile> {
    checkFileName(name)
    const part = join(this.#folder, `${bytesToHex(sha256)}${PART_SUFFIX}`)
    if (this.#receiving.has(part)) {
      throw new Refusal('FILE_BUSY', 'this file is being delivered over another connection')
    }
    const { bavail, bsize } = await statfs(this.#folder)
    if (size + RESERVE_BYTES > bavail * bsize) {
      throw new Refusal('DISK_FULL', 'there is no room for this file')
    }
    this.#receiving.add(part)
    try {
      return await this.#begin(part, { name, size, sha256 })
    } catch (error) {
      this.#receiving.delete(part)
      throw error
    }
  }

  async #begin(
    part: string,
    wanted: { name: string; size: number; sha256: Uint8Array },
  ): Promise<InboxFile> {
    const hash = createHash('sha256')
    const file = await open(part, 'a')
    let receivedBytes = (await file.stat()).size
    if (receivedBytes > wanted.size) {
      await file.truncate(0)
      receivedBytes = 0
    }
    if (receivedBytes > 0) await pipeline(createReadStream(part), hash, { end: false })
    let bytes = receivedBytes
    let isOpen = true
    const close = async () => {
      if (!isOpen) return
      isOpen = false
      await closeSynced(file)
      this.#receiving.delete(part)
    }
    return {
      receivedBytes,
      write: async (chunk) => {
        bytes += chunk.length
        if (bytes > wanted.size) throw new Refusal('FILE_SIZE', 'the file is longer than announced')
        hash.update(chunk)
        await file.appendFile(chunk).catch((error: unknown) => {
          throw diskError(error)
        })
      },
      finish: async () => {
        await close()
        if (bytes !== wanted.size || !bytesEqual(hash.digest(), wanted.sha256)) {
          await rm(part, { force: true })
          throw new Refusal('FILE_DIFFERS', 'the file is not the announced one: send it again')
        }
        return this.#publish(part, wanted.name)
      },
      suspend: close,
    }
  }

  /** Gives the file its name, or the next free one like it; never replaces a file. */
  async #publish(part: string, name: string): Promise<string> {
    const { name: stem, ext } = parse(name)
    for (let i = 1; i <= NAMES_MAX; i++) {
      const path = join(this.#folder, i === 1 ? name : `${stem} (${i})${ext}`)
      try {
        await link(part, path)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue
        throw error
      }
      await rm(part)
      await syncFolder(this.#folder)
      return path
    }
    throw new Refusal('FILE_NAME', 'too many files of this name in the inbox')
  }
}

async function closeSynced(file: FileHandle): Promise<void> {
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

/** The name comes from a peer: it must not lead out of the folder or look like a part. */
function checkFileName(name: string): void {
  const forbidden = /[/\\\0]/.test(name) || name === '' || name === '.' || name === '..'
  if (forbidden || name.startsWith('.') || name.endsWith(PART_SUFFIX)) {
    throw new Refusal('FILE_NAME', 'a file name is a plain name without "/", not hidden')
  }
}
