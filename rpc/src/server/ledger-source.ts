import type { Result } from '@ioex/chain/bytes'
import type { ProvenRecord } from '@ioex/chain/light'
import type { NetworkParams } from '@ioex/chain/params'
import type { Indexed, RecordPlace, RewardLeaf } from '@ioex/chain/state'
import type {
  Account,
  Certificate,
  Contract,
  Epoch,
  Globals,
  Header,
  InventoryEntry,
  Justification,
  Node,
  Peg,
  PrunedBlock,
  Rail,
  Receipt,
  ReceiptKind,
  SupplyTerms,
  Transaction,
  Validator,
} from '@ioex/chain/types'
import type { PegSource } from './peg-source.ts'
import type { Page, TablePage } from './table-page.ts'

/** A source may answer at once or later; the server awaits either. */
export type Awaitable<T> = T | Promise<T>

export interface LedgerStatus {
  /** Newest final block. */
  readonly height: number
  readonly hash: Uint8Array
  readonly timeMs: number
  readonly epoch: number
  /** Height the network is known to have reached; equal to `height` when in step. */
  readonly targetHeight: number
  /** Base fee of the next block, units per byte. */
  readonly baseFee: bigint
  readonly peers: number
  readonly syncing: boolean
}

/** A header with what proves it final. */
export interface CertifiedHeader {
  readonly header: Header
  /**
   * Finality certificate of this very block. Undefined for genesis and for a block that became
   * final through a descendant: then the next certified header proves it by hash links.
   */
  readonly certificate: Certificate | undefined
}

/** Records of one final block's state; undefined where nothing proves a place (StateProver). */
export interface ProvenState {
  readonly at: CertifiedHeader
  readonly records: readonly (ProvenRecord | undefined)[]
}

/** A final block with everything that was stored with it. */
export interface LedgerBlock extends CertifiedHeader {
  readonly hash: Uint8Array
  /** Where it is pruned, those that had openings have none, and keep their ids. */
  readonly transactions: readonly Transaction[]
  /** What is left of a block whose openings are gone; undefined where it is whole. */
  readonly pruned: PrunedBlock | undefined
  readonly receipts: readonly Receipt[]
  /** Undefined for genesis, and where it was pruned. */
  readonly justification: Justification | undefined
}

/** Where a final transaction stands. Its receipts are those of the block that name its index. */
export interface TransactionPlace {
  readonly height: number
  /** Position among the block's transactions. */
  readonly index: number
}

/** All given conditions hold; ascending (height, index), from `from` on; at most limit. */
export interface ReceiptQuery {
  /** Node key's address, as receipts carry it. */
  readonly node?: Uint8Array
  readonly rail?: number
  readonly contract?: number
  readonly kind?: ReceiptKind
  /** Bounds of the receipt's own epoch (when it was booked), inclusive. */
  readonly fromEpoch?: number
  readonly toEpoch?: number
  readonly from?: ReceiptPosition
  readonly limit: number
}

/** A place in the order of receipts. */
export interface ReceiptPosition {
  readonly height: number
  readonly index: number
}

/** Part of a list, which may be short, or empty, before its end: a page is bounded work. */
export interface ReceiptPage {
  readonly receipts: readonly Receipt[]
  /** Where the next part starts; undefined behind the last receipt. */
  readonly next: ReceiptPosition | undefined
}

export interface NodeInfo {
  readonly version: string
  readonly roles: readonly string[]
  /** libp2p peer id and multiaddrs this process listens on. */
  readonly peerId: string
  readonly addresses: readonly string[]
  readonly startedAtMs: number
}

export interface PeerInfo {
  readonly peerId: string
  readonly addresses: readonly string[]
  readonly direction: 'inbound' | 'outbound'
}

/**
 * The ledger as the RPC server reads it: final state and final blocks only. Fulfilled by the
 * full node over its chain manager. Reads of something that does not exist give undefined;
 * exceptions mean an operating error and become "internal error" on the wire.
 */
export interface LedgerSource {
  readonly chainId: Uint8Array
  readonly params: NetworkParams
  /** The genesis file, as JSON text. */
  readonly genesis: string

  status(): LedgerStatus
  nodeInfo(): NodeInfo
  /** Up to this height no openings of proofs and fills are kept; 0 on an archive node. */
  prunedTo(): Awaitable<number>
  peers(): readonly PeerInfo[]

  block(height: number): Awaitable<LedgerBlock | undefined>
  heightOfHash(hash: Uint8Array): Awaitable<number | undefined>
  /** Cheaper than block(): asked for by every thin client at every block. */
  certifiedHeader(height: number): Awaitable<CertifiedHeader | undefined>
  /** Place of a final transaction by its id. */
  transactionPlace(id: Uint8Array): Awaitable<TransactionPlace | undefined>
  /** True while the transaction waits in the pool. */
  isPending(id: Uint8Array): boolean

  account(address: Uint8Array): Awaitable<Account | undefined>
  /** Account nonce + the sender's transactions waiting in the pool. */
  nextNonce(address: Uint8Array): Awaitable<number>
  nodeAt(index: number): Awaitable<Node | undefined>
  /** By the node key's address. */
  nodeByAddress(address: Uint8Array): Awaitable<Indexed<Node> | undefined>
  /** A page reads a bounded number of records, here and below. `role` is a NodeRole bit. */
  nodes(page: Page, role?: number): Awaitable<TablePage<Node>>
  /** A freed index gives its last record with live = false, or undefined. */
  railAt(index: number): Awaitable<Rail | undefined>
  /** Live rails; `payer` an owner's address, `node` a node index. */
  rails(
    page: Page,
    by: { readonly payer?: Uint8Array; readonly node?: number },
  ): Awaitable<TablePage<Rail>>
  contractAt(index: number): Awaitable<Contract | undefined>
  /** Live contracts. */
  contracts(page: Page, by: { readonly payer?: Uint8Array }): Awaitable<TablePage<Contract>>
  /** Entries of the node's inventory whose tree has this root: current or still in its ring. */
  inventory(node: number, root: Uint8Array): Awaitable<readonly InventoryEntry[] | undefined>
  epoch(epoch: number): Awaitable<Epoch | undefined>
  /** The set that decides the epoch, in index order; undefined where it is not known. */
  validators(epoch: number): Awaitable<readonly Validator[] | undefined>
  /** The single records of the newest final state. */
  state(): { readonly globals: Readonly<Globals>; readonly peg: Readonly<Peg> }
  /** After the block of a height; undefined where this node did not execute it. */
  supplyAt(height: number): Awaitable<Readonly<SupplyTerms> | undefined>

  /** Proofs of records, all of the newest final block. */
  prove(places: readonly RecordPlace[]): ProvenState
  /** Leaves of the epoch's reward tree; empty where it has none, or they are not kept. */
  rewardLeaves(epoch: number): Awaitable<readonly RewardLeaf[]>
  /** Branch of a final block among the `count` first ones; undefined where not all are kept. */
  historyBranch(height: number, count: number): Awaitable<readonly Uint8Array[] | undefined>

  /** Deposits from and withdrawals to the main chain. */
  readonly peg: PegSource

  receipts(query: ReceiptQuery): Awaitable<ReceiptPage>
  /** By id = hash_tree_root of the receipt. */
  receiptById(id: Uint8Array): Awaitable<Receipt | undefined>

  /** Checks and pools a transaction (SSZ bytes); gives its id, or the rule's fault. */
  submit(transaction: Uint8Array): Promise<Result<Uint8Array>>
  /** Calls back once per final block, in order, after it can be read; returns the way to stop. */
  onBlock(listener: (block: LedgerBlock) => void): () => void
}
