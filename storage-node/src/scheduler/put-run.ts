import type { Logger } from 'pino'
import type { ChainClient } from '../node/chain-client.ts'
import type { OwnerAccount } from '../node/transactions.ts'
import type { Market, Placement } from './peer-market.ts'
import type { PutJournal, PutJournals } from './put-journal.ts'
import type { PutProgress } from './put-progress.ts'
import type { PutRequest } from './storage-interfaces.ts'

export interface PutOptions {
  readonly market: Market
  readonly chain: ChainClient
  readonly account: OwnerAccount
  readonly ownerKey: Uint8Array
  readonly master: Uint8Array
  readonly device: Uint8Array
  readonly journals: PutJournals
  /** Largest pack, bytes. */
  readonly packBytes: number | undefined
  /** Sequence of the newest put of the owner on the chain, 0 if there is none. */
  newestSequence(): Promise<number>
  readonly logger: Logger
}

/** One run of a put: what it was asked, what it remembers, which peers it chose. */
export interface Put {
  readonly options: PutOptions
  readonly request: PutRequest
  readonly journal: PutJournal
  readonly placement: Placement
  readonly meter: PutProgress
}
