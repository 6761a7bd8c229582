import { createHash, createSecretKey, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { chmod, type FileHandle, mkdir, open, rename, rm, utimes } from 'node:fs/promises'
import { dirname } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { bytesEqual, bytesToHex } from '@ioex/chain/bytes'
import { diskError } from '../blobs/blob-error.ts'
import { syncFolder } from '../blobs/slot-files.ts'
import type { FileVersion } from '../manifest/file-index.ts'
import { throughKeystream } from '../sealing/keystream.ts'
import { reasonOf } from '../transfer/transfer-error.ts'
import type { OwnPack } from './own-packs.ts'
import { readPack } from './pack-reader.ts'
import { type GetRequest, StorageError } from './storage-interfaces.ts'
import type { StripeReaderOptions } from './stripe-reader.ts'

/** A file to fetch, and where it goes. */
export interface FileFetch {
  readonly version: FileVersion<OwnPack>
  readonly request: GetRequest
}

/**
 * Writes a file or a range of it to its target. What is fetched stands in a part file named after
 * the content, so that an interrupted get goes on where it stopped; the target appears only when
 * everything was verified. Gives the SHA-256 of what was written.
 */
export async function getFile(
  options: StripeReaderOptions,
  { version, request }: FileFetch,
): Promise<{ bytes: number; sha256: Uint8Array }> {
  const first = version.parts[0]
  if (!first || !version.complete) {
    const message = `parts of "${request.path}" cannot be found: its put was interrupted; put it again`
    throw new StorageError('FILE_UNREADABLE', message)
  }
  const { size, sha256, mode, mtimeMs } = first.entry
  const { from, to } = request.range ?? { from: 0, to: size }
  if (!Number.isInteger(from) || !Number.isInteger(to) || from < 0 || from > to || to > size) {
    throw new StorageError('RANGE', `"${request.path}" has bytes 0 to ${size}`)
  }
  const partPath = `${request.target}.${bytesToHex(sha256).slice(0, 16)}-${from}-${to}.part`
  await mkdir(dirname(request.target), { recursive: true })
  const part = await PartFile.open(partPath, to - from)
  try {
    request.onProgress?.(progressOf(options, part.bytes, to - from))
    for await (const chunk of contentOf(options, version, from + part.bytes, to)) {
      request.signal?.throwIfAborted()
      await part.write(chunk)
      request.onProgress?.(progressOf(options, part.bytes, to - from))
    }
  } finally {
    await part.close()
  }
  const digest = part.digest()
  if (to - from === size && !bytesEqual(digest, sha256)) {
    await rm(partPath, { force: true })
    const message = `the restored "${request.path}" differs from what was stored: get it again`
    throw new StorageError('FILE_UNREADABLE', message)
  }
  await publish(partPath, request.target, { mode, mtimeMs })
  return { bytes: to - from, sha256: digest }
}

function progressOf({ figures }: StripeReaderOptions, bytes: number, bytesTotal: number) {
  const { used, lost } = figures
  return { phase: 'fetching' as const, bytes, bytesTotal, peers: used.size, peersLost: lost }
}

async function publish(
  partPath: string,
  target: string,
  { mode, mtimeMs }: { mode: number; mtimeMs: number },
): Promise<void> {
  const permissions = mode & 0o777
  if (permissions !== 0) await chmod(partPath, permissions)
  if (mtimeMs > 0) await utimes(partPath, mtimeMs / 1000, mtimeMs / 1000)
  await rename(partPath, target)
  await syncFolder(dirname(target))
}

/** Plaintext bytes [from, to) of a file, from as many packs as it lies in. */
async function* contentOf(
  options: StripeReaderOptions,
  version: FileVersion<OwnPack>,
  from: number,
  to: number,
): AsyncGenerator<Uint8Array> {
  for (const { entry, contract: pack } of version.parts) {
    const start = Math.max(from, entry.partOffset)
    const end = Math.min(to, entry.partOffset + entry.partBytes)
    if (start >= end) continue
    const inPack = entry.packOffset - entry.partOffset
    const sealed = readPack(options, pack, inPack + start, inPack + end)
    yield* throughKeystream(sealed, createSecretKey(entry.contentKey), start)
  }
}

/** What was fetched so far, on disk, hashed as it grows. */
class PartFile {
  readonly #file: FileHandle
  readonly #hash: Hash
  bytes: number

  private constructor(file: FileHandle, hash: Hash, bytes: number) {
    this.#file = file
    this.#hash = hash
    this.bytes = bytes
  }

  /** Opens a new part, or goes on with one; what was there is hashed again. */
  static async open(path: string, bytesMax: number): Promise<PartFile> {
    const hash = createHash('sha256')
    try {
      const file = await open(path, 'a')
      let { size } = await file.stat()
      if (size > bytesMax) {
        await file.truncate(0)
        size = 0
      }
      if (size > 0) await pipeline(createReadStream(path), hash, { end: false })
      return new PartFile(file, hash, size)
    } catch (error) {
      throw new StorageError('DISK', `cannot write ${path}: ${reasonOf(error)}`, error)
    }
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#hash.update(chunk)
    try {
      await this.#file.appendFile(chunk)
    } catch (error) {
      throw new StorageError('DISK', `cannot write the file: ${reasonOf(diskError(error))}`, error)
    }
    this.bytes += chunk.length
  }

  digest(): Uint8Array {
    return new Uint8Array(this.#hash.digest())
  }

  async close(): Promise<void> {
    await this.#file.sync()
    await this.#file.close()
  }
}
