import { type FileHandle, mkdir, open, readFile, rename, stat, truncate } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  assert,
  HASH_BYTES,
  LEAF_BYTES,
  SLOT_BLOCK_BYTES,
  type SlotTree,
  SlotTreeBuilder,
  slotBlockCount,
} from '@ioex/chain/bytes'
import { NONE } from '@ioex/chain/types'
import { BlobError, diskError } from './blob-error.ts'
import { DATA_FILE, RECORD_FILE, syncFolder, TREE_FILE, writeSynced } from './slot-files.ts'
import { type SlotName, type SlotRecord, SlotRecordType } from './slot-record.ts'

/** Received bytes after which data and hashes are synced: what a crash can lose of an upload. */
const CHECKPOINT_BYTES = 16 * 1024 * 1024

export interface ReceiverOptions {
  readonly name: SlotName
  readonly leaves: number
  /** Folder of the unfinished slot, and what it becomes. */
  readonly partFolder: string
  readonly folder: string
  /** Called once, when the slot is whole or the receiver is given up. */
  onDone(record: SlotRecord | undefined): void
}

/**
 * Takes the bytes of one slot in order, hashing while it writes. A crash or a lost connection
 * leaves a part that the next receiver goes on with, at a block's edge.
 */
export class SlotReceiver {
  readonly #options: ReceiverOptions
  readonly #data: FileHandle
  readonly #tree: FileHandle
  readonly #builder: SlotTreeBuilder
  readonly #totalBytes: number
  #receivedBytes: number
  #syncedBytes: number
  #writing: Promise<void> = Promise.resolve()
  #done = false

  private constructor(
    options: ReceiverOptions,
    files: { data: FileHandle; tree: FileHandle },
    hashes: Uint8Array<ArrayBuffer>,
  ) {
    this.#options = options
    this.#data = files.data
    this.#tree = files.tree
    this.#builder = new SlotTreeBuilder(hashes)
    this.#totalBytes = options.leaves * LEAF_BYTES
    this.#receivedBytes = (hashes.length / HASH_BYTES) * SLOT_BLOCK_BYTES
    this.#syncedBytes = this.#receivedBytes
  }

  /** Opens a new part or one that an earlier receiver left. */
  static async open(options: ReceiverOptions): Promise<SlotReceiver> {
    const { partFolder, leaves } = options
    await mkdir(partFolder, { recursive: true })
    const hashes = await keptHashes(partFolder, leaves)
    const bytes = (hashes.length / HASH_BYTES) * SLOT_BLOCK_BYTES
    const data = await open(join(partFolder, DATA_FILE), 'a')
    const tree = await open(join(partFolder, TREE_FILE), 'a')
    // Whatever stands behind the last synced hash was never acknowledged: cut it off.
    await truncate(join(partFolder, DATA_FILE), bytes)
    await truncate(join(partFolder, TREE_FILE), hashes.length)
    return new SlotReceiver(options, { data, tree }, hashes)
  }

  /** Bytes that need not be sent again; a multiple of 65,536. */
  get receivedBytes(): number {
    return this.#receivedBytes
  }

  get totalBytes(): number {
    return this.#totalBytes
  }

  /**
   * Takes the next bytes: whole blocks, only the slot's last one may be shorter. Throws
   * SLOT_SIZE where they are more than was announced or not whole blocks, DISK_FULL.
   */
  async write(bytes: Uint8Array): Promise<void> {
    const end = this.#receivedBytes + bytes.length
    const isEven = bytes.length % SLOT_BLOCK_BYTES === 0 || end === this.#totalBytes
    if (end > this.#totalBytes || !isEven || bytes.length === 0) {
      throw new BlobError('SLOT_SIZE', 'the bytes are not whole blocks of the announced slot')
    }
    this.#receivedBytes = end
    const previous = this.#writing
    this.#writing = previous.then(() => this.#append(bytes))
    // The failure is seen by the next write; until then nobody listens.
    this.#writing.catch(() => {})
    // The hash of these bytes is computed while the disk takes the ones before.
    for (let at = 0; at < bytes.length; at += SLOT_BLOCK_BYTES) {
      this.#builder.append(bytes.subarray(at, at + SLOT_BLOCK_BYTES))
    }
    await previous
    if (this.#receivedBytes - this.#syncedBytes >= CHECKPOINT_BYTES) await this.#checkpoint()
  }

  /** Syncs everything and gives the slot its name. Throws SLOT_SIZE where bytes lack. */
  async finish(receivedEpoch: number): Promise<SlotTree> {
    if (this.#receivedBytes !== this.#totalBytes) {
      const message = `the slot ended after ${this.#receivedBytes} of ${this.#totalBytes} bytes`
      throw new BlobError('SLOT_SIZE', message)
    }
    const { name, leaves, partFolder, folder, onDone } = this.#options
    const tree = this.#builder.finish()
    await this.#writing
    await this.#data.sync()
    await this.#close()
    const record: SlotRecord = {
      contract: name.contract,
      salt: name.salt,
      slot: name.slot,
      root: tree.root,
      leaves,
      rail: NONE,
      generation: 0,
      price: 0n,
      unitPrice: 0n,
      receivedEpoch,
      endedEpoch: NONE,
    }
    await writeSynced(join(partFolder, TREE_FILE), tree.blockHashes)
    await writeSynced(join(partFolder, RECORD_FILE), SlotRecordType.serialize(record))
    await syncFolder(partFolder)
    await rename(partFolder, folder)
    await syncFolder(dirname(folder))
    this.#finished()
    onDone(record)
    return tree
  }

  /** Stops receiving; what came so far stays for the next attempt. */
  async suspend(): Promise<void> {
    if (this.#done) return
    try {
      await this.#writing
      await this.#checkpoint()
    } finally {
      await this.#close()
      this.#finished()
      this.#options.onDone(undefined)
    }
  }

  #finished(): void {
    assert(!this.#done, 'a receiver is finished once')
    this.#done = true
  }

  async #append(bytes: Uint8Array): Promise<void> {
    try {
      await this.#data.appendFile(bytes)
    } catch (error) {
      throw diskError(error)
    }
  }

  /** Data first, then the hashes that vouch for it. */
  async #checkpoint(): Promise<void> {
    await this.#writing
    const whole = Math.floor(this.#receivedBytes / SLOT_BLOCK_BYTES)
    const synced = Math.floor(this.#syncedBytes / SLOT_BLOCK_BYTES)
    if (whole === synced) return
    await this.#data.datasync()
    // The builder pads its end: only what it gives for the whole slot so far is asked for here.
    const hashes = this.#builder.finish().blockHashes
    await this.#tree.appendFile(hashes.subarray(synced * HASH_BYTES, whole * HASH_BYTES))
    await this.#tree.datasync()
    this.#syncedBytes = whole * SLOT_BLOCK_BYTES
  }

  async #close(): Promise<void> {
    await Promise.all([this.#data.close(), this.#tree.close()])
  }
}

/** Hashes of the blocks that are certainly on the disk. */
async function keptHashes(partFolder: string, leaves: number): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const hashes = new Uint8Array(await readFile(join(partFolder, TREE_FILE)))
    const { size } = await stat(join(partFolder, DATA_FILE))
    const blocks = Math.min(
      Math.floor(hashes.length / HASH_BYTES),
      Math.floor(size / SLOT_BLOCK_BYTES),
      // The last block may be short; it is always sent again.
      slotBlockCount(leaves) - 1,
    )
    return hashes.slice(0, blocks * HASH_BYTES)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Uint8Array(0)
    throw error
  }
}
