import type { Logger } from 'pino'
import type { ChainClient } from '../node/chain-client.ts'
import type { PeerNetwork } from '../relay/peer-network.ts'
import type { FileStatus } from '../repair/file-status.ts'
import type { RepairOptions, RepairRequest, RepairResult } from '../repair/repair-interfaces.ts'
import type { RepairKeys } from '../repair/repair-keys.ts'
import type { PeerTags } from './peer-tags.ts'
import type { Closing } from './rail-closer.ts'
import type { TransferProgress } from './transfer-progress.ts'

export interface StorageClientOptions {
  /** Folder of journals and caches; losing it loses no file. */
  readonly dataDir: string
  /** Secret of the owner key, 32 bytes: pays, and finds the files again. */
  readonly ownerKey: Uint8Array
  /** Secret of the node key that this client shows to peers. */
  readonly nodeKey: Uint8Array
  readonly chain: ChainClient
  /** Multiaddrs of bootstrap nodes. Not used where `network` is given. */
  readonly bootstrap: readonly string[]
  /** Links of a peer in the same process, with the same node key. */
  readonly network?: PeerNetwork | undefined
  /**
   * Largest pack, bytes. Where undefined, up to 1 GiB, but no more than can be sent well before
   * the network's fill deadline.
   */
  readonly packBytes?: number | undefined
  readonly logger: Logger
}

/** What a contract sets aside for its repair (PROTOCOL 7). */
export interface RepairFund {
  /** Units in the pot. */
  readonly pot: bigint
  /** Address whose vouchers the pot pays and whose grants refill lost slots; the owner's own too. */
  readonly delegate: Uint8Array
  /**
   * True where the delegate may spend the whole pot: the owner itself, or a friend. Otherwise a
   * refill costs the pot at most what the lost rail forfeited.
   */
  readonly trusted: boolean
  /** Units that the delegate earns with each refill it grants. */
  readonly delegateFee: bigint
}

export interface PutRequest {
  /** Files to store, in order. */
  readonly files: readonly {
    /** Where it lies. */
    readonly source: string
    /** Its path in the owner's storage, "/" between names. */
    readonly path: string
  }[]
  /** Paths to remove as of this put. */
  readonly remove?: readonly string[]
  /** k of n; chosen by the number of peers where undefined. */
  readonly redundancy?: { readonly k: number; readonly n: number } | undefined
  /** Where the peers may say that they are; any peers where undefined. */
  readonly tags?: PeerTags | undefined
  /** Epochs to pay for. */
  readonly termEpochs: number
  /** How often each slot may be read in full from its traffic lock. */
  readonly reads?: number
  /** A pot of each contract that pays for rebuilding lost slots, and who may have them rebuilt. */
  readonly repair?: RepairFund | undefined
  readonly onProgress?: (progress: TransferProgress) => void
  /**
   * Contracts took too few slots before their fill deadline; others are opened for their packs.
   * What they locked comes back when the put is done (StorageClient.closeEnded).
   */
  readonly onLapse?: (contracts: readonly number[]) => void
  readonly signal?: AbortSignal
}

export interface PutResult {
  /** Contract indexes, one per pack. */
  readonly contracts: readonly number[]
  readonly bytes: number
  readonly storedBytes: number
  readonly k: number
  readonly n: number
  /** Node keys (hex) by slot. */
  readonly nodes: readonly string[]
  /** Units locked, pot and deposit included. */
  readonly lockedUnits: bigint
  readonly relayed: number
}

/** One file of the owner as list gives it. */
export interface StoredFile {
  readonly path: string
  readonly size: number
  readonly mtimeMs: number
  /** SHA-256 of the file, hex. */
  readonly sha256: string
  readonly contracts: readonly number[]
  readonly k: number
  readonly n: number
  /** False while parts of it cannot be read: too few peers, or a put that was interrupted. */
  readonly complete: boolean
  readonly createdMs: number
}

