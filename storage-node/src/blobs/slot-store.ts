import { type FileHandle, mkdir, open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { LEAF_BYTES, SLOT_BLOCK_BYTES, slotBlockBytes } from '@ioex/chain/bytes'
import writeFileAtomic from 'write-file-atomic'
import type { StoredSlot } from '../proofs/build-openings.ts'
import { BlobError, isPassing, namedPassing } from './blob-error.ts'
import {
  checkSlotFolder,
  DATA_FILE,
  foldersIn,
  PART_SUFFIX,
  readTree,
  RECORD_FILE,
  removeFolder,
  syncFolder,
} from './slot-files.ts'
import { SlotReceiver } from './slot-receiver.ts'
import { slotKey, type SlotName, type SlotRecord, SlotRecordType } from './slot-record.ts'

/** An open slot: its blocks and what proves them. Close it after use. */
export interface OpenSlot extends StoredSlot {
  readonly record: SlotRecord
  /** Blocks from..to-1 in one read. */
  readBlocks(from: number, to: number): Promise<Uint8Array>
  close(): Promise<void>
}

export interface StoreFigures {
  readonly stored: number
  readonly receiving: number
  readonly damaged: number
  /** Bytes stored or promised to uploads that run. */
  readonly bytes: number
  readonly capacityBytes: number
}

/** A provider's slots on its disk. One process per folder. */
export class SlotStore {
  readonly #folder: string
  readonly #capacityBytes: number
  readonly #slots = new Map<string, SlotRecord>()
  readonly #damaged = new Map<string, string>()
  readonly #receiving = new Map<string, number>()

  private constructor(folder: string, capacityBytes: number) {
    this.#folder = folder
    this.#capacityBytes = capacityBytes
  }

  /**
   * Opens the folder and checks every slot in it; damaged ones are kept aside and listed. Throws
   * DISK_UNAVAILABLE where one cannot be judged: a node that does not know what it stores would
   * declare it lost.
   */
  static async open(folder: string, capacityBytes: number): Promise<SlotStore> {
    await mkdir(folder, { recursive: true })
    const store = new SlotStore(folder, capacityBytes)
    for (const name of await foldersIn(folder)) {
      if (!name.endsWith(PART_SUFFIX)) await store.#load(name)
    }
    return store
  }

  async #load(name: string): Promise<void> {
    const check = await checkSlotFolder(join(this.#folder, name))
    if (check.record) this.#slots.set(name, check.record)
    if (check.state === 'damaged') this.#damaged.set(name, check.reason)
  }

  figures(): StoreFigures {
    return {
      stored: this.#slots.size,
      receiving: this.#receiving.size,
      damaged: this.#damaged.size,
      bytes: this.#usedBytes(),
      capacityBytes: this.#capacityBytes,
    }
  }

  get freeBytes(): number {
    return Math.max(0, this.#capacityBytes - this.#usedBytes())
  }

  records(): SlotRecord[] {
    return [...this.#slots.values()]
  }

  /** Slots whose bytes are not what was stored, with the reason. */
  damaged(): ReadonlyMap<string, string> {
    return this.#damaged
  }

  find(name: SlotName): SlotRecord | undefined {
    return this.#slots.get(slotKey(name))
  }

  findByRail(rail: number, generation: number): SlotRecord | undefined {
    return this.records().find((one) => one.rail === rail && one.generation === generation)
  }

  /**
   * Begins or resumes an upload. Throws CAPACITY where the slot does not fit, SLOT_BUSY where
   * another connection is sending it. Its space is reserved until it is whole or suspended.
   */
  async receive(name: SlotName, leaves: number): Promise<SlotReceiver> {
    const key = slotKey(name)
    if (this.#receiving.has(key)) {
      throw new BlobError('SLOT_BUSY', 'this slot is being uploaded over another connection')
    }
    const bytes = leaves * LEAF_BYTES
    if (bytes > this.freeBytes) {
      throw new BlobError('CAPACITY', `the slot needs ${bytes} bytes, ${this.freeBytes} are free`)
    }
    this.#receiving.set(key, bytes)
    try {
      return await SlotReceiver.open({
        name,
        leaves,
        folder: join(this.#folder, key),
        partFolder: join(this.#folder, key + PART_SUFFIX),
        onDone: (record) => {
          this.#receiving.delete(key)
          if (record) this.#slots.set(key, record)
        },
      })
    } catch (error) {
      this.#receiving.delete(key)
      throw error
    }
  }

  /**
   * Opens a stored slot for reading. Throws SLOT_UNKNOWN, SLOT_DAMAGED, and DISK_UNAVAILABLE where
   * the disk refuses for now: the slot is whole as far as anybody knows.
   */
  async openSlot(name: SlotName): Promise<OpenSlot> {
    const key = slotKey(name)
    const record = this.#slots.get(key)
    if (!record) throw new BlobError('SLOT_UNKNOWN', 'this node does not store the slot')
    const reason = this.#damaged.get(key)
    if (reason !== undefined) throw new BlobError('SLOT_DAMAGED', `the slot is damaged: ${reason}`)
    const folder = join(this.#folder, key)
    let data: FileHandle | undefined
    try {
      const blockHashes = await readTree(folder, record)
      data = await open(join(folder, DATA_FILE), 'r')
      return openSlotOver(data, { folder, record, blockHashes })
    } catch (error) {
      await data?.close()
      if (isPassing(error)) throw namedPassing(error, folder)
      await this.#refuseWithoutDisk()
      this.markDamaged(name, error instanceof Error ? error.message : String(error))
      throw new BlobError('SLOT_DAMAGED', 'the slot cannot be read from the disk', error)
    }
  }

  /** A slot that is missing because the whole folder is says that a disk is not mounted. */
  async #refuseWithoutDisk(): Promise<void> {
    try {
      await stat(this.#folder)
    } catch (error) {
      throw new BlobError('DISK_UNAVAILABLE', `${this.#folder} is not there`, error)
    }
  }

  /** Notes that a slot's bytes are not what was stored. */
  markDamaged(name: SlotName, reason: string): void {
    const key = slotKey(name)
    if (this.#slots.has(key) && !this.#damaged.has(key)) this.#damaged.set(key, reason)
  }

  /** Changes what is known of a slot's rail; on disk before it returns. */
  async update(
    name: SlotName,
    change: Partial<Pick<SlotRecord, 'rail' | 'generation' | 'price' | 'unitPrice' | 'endedEpoch'>>,
  ): Promise<SlotRecord> {
    const key = slotKey(name)
    const before = this.#slots.get(key)
    if (!before) throw new BlobError('SLOT_UNKNOWN', 'this node does not store the slot')
    const record: SlotRecord = { ...before, ...change }
    const path = join(this.#folder, key, RECORD_FILE)
    await writeFileAtomic(path, Buffer.from(SlotRecordType.serialize(record)))
    await syncFolder(join(this.#folder, key))
    this.#slots.set(key, record)
    return record
  }

  /** Deletes a slot, or what came of an unfinished one. */
  async delete(name: SlotName): Promise<void> {
    const key = slotKey(name)
    if (this.#receiving.has(key)) return
    this.#slots.delete(key)
    this.#damaged.delete(key)
    await removeFolder(join(this.#folder, key))
    await removeFolder(join(this.#folder, key + PART_SUFFIX))
  }

  /** Deletes unfinished uploads for which `keep` answers false. */
  async deleteParts(keep: (key: string) => Promise<boolean>): Promise<void> {
    for (const folder of await foldersIn(this.#folder)) {
      if (!folder.endsWith(PART_SUFFIX)) continue
      const key = folder.slice(0, -PART_SUFFIX.length)
      if (this.#receiving.has(key) || (await keep(key))) continue
      await removeFolder(join(this.#folder, folder))
    }
  }

  #usedBytes(): number {
    let bytes = 0
    for (const record of this.#slots.values()) bytes += record.leaves * LEAF_BYTES
    for (const reserved of this.#receiving.values()) bytes += reserved
    return bytes
  }
}

function openSlotOver(
  data: FileHandle,
  { folder, record, blockHashes }: { folder: string; record: SlotRecord; blockHashes: Uint8Array },
): OpenSlot {
  const { leaves } = record
  const readBlocks = async (from: number, to: number): Promise<Uint8Array> => {
    const bytes = (to - 1 - from) * SLOT_BLOCK_BYTES + slotBlockBytes(leaves, to - 1)
    const buffer = new Uint8Array(bytes)
    const { bytesRead } = await readAt(data, buffer, from * SLOT_BLOCK_BYTES, folder)
    if (bytesRead < bytes) throw new BlobError('SLOT_DAMAGED', 'the slot is shorter than stored')
    return buffer
  }
  return {
    record,
    leafCount: leaves,
    blockHashes,
    readBlocks,
    readBlock: (blockIndex) => readBlocks(blockIndex, blockIndex + 1),
    close: () => data.close(),
  }
}

async function readAt(data: FileHandle, buffer: Uint8Array, position: number, folder: string) {
  try {
    return await data.read(buffer, 0, buffer.length, position)
  } catch (error) {
    throw namedPassing(error, folder)
  }
}
