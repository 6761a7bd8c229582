import { type FileHandle, open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fault, ok, type Result } from '../bytes/result.ts'
import {
  BLOCKS_FOLDER,
  blockFile,
  BLOCKS_PER_FILE,
  decodeRecord,
  type ExportManifest,
  type ExportRecord,
  GENESIS_FILE,
  LENGTH_BYTES,
  MANIFEST_BYTES_MAX,
  MANIFEST_FILE,
  parseManifest,
  RECORD_BYTES_MAX,
} from './export-format.ts'

/** What was read of one block, and where it stood. */
export interface ReadBlock {
  readonly file: string
  readonly height: number
  readonly record: Result<ExportRecord>
}

/** Reads a small file; undefined where there is none. Faults with FILE_TOO_LONG. */
export async function readBounded(
  path: string,
  bytesMax: number,
): Promise<Result<Buffer | undefined>> {
  const file = await openIfThere(path)
  if (!file) return ok(undefined)
  try {
    const { size } = await file.stat()
    if (size > bytesMax) return fault('FILE_TOO_LONG', `the file is longer than ${bytesMax} bytes`)
    return ok(await file.readFile())
  } finally {
    await file.close()
  }
}

/** The manifest of a whole export. */
export async function readManifest(
  folder: string,
  name = MANIFEST_FILE,
): Promise<Result<ExportManifest | undefined>> {
  const bytes = await readBounded(join(folder, name), MANIFEST_BYTES_MAX)
  if (!bytes.ok || bytes.value === undefined) return bytes as Result<undefined>
  return parseManifest(bytes.value.toString('utf8'))
}

/** Entries of the folder that an export of this length does not have. */
export async function strayEntries(folder: string, lastHeight: number): Promise<string[]> {
  const own = new Set([GENESIS_FILE, MANIFEST_FILE, BLOCKS_FOLDER])
  const top = (await readdir(folder)).filter((name) => !own.has(name))
  const files = new Set<string>()
  for (let height = 0; height <= lastHeight; height += BLOCKS_PER_FILE) files.add(blockFile(height))
  const blocks = await readdir(join(folder, BLOCKS_FOLDER)).catch(notThere)
  const stray = (blocks ?? []).map((name) => `${BLOCKS_FOLDER}/${name}`)
  return [...top, ...stray.filter((name) => !files.has(name))].sort()
}

/**
 * The blocks of an export in order, from a multiple of BLOCKS_PER_FILE on. Ends after the first
 * one that cannot be read: a file that is missing, cut or too long, or bytes that do not decode.
 * At most one block is in memory.
 */
export async function* readBlocks(
  folder: string,
  lastHeight: number,
  from = 0,
): AsyncGenerator<ReadBlock> {
  for (let start = from; start <= lastHeight; start += BLOCKS_PER_FILE) {
    const count = Math.min(BLOCKS_PER_FILE, lastHeight - start + 1)
    for await (const block of readBlockFile(folder, start, count)) {
      yield block
      if (!block.record.ok) return
    }
  }
}

async function* readBlockFile(
  folder: string,
  start: number,
  count: number,
): AsyncGenerator<ReadBlock> {
  const name = blockFile(start)
  const file = await openIfThere(join(folder, name))
  if (!file) {
    const record = fault('FILE_MISSING', 'the file is missing')
    yield { file: name, height: start, record }
    return
  }
  try {
    const { size } = await file.stat()
    let offset = 0
    for (let height = start; height < start + count; height++) {
      const bytes = await readFramed(file, offset, size)
      const record = bytes.ok ? decodeRecord(bytes.value) : bytes
      yield { file: name, height, record }
      if (!bytes.ok) return
      offset += LENGTH_BYTES + bytes.value.length
    }
    if (offset !== size) {
      const record = fault('TRAILING_BYTES', `${size - offset} bytes follow the last block`)
      yield { file: name, height: start + count - 1, record }
    }
  } finally {
    await file.close()
  }
}

/** A record's bytes. The length is bounded by what the file has left before it is believed. */
async function readFramed(
  file: FileHandle,
  offset: number,
  size: number,
): Promise<Result<Uint8Array>> {
  const left = size - offset - LENGTH_BYTES
  if (left < 0) return fault('FILE_CUT', 'the file ends before this block')
  const prefix = await readExactly(file, offset, LENGTH_BYTES)
  if (!prefix) return fault('FILE_CUT', 'the file ends before this block')
  const length = new DataView(prefix.buffer).getUint32(0, true)
  if (length > RECORD_BYTES_MAX) {
    return fault('RECORD_TOO_LONG', `a block of ${length} bytes cannot be`, { length })
  }
  const bytes = length > left ? undefined : await readExactly(file, offset + LENGTH_BYTES, length)
  return bytes ? ok(bytes) : fault('FILE_CUT', 'the file ends within this block')
}

async function readExactly(
  file: FileHandle,
  offset: number,
  length: number,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const bytes = new Uint8Array(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, offset + filled)
    if (bytesRead === 0) return undefined
    filled += bytesRead
  }
  return bytes
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    const file = await open(path, 'r')
    if ((await file.stat()).isFile()) return file
    await file.close()
    return undefined
  } catch (error) {
    return notThere(error)
  }
}

/** Nothing stands under the name; any other failure is one of the machine. */
export function notThere(error: unknown): undefined {
  const { code } = error as NodeJS.ErrnoException
  if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'EISDIR') throw error
  return undefined
}
