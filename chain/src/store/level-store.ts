import { ClassicLevel } from 'classic-level'
import { MemoryLevel } from 'memory-level'
import { assert } from '../bytes/assert.ts'
import type {
  ChainRepair,
  ChainStore,
  CommitBatch,
  CommittedBlock,
  ReceiptFilter,
  ReceiptPage,
  ReceiptPosition,
  StateEntry,
  StateView,
  StoredBlock,
  StoredEpochProof,
  StoredPrunedBlock,
} from '../manager/chain-store.ts'
import { type Receipt, ReceiptType } from '../types/receipts.ts'
import { type SupplyTerms, SupplyTermsType } from '../types/records.ts'
import { addBlock, addPruned, checksumOf, put } from './block-writes.ts'
import { type Database, type Operation, plain } from './database.ts'
import {
  FORMAT_VERSION,
  hashKey,
  heightKey,
  metaKey,
  Prefix,
  readPosition,
  readU32,
  readU64,
  receiptKey,
  stateKey,
  u64Key,
} from './layout.ts'
import { matches, RECEIPT_READS_MAX, rangeOf } from './receipt-query.ts'
import { stateEntries, stateWrite } from './state-entries.ts'

const ENCODING = { keyEncoding: 'view', valueEncoding: 'view' } as const

/** Behind all keys of the state, which are ASCII. */
const STATE_END = '~'

/** The database on disk cannot be used as it is; the message says what to do. */
export class StoreError extends Error {
  override name = 'StoreError'
}

/** A chain whose history begins at a checkpoint. */
export interface RestoredChain {
  /** Genesis and the checkpoint. */
  readonly blocks: readonly CommittedBlock[]
  /** Of all epochs up to the checkpoint's. */
  readonly epochProofs: readonly StoredEpochProof[]
  /** All entries of the state at the checkpoint, in any order. */
  readonly state: AsyncIterable<readonly StateEntry[]>
}

/** The chain in LevelDB (classic-level), or in memory for simulations: the same code on both. */
export class LevelStore implements ChainStore {
  readonly #db: Database

  private constructor(db: Database) {
    this.#db = db
  }

  /** Opens or creates a database folder. Throws StoreError if it is damaged or another's. */
  static async open(folder: string): Promise<LevelStore> {
    const db = new ClassicLevel<Uint8Array, Uint8Array>(folder, {
      ...ENCODING,
      cacheSize: 32 * 1024 * 1024,
      writeBufferSize: 8 * 1024 * 1024,
    }) as unknown as Database
    try {
      await db.open()
      return await LevelStore.#checked(db, folder)
    } catch (error) {
      if (error instanceof StoreError) throw error
      await db.close()
      throw new StoreError(openFailure(folder, error))
    }
  }

  /**
   * Writes a database that starts at a checkpoint instead of genesis into an empty folder. It is
   * whole when this resolves: the tip is written last.
   */
  static async restore(folder: string, chain: RestoredChain): Promise<void> {
    const store = await LevelStore.open(folder)
    try {
      for await (const entries of chain.state) {
        const operations: Operation[] = entries.map(({ key, bytes }) => stateWrite(key, bytes))
        await store.#db.batch(operations, {})
      }
      for (const { epoch, bytes } of chain.epochProofs) {
        await store.#db.put(heightKey(Prefix.epochProof, epoch), bytes)
      }
      const first = chain.blocks.at(-1)?.height ?? 0
      await store.#db.put(metaKey('first'), u64Key(first))
      await store.commit({ blocks: chain.blocks, state: [] })
    } finally {
      await store.close()
    }
  }

  static async inMemory(): Promise<LevelStore> {
    const db = new MemoryLevel<Uint8Array, Uint8Array>({
      ...ENCODING,
      storeEncoding: 'view',
    }) as unknown as Database
    return LevelStore.over(db)
  }

  /** On an open database with keys and values of the encoding `view`, e.g. one that fails. */
  static over(db: Database): Promise<LevelStore> {
    return LevelStore.#checked(db, 'memory')
  }

