import type { NodeIdentity } from '@ioex/chain/types'
import type { Logger } from 'pino'
import type { PeerNetwork } from '../relay/peer-network.ts'
import type { ServiceLimits } from '../transfer/service-limits.ts'
import type { ChainClient } from './chain-client.ts'

export interface ListenAddress {
  readonly host: string
  /** 0 takes a free port. */
  readonly port: number
}

/** How many links a peer pays for, with whose money, and for how much at most. */
export interface PaidLinkTerms {
  /** At most 3: an offer names four relays. */
  readonly count: number
  /** Secret of the account that pays: money that the node may spend. */
  readonly payerKey: Uint8Array
  /** Most units per reservation unit. */
  readonly priceMax: bigint
}

/** What a home peer is told. Nothing is read from the environment. */
export interface PeerNodeOptions {
  /** The node's own folder; created if it is missing. */
  readonly dataDir: string
  /** Secret of the node key, 32 bytes. */
  readonly nodeKey: Uint8Array
  /** The owner's binding of that key to a payout address (see bindNode). */
  readonly identity: NodeIdentity
  readonly chain: ChainClient
  /** Multiaddrs of bootstrap nodes, each ending in /p2p/…; one is picked at random. */
  readonly bootstrap: readonly string[]
  /** Where the data plane listens; undefined for a device that nobody can dial. */
  readonly listen: ListenAddress | undefined
  /** "host:port" pairs to advertise instead of the listen address. */
  readonly advertise?: readonly string[] | undefined
  readonly capacityBytes: number
  /** Units per GiB-epoch. */
  readonly price: bigint
  /** Units per GiB moved. */
  readonly unitPrice: bigint
  /** Daily traffic and quiet hours; none where undefined. */
  readonly limits?: ServiceLimits | undefined
  /** Links to relays beyond the free one; none where undefined. */
  readonly paidLinks?: PaidLinkTerms | undefined
  /** What the node says of its place: region, at most 16 bytes, and network number. */
  readonly tags?: { readonly region?: string | undefined; readonly asn?: number | undefined }
  /** Node keys (33 bytes) that may deliver files into the inbox. */
  readonly friends: readonly Uint8Array[]
  readonly logger: Logger
}

/** A peer's figures, for the command line and for metrics. */
export interface PeerStatus {
  readonly nodeKey: string
  readonly nodeAddress: string
  readonly listening: string | undefined
  /** Node key (hex) of the bootstrap node it is linked to. */
  readonly bootstrap: string | undefined
  /** Links that it pays for, with the units signed for on each rail. */
  readonly paidLinks: readonly {
    readonly relay: string
    readonly rail: number
    readonly units: number
  }[]
  readonly slots: {
    readonly stored: number
    readonly receiving: number
    readonly damaged: number
    readonly bytes: number
    readonly capacityBytes: number
  }
  readonly proofs: {
    readonly sent: number
    readonly refused: number
    readonly lastEpoch: number | undefined
  }
  readonly redeems: { readonly sent: number; readonly refused: number }
  /** Slots taken in the lottery of last resort, and attempts that failed. */
  readonly claims: { readonly claimed: number; readonly failed: number }
  readonly bytesIn: number
  readonly bytesOut: number
  readonly inboxFiles: number
}

export interface PeerNode {
  /** 33-byte public node key. */
  readonly nodeKey: Uint8Array
  /** Port of the data plane; undefined where it does not listen. */
  readonly port: number | undefined
  /** Its links to bootstrap nodes, to be shared with a StorageClient of the same process. */
  readonly network: PeerNetwork
  status(): Promise<PeerStatus>
  /** Redeems all rails now instead of at the next epoch; gives the transaction ids. */
  redeem(): Promise<string[]>
  /**
   * Gives notice for every slot and takes no new ones; it goes on proving until the notice is
   * over. Gives each rail and the epoch in which it ends, exclusive.
   */
  leave(): Promise<{ readonly rail: number; readonly end: number }[]>
  stop(): Promise<void>
}

export interface BootstrapNodeOptions {
  readonly dataDir: string
  readonly nodeKey: Uint8Array
  /** Keys that this one replaced: rails opened with them are redeemed with them. */
  readonly formerKeys?: readonly Uint8Array[]
  readonly chain: ChainClient
  /** Multiaddrs of other bootstrap nodes. */
  readonly bootstrap: readonly string[]
  readonly listen: ListenAddress
  /** Multiaddrs to advertise instead of the listen address. */
  readonly advertise?: readonly string[] | undefined
  /** Least units per GiB relayed that it accepts. */
  readonly unitPrice: bigint
  /** Least units per reservation unit: an epoch of a link beyond a node's free one. */
  readonly reservationPrice: bigint
  /** How long a link whose voucher is late is paused before it is cut; 10 seconds. */
  readonly voucherWaitMs?: number | undefined
  readonly logger: Logger
}

export interface BootstrapStatus {
  readonly nodeKey: string
  readonly nodeAddress: string
  readonly multiaddrs: readonly string[]
  /** Linked peers and bootstrap nodes. */
  readonly connections: number
  readonly offers: number
  readonly relay: {
    readonly sessions: number
    readonly sessionsTotal: number
    readonly bytesTotal: number
    readonly cutTotal: number
    readonly vouchersTotal: number
  }
  /** Paid links: now, units they used since the start, and how many were cut. */
  readonly reservations: {
    readonly links: number
    readonly unitsTotal: number
    readonly cutTotal: number
  }
  readonly redeems: { readonly sent: number; readonly refused: number }
}

export interface BootstrapNode {
  readonly nodeKey: Uint8Array
  /** Multiaddrs with /p2p/… that others put into their `bootstrap` list. */
  readonly multiaddrs: readonly string[]
  status(): BootstrapStatus
  redeem(): Promise<string[]>
  stop(): Promise<void>
}
