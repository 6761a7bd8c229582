import { assert, fault, ok, type Result } from '@ioex/chain/bytes'
import { packBytesMax } from '../slicing/pack-geometry.ts'
import { encodePath, PATH_BYTES_MAX } from './file-path.ts'
import {
  emptyManifestBytes,
  FILES_PER_PACK_MAX,
  fileEntryBytes,
  MANIFEST_BYTES_MAX,
  TOMBSTONES_PER_PACK_MAX,
  tombstoneBytes,
} from './manifest.ts'
import { ENVELOPE_BYTES } from './pack-keys.ts'

/** What planning needs to know of a file. */
export interface PlannedFile {
  readonly path: string
  readonly size: number
}

/** A file, or a piece of one, in a pack. */
export interface PlannedPart {
  /** Which of the planned files. */
  readonly file: number
  readonly part: number
  readonly parts: number
  readonly partOffset: number
  readonly partBytes: number
  readonly packOffset: number
}

export interface PackPlan {
  readonly parts: readonly PlannedPart[]
  /** Paths, in the first pack only. */
  readonly tombstones: readonly string[]
  /** Sealed manifest at the start of the pack. */
  readonly manifestBytes: number
  readonly packBytes: number
}

/** Less would not carry the longest path beside a byte of content. */
const CAPACITY_MIN = 2 * PATH_BYTES_MAX

/** A pack of one contract has two bytes for its number in the put. */
const PACKS_PER_PUT_MAX = 65_535

/** A pack being filled; offsets are set when its manifest's length is known. */
interface OpenPack {
  parts: Omit<PlannedPart, 'packOffset' | 'parts'>[]
  tombstones: string[]
  manifestBytes: number
  contentBytes: number
}

/**
 * Divides one put into packs (PROTOCOL 5.4): files in their order, each whole in one pack where it
 * fits, a larger one in parts that fill packs of their own; the packs of one put go to the same
 * nodes. `capacity` defaults to what k data slots carry. An empty put gives one empty pack.
 * Faults: PATH, FILE_SIZE, TOO_MANY_TOMBSTONES, TOO_MANY_PACKS.
 */
export function planPacks(
  files: readonly PlannedFile[],
  tombstones: readonly string[],
  k: number,
  capacity: number = packBytesMax(k),
): Result<PackPlan[]> {
  assert(capacity >= CAPACITY_MIN, 'a pack has room for any one path')
  const opened = packWithTombstones(tombstones, capacity)
  if (!opened.ok) return opened
  const packs = [opened.value]
  const partCounts: number[] = []
  for (const [index, file] of files.entries()) {
    const path = encodePath(file.path)
    if (!path.ok) return path
    if (!Number.isSafeInteger(file.size) || file.size < 0) {
      return fault('FILE_SIZE', `a file has a size of ${file.size} bytes`)
    }
    partCounts.push(place(packs, index, file.size, fileEntryBytes(path.value.length), capacity))
    if (packs.length > PACKS_PER_PUT_MAX) {
      return fault('TOO_MANY_PACKS', `one put has at most ${PACKS_PER_PUT_MAX} packs: divide it`)
    }
  }
  return ok(packs.map((pack) => closed(pack, partCounts)))
}

function emptyPack(): OpenPack {
  const manifestBytes = emptyManifestBytes() + ENVELOPE_BYTES
  return { parts: [], tombstones: [], manifestBytes, contentBytes: 0 }
}

function packWithTombstones(tombstones: readonly string[], capacity: number): Result<OpenPack> {
  const pack = emptyPack()
  const bytesMax = Math.min(MANIFEST_BYTES_MAX, capacity)
  for (const tombstone of tombstones) {
    const path = encodePath(tombstone)
    if (!path.ok) return path
    pack.tombstones.push(tombstone)
    pack.manifestBytes += tombstoneBytes(path.value.length)
  }
  if (tombstones.length > TOMBSTONES_PER_PACK_MAX || pack.manifestBytes > bytesMax) {
    return fault('TOO_MANY_TOMBSTONES', 'too many paths removed at once: divide the removal')
  }
  return ok(pack)
}

/** Content bytes that the pack has room for beside one more entry; negative if none fits. */
function roomFor(pack: OpenPack, entryBytes: number, capacity: number): number {
  const manifestBytes = pack.manifestBytes + entryBytes
  const full = pack.parts.length >= FILES_PER_PACK_MAX || manifestBytes > MANIFEST_BYTES_MAX
  return full ? -1 : capacity - manifestBytes - pack.contentBytes
}

/** Places one file, opening packs as needed; returns the number of its parts. */
function place(
  packs: OpenPack[],
  file: number,
  size: number,
  entryBytes: number,
  capacity: number,
): number {
  const last = packs[packs.length - 1] as OpenPack
  const isUntouched = last.parts.length === 0 && last.tombstones.length === 0
  if (roomFor(last, entryBytes, capacity) < size && !isUntouched) packs.push(emptyPack())
  let part = 0
  let partOffset = 0
  do {
    if (part > 0) packs.push(emptyPack())
    const pack = packs[packs.length - 1] as OpenPack
    const partBytes = Math.min(size - partOffset, roomFor(pack, entryBytes, capacity))
    pack.parts.push({ file, part, partOffset, partBytes })
    pack.manifestBytes += entryBytes
    pack.contentBytes += partBytes
    partOffset += partBytes
    part += 1
  } while (partOffset < size && packs.length <= PACKS_PER_PUT_MAX)
  return part
}

function closed(pack: OpenPack, partCounts: readonly number[]): PackPlan {
  let packOffset = pack.manifestBytes
  const parts = pack.parts.map((part) => {
    const placed = { ...part, parts: partCounts[part.file] as number, packOffset }
    packOffset += part.partBytes
    return placed
  })
  const { tombstones, manifestBytes } = pack
  return { parts, tombstones, manifestBytes, packBytes: packOffset }
}