  static async #checked(db: Database, folder: string): Promise<LevelStore> {
    const format = await db.get(metaKey('format'))
    if (format === undefined) await db.put(metaKey('format'), u64Key(FORMAT_VERSION))
    else if (readU64(format) !== FORMAT_VERSION) {
      await db.close()
      throw new StoreError(
        `database ${folder} has format ${readU64(format)}, this program needs ${FORMAT_VERSION}: ` +
          'start the program version that wrote it, or move the folder away to sync afresh',
      )
    }
    return new LevelStore(db)
  }

  async tipHeight(): Promise<number | undefined> {
    const bytes = await this.#db.get(metaKey('tip'))
    return bytes === undefined ? undefined : readU64(bytes)
  }

  async firstHeight(): Promise<number> {
    const bytes = await this.#db.get(metaKey('first'))
    return bytes === undefined ? 0 : readU64(bytes)
  }

  async commit(batch: CommitBatch): Promise<void> {
    const last = batch.blocks.at(-1)
    assert(last, 'a commit holds at least one block')
    const operations: Operation[] = batch.state.map(({ key, bytes }) =>
      bytes === null ? { type: 'del', key: stateKey(key) } : stateWrite(key, bytes),
    )
    for (const block of batch.blocks) addBlock(operations, block)
    const { epochProof } = batch
    if (epochProof) {
      put(operations, heightKey(Prefix.epochProof, epochProof.epoch), epochProof.bytes)
    }
    put(operations, metaKey('tip'), u64Key(last.height))
    await this.#db.batch(operations, { sync: true } as object)
  }

  async repair({ block, epochProof }: ChainRepair): Promise<void> {
    const operations: Operation[] = []
    if (block) {
      addBlock(operations, { ...block, receipts: [] })
      operations.push({ type: 'del', key: heightKey(Prefix.prunedBlock, block.height) })
    }
    if (epochProof) {
      put(operations, heightKey(Prefix.epochProof, epochProof.epoch), epochProof.bytes)
    }
    await this.#db.batch(operations, { sync: true } as object)
  }

  async *stateEntries(): AsyncIterable<readonly StateEntry[]> {
    const snapshot = this.#db.snapshot()
    try {
      yield* stateEntries(this.#db, snapshot, '', STATE_END)
    } finally {
      await snapshot.close()
    }
  }

  stateView(): StateView {
    const snapshot = this.#db.snapshot()
    const db = this.#db
    return {
      async *range(from, to) {
        for await (const entries of stateEntries(db, snapshot, from, to)) yield* entries
      },
      close: () => snapshot.close(),
    }
  }

  async block(height: number): Promise<StoredBlock | undefined> {
    const parts = await this.#parts(Prefix.block, height)
    if (!parts) return undefined
    const { body: block, ...rest } = parts
    return { ...rest, block }
  }

  async prunedBlock(height: number): Promise<StoredPrunedBlock | undefined> {
    const parts = await this.#parts(Prefix.prunedBlock, height)
    if (!parts) return undefined
    const { body: pruned, ...rest } = parts
    return { ...rest, pruned }
  }

  async prunedTo(): Promise<number> {
    const bytes = await this.#db.get(metaKey('pruned'))
    return bytes === undefined ? 0 : readU64(bytes)
  }

  async pruneOpenings(to: number, most: number): Promise<number> {
    const from = (await this.prunedTo()) + 1
    const last = Math.min(to, from + most - 1)
    if (last < from) return 0
    const operations: Operation[] = []
    let freed = 0
    for (let height = from; height <= last; height++) {
      const stored = await this.block(height)
      // What is damaged is left to be repaired, and then stays whole.
      if (stored) freed += addPruned(operations, stored)
    }
    put(operations, metaKey('pruned'), u64Key(last))
    await this.#db.batch(operations, { sync: true } as object)
    return freed
  }

  async #parts(prefix: string, height: number) {
    const [block, justification, certificate, reproposals, checksum] = await Promise.all([
      this.#db.get(heightKey(prefix, height)),
      this.#db.get(heightKey(Prefix.justification, height)),
      this.#db.get(heightKey(Prefix.certificate, height)),
      this.#db.get(heightKey(Prefix.reproposals, height)),
      this.#db.get(heightKey(Prefix.checksum, height)),
    ])
    if (block === undefined || justification === undefined) return undefined
    const parts = [block, justification, certificate, reproposals]
    if (checksum !== undefined && checksumOf(parts) !== readU32(checksum)) return undefined
    return {
      height,
      hash: plain(block.subarray(0, 32)),
      body: plain(block.subarray(32)),
      justification: plain(justification),
      certificate: certificate && plain(certificate),
      reproposals: reproposals ? plain(reproposals) : new Uint8Array(0),
    }
  }

  async heightOf(blockHash: string): Promise<number | undefined> {
    const bytes = await this.#db.get(hashKey(Prefix.hash, blockHash))
    return bytes === undefined ? undefined : readU64(bytes)
  }

  async hashAt(height: number): Promise<Uint8Array | undefined> {
    const bytes = await this.#db.get(heightKey(Prefix.hashAt, height))
    return bytes === undefined ? (await this.block(height))?.hash : plain(bytes)
  }

  async epochProof(epoch: number): Promise<Uint8Array | undefined> {
    const bytes = await this.#db.get(heightKey(Prefix.epochProof, epoch))
    return bytes && plain(bytes)
  }

  async transaction(id: string): Promise<ReceiptPosition | undefined> {
    const bytes = await this.#db.get(hashKey(Prefix.transaction, id))
    return bytes === undefined ? undefined : readPosition(bytes)
  }

  async supplyAt(height: number): Promise<SupplyTerms | undefined> {
    const bytes = await this.#db.get(heightKey(Prefix.supply, height))
    return bytes && SupplyTermsType.deserialize(plain(bytes))
  }

  async receiptsAt(height: number): Promise<Receipt[]> {
    const receipts: Receipt[] = []
    const iterator = this.#db.values({ gte: receiptKey(height, 0), lt: receiptKey(height + 1, 0) })
    for await (const bytes of iterator)
      receipts.push(ReceiptType.deserialize(plain(bytes)) as Receipt)
    return receipts
  }

  async receipt(id: string): Promise<Receipt | undefined> {
    const at = await this.#db.get(hashKey(Prefix.receiptId, id))
    if (at === undefined) return undefined
    const { height, index } = readPosition(at)
    const bytes = await this.#db.get(receiptKey(height, index))
    return bytes === undefined ? undefined : (ReceiptType.deserialize(plain(bytes)) as Receipt)
  }

  async receipts(
    filter: ReceiptFilter,
    from: ReceiptPosition | undefined,
    limit: number,
  ): Promise<ReceiptPage> {
    const range = rangeOf(filter, from)
    const receipts: Receipt[] = []
    let reads = 0
    for await (const key of this.#db.keys(range)) {
      const at = readPosition(key.subarray(key.length - 12))
      if (reads++ === RECEIPT_READS_MAX) return { receipts, next: at }
      const bytes = await this.#db.get(receiptKey(at.height, at.index))
      if (bytes === undefined) continue
      const receipt = ReceiptType.deserialize(plain(bytes)) as Receipt
      if (!matches(receipt, filter)) continue
      if (receipts.length === limit) return { receipts, next: at }
      receipts.push(receipt)
    }
    return { receipts, next: undefined }
  }

  async close(): Promise<void> {
    await this.#db.close()
  }
}

function openFailure(folder: string, error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const reason = cause instanceof Error ? cause.message : String(cause)
  if ((cause as NodeJS.ErrnoException).code === 'LEVEL_LOCKED') {
    return `database ${folder} is in use by another process: stop that node first`
  }
  return (
    `database ${folder} cannot be opened (${reason}): move the folder away and start again; ` +
    'the node then syncs the chain from its peers'
  )
}
