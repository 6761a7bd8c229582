import { type FileHandle, mkdir, open, readdir, readFile, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { assert } from '../bytes/assert.ts'
import { bytesEqual, utf8ToBytes } from '../bytes/hex.ts'

/** One thing that must survive a crash until `view` of `epoch` is committed. */
export interface LogEntry {
  /** 1 to 255; what the payload is, known to the writer. */
  readonly kind: number
  readonly epoch: number
  readonly view: number
  readonly payload: Uint8Array
}

/** What opening found. After damage the entries read are not all that were written. */
export type LogCondition = 'new' | 'intact' | 'damaged'

export interface OpenedLog {
  readonly log: WriteAheadLog
  readonly entries: readonly LogEntry[]
  readonly condition: LogCondition
  /** Entries up to here may be missing because they were pruned. */
  readonly prunedThrough: LogPlace
}

export interface LogPlace {
  readonly epoch: number
  readonly view: number
}

/** Longer than any entry: a block with its justification. */
const ENTRY_BYTES_MAX = 4 * 1024 * 1024
/** A segment that grew beyond this is rewritten with what is still needed. */
const SEGMENT_BYTES_MAX = 4 * 1024 * 1024
/** len u32 | crc32 u32; the sum covers kind u8 | epoch u64 | view u64 | payload. */
const PREFIX_BYTES = 8
const FIELDS_BYTES = 17
/** Kind of a segment's first entry: magic and chain id; its place is how far was pruned. */
const OPENING_KIND = 0
const MAGIC = utf8ToBytes('ioex-wal/1')
const SEGMENT_NAME = /^(\d{8})\.wal$/

/**
 * Segmented append-only file of entries (consensus 1.7). Own votes are appended and synced before
 * they leave. Not safe for concurrent calls: the driver awaits each one. Any rejection means that
 * the disk cannot be trusted; a failed sync is never tried again.
 */
export class WriteAheadLog {
  readonly #directory: string
  readonly #chainId: Uint8Array
  #file: FileHandle
  #number: number
  #bytes: number
  #live: LogEntry[]
  #pruned: LogPlace

  private constructor(
    directory: string,
    chainId: Uint8Array,
    segment: Segment,
    live: LogEntry[],
    pruned: LogPlace,
  ) {
    this.#directory = directory
    this.#chainId = chainId
    this.#file = segment.file
    this.#number = segment.number
    this.#bytes = segment.bytes
    this.#live = live
    this.#pruned = pruned
  }

  /**
   * Reads what a crash left. A short or zeroed end is a torn write and is cut off; anything else
   * that does not check is damage, and that segment is kept aside under another name. `secure`
   * runs before anything is changed, so that a crash now cannot make a lost log look intact.
   */
  static async open(
    directory: string,
    chainId: Uint8Array,
    secure: (condition: LogCondition) => Promise<void>,
  ): Promise<OpenedLog> {
    await mkdir(directory, { recursive: true })
    const numbers = await segmentNumbers(directory)
    const entries: LogEntry[] = []
    const damaged: string[] = []
    let pruned: LogPlace = { epoch: 0, view: 0 }
    for (const number of numbers) {
      const path = join(directory, segmentName(number))
      const read = readSegment(
        new Uint8Array(await readFile(path)),
        chainId,
        number === numbers.at(-1),
      )
      entries.push(...read.entries)
      if (isAfter(read.pruned, pruned)) pruned = read.pruned
      if (read.damaged) damaged.push(path)
    }
    const condition = damaged.length > 0 ? 'damaged' : numbers.length === 0 ? 'new' : 'intact'
    await secure(condition)
    for (const path of damaged) await rename(path, `${path}.damaged`)
    const number = (numbers.at(-1) ?? 0) + 1
    const segment = await writeSegment(directory, chainId, number, entries, pruned)
    await dropSegments(directory, number)
    const log = new WriteAheadLog(directory, chainId, segment, [...entries], pruned)
    return { log, entries, condition, prunedThrough: pruned }
  }

  /** Entries not yet pruned, oldest first. */
  get live(): readonly LogEntry[] {
    return this.#live
  }

  /** File of the segment in use. */
  get path(): string {
    return join(this.#directory, segmentName(this.#number))
  }

  /** Size of the segment in use, bytes. */
  get bytes(): number {
    return this.#bytes
  }

  /** Not durable before the next sync. */
  async append(entry: LogEntry): Promise<void> {
    const bytes = encodeEntry(entry)
    await writeWhole(this.#file, bytes)
    this.#bytes += bytes.length
    this.#live.push(entry)
  }

  /** Everything appended before is on the disk when this resolves. */
  async sync(): Promise<void> {
    await this.#file.datasync()
  }

  /** Forgets entries up to and including a committed view; frees the disk now and then. */
  async prune(epoch: number, view: number): Promise<void> {
    const through = { epoch, view }
    this.#live = this.#live.filter((entry) => isAfter(entry, through))
    if (isAfter(through, this.#pruned)) this.#pruned = through
    if (this.#bytes > SEGMENT_BYTES_MAX) await this.#rewrite()
  }

  async close(): Promise<void> {
    await this.#file.close()
  }

  async #rewrite(): Promise<void> {
    const next = this.#number + 1
    const segment = await writeSegment(
      this.#directory,
      this.#chainId,
      next,
      this.#live,
      this.#pruned,
    )
    await this.#file.close()
    this.#file = segment.file
    this.#number = next
    this.#bytes = segment.bytes
    await dropSegments(this.#directory, next)
  }
}

interface Segment {
  readonly file: FileHandle
  readonly number: number
  readonly bytes: number
}

/** A new segment appears complete or not at all: written aside, synced, then renamed. */
async function writeSegment(
  directory: string,
  chainId: Uint8Array,
  number: number,
  entries: readonly LogEntry[],
  pruned: LogPlace,
): Promise<Segment> {
  const path = join(directory, segmentName(number))
  const file = await open(`${path}.new`, 'w')
  const payload = new Uint8Array([...MAGIC, ...chainId])
  let bytes = 0
  for (const entry of [{ kind: OPENING_KIND, ...pruned, payload }, ...entries]) {
    const encoded = encodeEntry(entry)
    await writeWhole(file, encoded)
    bytes += encoded.length
  }
  await file.sync()
  await rename(`${path}.new`, path)
  await syncDirectory(directory)
  return { file, number, bytes }
}

/** Removes older segments once the newer one is durable. */
async function dropSegments(directory: string, keep: number): Promise<void> {
  for (const number of await segmentNumbers(directory)) {
    if (number < keep) await unlink(join(directory, segmentName(number)))
  }
  await syncDirectory(directory)
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function writeWhole(file: FileHandle, bytes: Uint8Array): Promise<void> {
  let written = 0
  while (written < bytes.length) {
    const { bytesWritten } = await file.write(bytes, written, bytes.length - written)
    written += bytesWritten
  }
}

/** Ascending. */
async function segmentNumbers(directory: string): Promise<number[]> {
  return (await readdir(directory))
    .map((name) => SEGMENT_NAME.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((a, b) => a - b)
}

function segmentName(number: number): string {
  return `${String(number).padStart(8, '0')}.wal`
}

export function isAfter(place: LogPlace, other: LogPlace): boolean {
  return place.epoch > other.epoch || (place.epoch === other.epoch && place.view > other.view)
}

function encodeEntry({ kind, epoch, view, payload }: LogEntry): Uint8Array {
  const length = FIELDS_BYTES + payload.length
  assert(length <= ENTRY_BYTES_MAX, 'a log entry is within its bound')
  const bytes = new Uint8Array(PREFIX_BYTES + length)
  const data = new DataView(bytes.buffer)
  data.setUint32(0, length, true)
  bytes[PREFIX_BYTES] = kind
  data.setBigUint64(PREFIX_BYTES + 1, BigInt(epoch), true)
  data.setBigUint64(PREFIX_BYTES + 9, BigInt(view), true)
  bytes.set(payload, PREFIX_BYTES + FIELDS_BYTES)
  data.setUint32(4, crc32(bytes.subarray(PREFIX_BYTES)), true)
  return bytes
}

/** The entry at `offset` if all of it is there and its sum is right. */
function entryAt(bytes: Uint8Array, offset: number): { entry: LogEntry; end: number } | undefined {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (offset + PREFIX_BYTES > bytes.length) return undefined
  const length = data.getUint32(offset, true)
  const start = offset + PREFIX_BYTES
  const end = start + length
  if (length < FIELDS_BYTES || length > ENTRY_BYTES_MAX || end > bytes.length) return undefined
  if (crc32(bytes.subarray(start, end)) !== data.getUint32(offset + 4, true)) return undefined
  return {
    entry: {
      kind: bytes[start] as number,
      epoch: Number(data.getBigUint64(start + 1, true)),
      view: Number(data.getBigUint64(start + 9, true)),
      payload: bytes.slice(start + FIELDS_BYTES, end),
    },
    end,
  }
}

function readSegment(
  bytes: Uint8Array,
  chainId: Uint8Array,
  isLast: boolean,
): { entries: LogEntry[]; damaged: boolean; pruned: LogPlace } {
  const opening = entryAt(bytes, 0)
  // Segments are renamed into place complete, so a bad opening is never a torn write.
  if (!opening || !isOpening(opening.entry, chainId)) {
    return { entries: [], damaged: true, pruned: { epoch: 0, view: 0 } }
  }
  const { epoch, view } = opening.entry
  const pruned = { epoch, view }
  const entries: LogEntry[] = []
  let offset = opening.end
  for (;;) {
    const next = entryAt(bytes, offset)
    if (!next) break
    entries.push(next.entry)
    offset = next.end
  }
  if (offset === bytes.length) return { entries, damaged: false, pruned }
  return { entries, damaged: !isLast || !isTornEnd(bytes, offset), pruned }
}

function isOpening({ kind, payload }: LogEntry, chainId: Uint8Array): boolean {
  if (kind !== OPENING_KIND || payload.length !== MAGIC.length + chainId.length) return false
  return (
    bytesEqual(payload.subarray(0, MAGIC.length), MAGIC) &&
    bytesEqual(payload.subarray(MAGIC.length), chainId)
  )
}

/** An entry that arrived whole ends in so many zeros once in 2^32 times. */
const ZEROS_MIN = 4

/**
 * A crash leaves an end that is shorter than it announces, or zeros where data did not arrive,
 * which may be from the middle of an entry on. A complete entry with a wrong sum, or valid entries
 * after the bad place, mean that something which was once durable is gone: perhaps a vote that
 * others have seen.
 */
function isTornEnd(bytes: Uint8Array, offset: number): boolean {
  const rest = bytes.subarray(offset)
  const written = rest.findLastIndex((byte) => byte !== 0) + 1
  if (written === 0) return true
  const data = new DataView(rest.buffer, rest.byteOffset, rest.length)
  const end = rest.length >= 4 ? PREFIX_BYTES + data.getUint32(0, true) : Number.POSITIVE_INFINITY
  if (end <= rest.length && end < written + ZEROS_MIN) return false
  for (let at = offset + 1; at < bytes.length; at++) {
    if (entryAt(bytes, at)) return false
  }
  return true
}
