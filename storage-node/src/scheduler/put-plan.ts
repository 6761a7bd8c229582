import { createHash, randomBytes } from 'node:crypto'
import { createReadStream, type Stats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { bytesToHex } from '@ioex/chain/bytes'
import { buildManifests, type PutFile, type PutIdentity } from '../manifest/build-manifest.ts'
import type { Manifest } from '../manifest/manifest.ts'
import { type PackPlan, planPacks } from '../manifest/plan-packs.ts'
import type { NetworkParams } from '@ioex/chain/params'
import type { PackPart } from '../sealing/pack-source.ts'
import { packBytesMax } from '../slicing/pack-geometry.ts'
import { type PutRequest, StorageError } from './storage-interfaces.ts'

const READ_CHUNK_BYTES = 1024 * 1024
/** Pace that a put is planned for, bytes of the owner's files per second. */
const PLANNED_BYTES_PER_SECOND = 4 * 1024 * 1024
const PACK_BYTES_MIN = 4 * 1024 * 1024

/** A file of a put as it was found, before it was read. */
export interface SourceFile {
  readonly source: string
  readonly path: string
  readonly size: number
  readonly mtimeMs: number
  readonly mode: number
}

/** Looks at the files of a request. Throws FILE_MISSING, PATH. */
export async function statSources(files: PutRequest['files']): Promise<SourceFile[]> {
  const found: SourceFile[] = []
  const paths = new Set<string>()
  for (const { source, path } of files) {
    if (paths.has(path)) throw new StorageError('PATH', `two files of the put are named "${path}"`)
    paths.add(path)
    let stats: Stats
    try {
      stats = await stat(source)
    } catch (error) {
      throw new StorageError('FILE_MISSING', `there is no readable file ${source}`, error)
    }
    if (!stats.isFile()) throw new StorageError('FILE_MISSING', `${source} is not a plain file`)
    const mtimeMs = Math.max(0, Math.floor(stats.mtimeMs))
    found.push({ source, path, size: stats.size, mtimeMs, mode: stats.mode })
  }
  return found
}

/**
 * Largest pack of a network: all of it must be sent and filled before its contract's fill
 * deadline, of which half is planned for. An hour's epochs leave 1 GiB its room.
 */
export function packBytesFor(params: NetworkParams, k: number): number {
  const { fillDeadlineEpochs, epochBlocks, blockIntervalMs } = params
  // The epoch of the opening counts whole, however late in it the contract was opened.
  const seconds = ((fillDeadlineEpochs - 1) * epochBlocks * blockIntervalMs) / 1000
  const bytes = Math.floor((seconds / 2) * PLANNED_BYTES_PER_SECOND)
  return Math.min(packBytesMax(k), Math.max(PACK_BYTES_MIN, bytes))
}

/** Divides files into packs for k data slots. Throws PATH with what is wrong. */
export function planPut(
  files: readonly SourceFile[],
  remove: readonly string[],
  k: number,
  packBytes: number,
): PackPlan[] {
  const plans = planPacks(files, remove, k, packBytes)
  if (!plans.ok) throw new StorageError('PATH', plans.fault.message)
  return plans.value
}

/** Reads every file once: its hash, and those of its parts, which the keys depend on. */
export async function readSources(
  files: readonly SourceFile[],
  plans: readonly PackPlan[],
  onBytes: (bytes: number) => void,
): Promise<PutFile[]> {
  const read: PutFile[] = []
  for (const [index, file] of files.entries()) {
    const parts = plans.flatMap((plan) => plan.parts.filter((part) => part.file === index))
    const { sha256, partSha256 } = await hashParts(
      file,
      parts.map(({ partBytes }) => partBytes),
      onBytes,
    )
    const { path, size, mtimeMs, mode } = file
    const contentKey = new Uint8Array(randomBytes(32))
    read.push({ path, size, mtimeMs, mode, sha256, contentKey, partSha256 })
  }
  return read
}

async function hashParts(
  file: SourceFile,
  partBytes: readonly number[],
  onBytes: (bytes: number) => void,
): Promise<{ sha256: Uint8Array; partSha256: Uint8Array[] }> {
  const whole = createHash('sha256')
  const partSha256: Uint8Array[] = []
  let part = createHash('sha256')
  let left = partBytes[0] ?? 0
  let bytes = 0
  const endPart = () => {
    partSha256.push(new Uint8Array(part.digest()))
    part = createHash('sha256')
    left = partBytes[partSha256.length] ?? 0
  }
  for await (const chunk of readRange(file.source, 0, file.size)) {
    whole.update(chunk)
    bytes += chunk.length
    for (let at = 0; at < chunk.length; ) {
      const take = Math.min(chunk.length - at, left)
      part.update(chunk.subarray(at, at + take))
      at += take
      left -= take
      if (left === 0) endPart()
    }
    onBytes(chunk.length)
  }
  if (bytes !== file.size) throw changed(file.source)
  // An empty file has one part, empty too.
  while (partSha256.length < partBytes.length) endPart()
  return { sha256: new Uint8Array(whole.digest()), partSha256 }
}

function changed(source: string): StorageError {
  return new StorageError('FILE_CHANGED', `${source} changed while it was read: put it again`)
}

/** The manifests of the packs, and the parts that each pack reads from disk. */
export function packContents(
  files: readonly SourceFile[],
  read: readonly PutFile[],
  plans: readonly PackPlan[],
  put: PutIdentity,
): { manifest: Manifest; parts: PackPart[] }[] {
  const manifests = buildManifests(plans, read, put)
  return plans.map((plan, pack) => ({
    manifest: manifests[pack] as Manifest,
    parts: plan.parts.map(({ file, part, partOffset, partBytes }) => {
      const { source } = files[file] as SourceFile
      const { contentKey, partSha256 } = read[file] as PutFile
      return {
        name: source,
        bytes: partBytes,
        partOffset,
        contentKey,
        partSha256: partSha256[part] as Uint8Array,
        open: () => readRange(source, partOffset, partBytes),
      }
    }),
  }))
}

/** Bytes of a file from an offset on; nothing where no byte is wanted. */
export async function* readRange(
  path: string,
  offset: number,
  bytes: number,
): AsyncGenerator<Uint8Array> {
  if (bytes === 0) return
  const options = { start: offset, end: offset + bytes - 1, highWaterMark: READ_CHUNK_BYTES }
  for await (const chunk of createReadStream(path, options)) yield chunk as Uint8Array
}

/** Tells two puts of the same files apart from others. */
export function putFingerprint(files: readonly SourceFile[], remove: readonly string[]): string {
  const hash = createHash('sha256')
  for (const { source, path, size, mtimeMs } of files) {
    hash.update(JSON.stringify([source, path, size, mtimeMs]))
  }
  hash.update(JSON.stringify(remove))
  return bytesToHex(hash.digest())
}
