import { createReadStream } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { assert } from '../bytes/assert.ts'
import { sha256 } from '../bytes/hash.ts'
import { bytesEqual, concatBytes, utf8ToBytes } from '../bytes/hex.ts'
import { BLOCK_BYTES_MAX } from '../elastos/block.ts'

const MAGIC = utf8ToBytes('ioeXmb01')
/** The length and its complement: a damaged length must not pass for a record cut short. */
const LENGTH_BYTES = 8
const CHECKSUM_BYTES = 8
const RECORD_HEAD_BYTES = LENGTH_BYTES + CHECKSUM_BYTES
const READ_CHUNK_BYTES = 1024 * 1024

/** Where a block stands in the file. */
export interface BlockPosition {
  readonly offset: number
  readonly length: number
}

/** The block file holds something that neither this program nor a crash can have written. */
export class BlockFileDamagedError extends Error {
  override name = 'BlockFileDamagedError'
}

/** Append-only file of blocks: length, checksum and bytes of each, in the order they came. */
export interface BlockFile {
  /** Returns once the block is on the disk; on an error the file stays as it was. */
  append(block: Uint8Array): Promise<BlockPosition>
  read(position: BlockPosition): Promise<Uint8Array>
  close(): Promise<void>
}

export interface OpenedBlockFile {
  readonly file: BlockFile
  /** Bytes of an unfinished last record that a crash left and that were cut off. */
  readonly cutBytes: number
}

/**
 * Opens or creates the file and hands each block to `onBlock` in order. A last record that is
 * not whole was never acknowledged and is cut off; anything else that does not fit its checksum
 * is damage and refused, because cutting there would lose acknowledged blocks.
 */
export async function openBlockFile(
  path: string,
  onBlock: (block: Uint8Array, position: BlockPosition) => void,
): Promise<OpenedBlockFile> {
  const handle = await open(path, 'a+')
  await handle.close()
  const { end, size } = await scan(path, onBlock)
  const writable = await open(path, 'r+')
  try {
    if (end < size) await writable.truncate(end)
    let start = end
    if (end < MAGIC.length) {
      await writeFully(writable, MAGIC, 0)
      start = MAGIC.length
    }
    await writable.datasync()
    return { file: blockFile(writable, start), cutBytes: size - end }
  } catch (error) {
    await writable.close()
    throw error
  }
}

function blockFile(handle: FileHandle, start: number): BlockFile {
  let end = start
  return {
    async append(block) {
      assert(block.length > 0 && block.length <= BLOCK_BYTES_MAX, 'block size out of range')
      const record = new Uint8Array(RECORD_HEAD_BYTES + block.length)
      const view = new DataView(record.buffer)
      view.setUint32(0, block.length, true)
      view.setUint32(4, ~block.length >>> 0, true)
      record.set(checksum(block), LENGTH_BYTES)
      record.set(block, RECORD_HEAD_BYTES)
      try {
        await writeFully(handle, record, end)
        await handle.datasync()
      } catch (error) {
        // A full disk: take the half-written record back, so that a later block can follow.
        await handle.truncate(end).catch(() => undefined)
        throw error
      }
      const position = { offset: end + RECORD_HEAD_BYTES, length: block.length }
      end += record.length
      return position
    },
    async read({ offset, length }) {
      const block = new Uint8Array(length)
      const { bytesRead } = await handle.read(block, 0, length, offset)
      if (bytesRead !== length) throw new BlockFileDamagedError('the block file became shorter')
      return block
    },
    close: () => handle.close(),
  }
}

/** Finds the end of the last whole record. Holds one record and one chunk in memory. */
async function scan(
  path: string,
  onBlock: (block: Uint8Array, position: BlockPosition) => void,
): Promise<{ end: number; size: number }> {
  const { size } = await stat(path)
  let end = 0
  let rest: Uint8Array = new Uint8Array(0)
  for await (const chunk of createReadStream(path, { highWaterMark: READ_CHUNK_BYTES })) {
    rest = concatBytes(rest, chunk as Uint8Array)
    if (end === 0) {
      if (rest.length < MAGIC.length) continue
      if (!bytesEqual(rest.subarray(0, MAGIC.length), MAGIC)) {
        throw new BlockFileDamagedError(`${path} is not a block file of the main chain`)
      }
      end = MAGIC.length
      rest = rest.slice(MAGIC.length)
    }
    const used = takeRecords(path, rest, end, size, onBlock)
    end += used
    rest = rest.slice(used)
  }
  if (!isCutShort(rest)) throw new BlockFileDamagedError(`${path} is damaged at byte ${end}`)
  return { end, size }
}

/** Whether the bytes are what a crash leaves of a last record: its start, or only zeros. */
function isCutShort(bytes: Uint8Array): boolean {
  if (bytes.length < RECORD_HEAD_BYTES || bytes.every((byte) => byte === 0)) return true
  const length = recordLength(new DataView(bytes.buffer, bytes.byteOffset), 0)
  return length !== undefined && bytes.length <= RECORD_HEAD_BYTES + length
}

/** The length in a record's head; undefined if it was never written so. */
function recordLength(view: DataView, at: number): number | undefined {
  const length = view.getUint32(at, true)
  if (length === 0 || length > BLOCK_BYTES_MAX) return undefined
  return view.getUint32(at + 4, true) === ~length >>> 0 ? length : undefined
}

/**
 * Hands over the whole records at the start of `bytes`; returns how many bytes they took. Stops
 * before a record that is not whole or not sound; sound ones never follow such a one, because a
 * record is on the disk before the next is begun.
 */
function takeRecords(
  path: string,
  bytes: Uint8Array,
  offset: number,
  size: number,
  onBlock: (block: Uint8Array, position: BlockPosition) => void,
): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let used = 0
  while (bytes.length - used >= RECORD_HEAD_BYTES) {
    const length = recordLength(view, used)
    const start = used + RECORD_HEAD_BYTES
    if (length === undefined || bytes.length < start + length) break
    const block = bytes.slice(start, start + length)
    const stated = bytes.subarray(used + LENGTH_BYTES, start)
    if (!bytesEqual(checksum(block), stated)) {
      if (offset + start + length === size) break
      throw new BlockFileDamagedError(`${path} is damaged at byte ${offset + used}`)
    }
    onBlock(block, { offset: offset + start, length })
    used = start + length
  }
  // Without this bound a damaged length would have us read the whole file into memory.
  if (bytes.length - used > RECORD_HEAD_BYTES + BLOCK_BYTES_MAX + READ_CHUNK_BYTES) {
    throw new BlockFileDamagedError(`${path} is damaged at byte ${offset + used}`)
  }
  return used
}

function checksum(block: Uint8Array): Uint8Array {
  return sha256(block).subarray(0, CHECKSUM_BYTES)
}

async function writeFully(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let written = 0
  while (written < bytes.length) {
    const result = await handle.write(bytes, written, bytes.length - written, position + written)
    written += result.bytesWritten
  }
}