export interface GetRequest {
  /** Path in the owner's storage. */
  readonly path: string
  /** Where to write; a .part file stands beside it until all is verified. */
  readonly target: string
  /** Bytes [from, to) of the file; the whole file where undefined. */
  readonly range?: { readonly from: number; readonly to: number } | undefined
  /** Units that may be added to used-up traffic locks of its rails; 1 IOEX where undefined. */
  readonly topUpMax?: bigint | undefined
  readonly onProgress?: (progress: TransferProgress) => void
  readonly signal?: AbortSignal
}

export interface GetResult {
  readonly bytes: number
  readonly sha256: string
  /** Peers that gave blocks, and those that failed and were replaced. */
  readonly peers: number
  readonly peersLost: number
  readonly relayed: number
  /** KiB paid by vouchers. */
  readonly paidKib: number
  /** Units added to traffic locks that were used up, of so many rails; unused ones come back. */
  readonly toppedUpUnits: bigint
  readonly toppedUpRails: number
}

export interface DeliverRequest {
  /** 33-byte node key of the friend. */
  readonly to: Uint8Array
  readonly source: string
  readonly name: string
  readonly onProgress?: (progress: TransferProgress) => void
  readonly signal?: AbortSignal
}

export interface DeliverResult {
  readonly bytes: number
  readonly sha256: string
  /** Rail index of the relay that carried it; undefined where it went directly. */
  readonly relayRail: number | undefined
  /** Node key (hex) of that relay. */
  readonly relay: string | undefined
  /** KiB that the relay was paid for in this session. */
  readonly relayKib: number
}

/** An owner's access to the network. Several calls may run at once. */
export interface StorageClient {
  put(request: PutRequest): Promise<PutResult>
  get(request: GetRequest): Promise<GetResult>
  /** The owner's files, rebuilt from the chain alone: labels, then manifests. */
  list(): Promise<StoredFile[]>
  /** Sends a file into a friend's inbox. */
  deliver(request: DeliverRequest): Promise<DeliverResult>
  /** Puts that were interrupted and can be resumed by calling put with the same files. */
  unfinished(): Promise<
    readonly { readonly contracts: readonly number[]; readonly paths: readonly string[] }[]
  >
  /**
   * Closes own rails that ended, were used up or replaced, and contracts that never became active,
   * a few at a time; every put does it too.
   */
  closeEnded(): Promise<Closing>
  /** Rebuilds slots that were lost, on other peers; interrupted, the same call goes on. */
  repair(request: RepairRequest): Promise<RepairResult>
  /**
   * The same for somebody else's contracts, as their delegate: the pots pay for what is read, and
   * their fee for each refill vests as it is proven.
   */
  repairFor(keys: readonly RepairKeys[], options: RepairOptions): Promise<RepairResult>
  /** What the delegate of a file's contracts needs; it can rebuild with them, and read nothing. */
  repairKeys(path: string): Promise<RepairKeys[]>
  /** What the chain knows of a file: its slots, their peers, until when they are paid. */
  status(path: string): Promise<FileStatus>
  /**
   * Removes a file: closes the contracts that hold nothing else, and where its pack holds other
   * files too, says so in a new one. `closeEnded` settles what was closed, some epochs later.
   */
  remove(path: string): Promise<RemoveResult>
  close(): Promise<void>
}

/** What a removal did. */
export interface RemoveResult {
  readonly path: string
  /** Contracts that held nothing else: they are closing now. */
  readonly closing: readonly number[]
  /** Contracts that hold other files too and go on. */
  readonly kept: readonly number[]
  /** Contract of the pack that says that the file is removed; undefined where none is needed. */
  readonly tombstone: number | undefined
  /** Units that come back at most when the closing contracts are settled. */
  readonly refundMost: bigint
}

export type StorageErrorCode =
  | 'FILE_MISSING'
  | 'PATH'
  | 'FILE_CHANGED'
  | 'NOT_FOUND'
  | 'RANGE'
  | 'PEERS_TOO_FEW'
  | 'FILE_UNREADABLE'
  | 'CONTRACT_INACTIVE'
  | 'TOP_UP_LIMIT'
  | 'CHAIN_REFUSED'
  | 'ABORTED'
  | 'DISK'

/** Why an owner's request failed; the message says what to do. */
export class StorageError extends Error {
  override name = 'StorageError'
  readonly code: StorageErrorCode
  constructor(code: StorageErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
  }
}
