import { type FileHandle, open, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import {
  bytesEqual,
  decodeCanonical,
  HASH_BYTES,
  LEAF_BYTES,
  rootOfBlockHashes,
  SLOT_LEAVES_MAX,
  slotBlockCount,
} from '@ioex/chain/bytes'
import { isPassing, namedPassing } from './blob-error.ts'
import { type SlotRecord, SlotRecordType } from './slot-record.ts'

/** Files of a slot's folder. */
export const DATA_FILE = 'data'
export const TREE_FILE = 'tree'
export const RECORD_FILE = 'record'
/** Suffix of the folder while the slot is being received. */
export const PART_SUFFIX = '.part'

const RECORD_BYTES_MAX = 256

/** A stored slot's record, or why its folder does not hold a whole slot. */
export type SlotCheck =
  | { readonly state: 'whole'; readonly record: SlotRecord }
  | { readonly state: 'damaged'; readonly record: SlotRecord | undefined; readonly reason: string }

/**
 * Checks a folder after a start: the record decodes, the data has its length, the kept hashes
 * lead to the root. The data itself is hashed when it is read. Throws DISK_UNAVAILABLE.
 */
export async function checkSlotFolder(folder: string): Promise<SlotCheck> {
  let record: SlotRecord | undefined
  try {
    const bytes = new Uint8Array(await readFile(join(folder, RECORD_FILE)))
    const decoded = decodeCanonical(SlotRecordType, bytes, RECORD_BYTES_MAX)
    if (!decoded.ok) return damaged(undefined, decoded.fault.message)
    record = decoded.value
    if (record.leaves < 1 || record.leaves > SLOT_LEAVES_MAX) {
      return damaged(undefined, 'its record is impossible')
    }
    const { size } = await stat(join(folder, DATA_FILE))
    const wanted = record.leaves * LEAF_BYTES
    if (size !== wanted) return damaged(record, `its data has ${size} bytes instead of ${wanted}`)
    await readTree(folder, record)
    return { state: 'whole', record }
  } catch (error) {
    if (isPassing(error)) throw namedPassing(error, folder)
    return damaged(record, error instanceof Error ? error.message : String(error))
  }
}

function damaged(record: SlotRecord | undefined, reason: string): SlotCheck {
  return { state: 'damaged', record, reason }
}

/** Block hashes of a slot, checked against its root. Throws where they are not its own. */
export async function readTree(folder: string, record: SlotRecord): Promise<Uint8Array> {
  const hashes = new Uint8Array(await readFile(join(folder, TREE_FILE)))
  if (hashes.length !== slotBlockCount(record.leaves) * HASH_BYTES) {
    throw new Error('its kept hashes have a wrong length')
  }
  if (!bytesEqual(rootOfBlockHashes(hashes, record.leaves), record.root)) {
    throw new Error('its kept hashes do not lead to its root')
  }
  return hashes
}

/** Writes a new file and waits until it is on the disk. */
export async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'w')
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Makes a rename or a new name in a folder survive a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  let handle: FileHandle | undefined
  try {
    handle = await open(folder, 'r')
    await handle.sync()
  } finally {
    await handle?.close()
  }
}

export async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true })
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
}

export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true })
}
