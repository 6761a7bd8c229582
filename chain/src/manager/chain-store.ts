import type { StateChange } from '../state/record-tables.ts'
import type { Receipt, ReceiptKind } from '../types/receipts.ts'
import type { SupplyTerms } from '../types/records.ts'

/** A final block in the form in which it is kept and served. All bytes are canonical SSZ. */
export interface StoredBlock {
  readonly height: number
  readonly hash: Uint8Array
  /** BlockType. */
  readonly block: Uint8Array
  /** JustificationType. */
  readonly justification: Uint8Array
  /** CertificateType; absent where only a descendant was certified final. */
  readonly certificate: Uint8Array | undefined
  /** ReproposalsType; empty unless the block became final in a later view. */
  readonly reproposals: Uint8Array
}

/** A final block whose openings are gone (types/pruned-block.ts). */
export interface StoredPrunedBlock extends Omit<StoredBlock, 'block'> {
  /** PrunedBlockType. */
  readonly pruned: Uint8Array
}

export interface CommittedBlock extends StoredBlock {
  /** Ids of its transactions, hex, in order. */
  readonly transactionIds: readonly string[]
  readonly receipts: readonly Receipt[]
  /** After it; absent where the block was not executed here. */
  readonly supply?: SupplyTerms
}

/** Everything that one finality decision changes; written whole or not at all. */
export interface CommitBatch {
  readonly blocks: readonly CommittedBlock[]
  readonly state: readonly StateChange[]
  /** Proof of the epoch that its last block ends, if it ends one. */
  readonly epochProof?: StoredEpochProof | undefined
}

/** EpochProofType under its epoch. */
export interface StoredEpochProof {
  readonly epoch: number
  readonly bytes: Uint8Array
}

/** Parts of a final chain to be written again as they were. */
export interface ChainRepair {
  readonly block?: (StoredBlock & Pick<CommittedBlock, 'transactionIds'>) | undefined
  readonly epochProof?: StoredEpochProof | undefined
}

/** Which receipts a question is about. All given conditions must hold. */
export interface ReceiptFilter {
  /** Node key address. */
  readonly node?: Uint8Array | undefined
  readonly rail?: number | undefined
  readonly contract?: number | undefined
  readonly kind?: ReceiptKind | undefined
  readonly fromHeight: number
  readonly toHeight: number
}

/** A place in the receipt order: what a cursor points at. */
export interface ReceiptPosition {
  readonly height: number
  readonly index: number
}

export interface ReceiptPage {
  readonly receipts: readonly Receipt[]
  /**
   * Where the next page starts; undefined at the end. The store looks at a bounded number of
   * receipts for a page, so one may be short, or empty, before the end.
   */
  readonly next: ReceiptPosition | undefined
}

/** A part of the stored state under its key. */
export interface StateEntry {
  readonly key: string
  readonly bytes: Uint8Array
}

/** The state as it stood when the view was taken, whatever is committed meanwhile. */
export interface StateView {
  /** Entries whose keys lie in [from, to), in order. */
  range(from: string, to: string): AsyncIterable<StateEntry>
  close(): Promise<void>
}

/** What the manager needs of a disk. */
export interface ChainStore {
  /** Height of the newest final block; undefined in an empty store. */
  tipHeight(): Promise<number | undefined>
  /** From here to the tip every block is kept; below it nothing but genesis. */
  firstHeight(): Promise<number>
  /** Atomic and synced: after it resolves, a crash loses nothing of it. */
  commit(batch: CommitBatch): Promise<void>
  /** All of them in order of their keys, many at a time. */
  stateEntries(): AsyncIterable<readonly StateEntry[]>
  /** Taken at once: what is committed after this call is not in it. */
  stateView(): StateView
  /**
   * Undefined where it is not kept, where its openings are gone, or where its bytes are not those
   * that were written.
   */
  block(height: number): Promise<StoredBlock | undefined>
  /** Only a block whose openings are gone; undefined where its bytes are damaged. */
  prunedBlock(height: number): Promise<StoredPrunedBlock | undefined>
  /** Up to and with this height no openings are kept; 0 where all are. */
  prunedTo(): Promise<number>
  /**
   * Forgets the openings of blocks from prunedTo() on, at most up to a height and at most so many
   * blocks; gives the bytes that this freed.
   */
  pruneOpenings(to: number, most: number): Promise<number>
  /** Writes parts of the final chain anew; the tip stays. */
  repair(repair: ChainRepair): Promise<void>
  heightOf(blockHash: string): Promise<number | undefined>
  hashAt(height: number): Promise<Uint8Array | undefined>
  /** Bytes of EpochProofType. */
  epochProof(epoch: number): Promise<Uint8Array | undefined>
  /** Where a transaction stands, by id. */
  transaction(id: string): Promise<{ height: number; index: number } | undefined>
  /** After the block of a height; undefined where it was not executed here. */
  supplyAt(height: number): Promise<SupplyTerms | undefined>
  receiptsAt(height: number): Promise<Receipt[]>
  receipt(id: string): Promise<Receipt | undefined>
  receipts(
    filter: ReceiptFilter,
    from: ReceiptPosition | undefined,
    limit: number,
  ): Promise<ReceiptPage>
  close(): Promise<void>
}
