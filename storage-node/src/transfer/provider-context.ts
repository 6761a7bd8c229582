import type { SecureContext } from 'node:tls'
import { addressOf, bytesEqual } from '@ioex/chain/bytes'
import type { Logger } from 'pino'
import type { SlotStore } from '../blobs/slot-store.ts'
import type { ChainClient } from '../node/chain-client.ts'
import type { Inbox } from './inbox.ts'
import type { Grant } from './messages.ts'
import type { RailMeters } from './rail-meter.ts'
import type { RepairLedger } from './voucher-ledger.ts'
import type { ChannelIdentity, SecureChannel } from './secure-channel.ts'

/** A fill that was handed to the chain. */
export interface SubmittedFill {
  /** Transaction id, 32 bytes. */
  readonly transaction: Uint8Array
  readonly validUntil: number
}

export interface ProviderCounters {
  bytesIn: number
  bytesOut: number
  slotsReceived: number
  filesReceived: number
}

/** What the handlers of requests share. */
export interface ProviderContext {
  readonly identity: ChannelIdentity
  /** Address of its node key. */
  readonly nodeAddress: Uint8Array
  readonly credentials: SecureContext
  readonly chain: ChainClient
  readonly store: SlotStore
  readonly meters: RailMeters
  readonly repairs: RepairLedger
  /** Called when a repair session has ended with a voucher: it can be redeemed. */
  onRepairServed(): void
  readonly inbox: Inbox
  /** Units per GiB-epoch that it asks. */
  readonly price: bigint
  /** Units per GiB moved that it asks. */
  readonly unitPrice: bigint
  /** False for a node that has given notice. */
  takesSlots(): boolean
  /** Brings a granted slot onto the chain. Throws Refusal. */
  submitFill(grant: Grant): Promise<SubmittedFill>
  readonly counters: ProviderCounters
  /** Refuses transfers in quiet hours and beyond the day's traffic. */
  readonly gate: { pass(): void }
  readonly logger: Logger
}

/** True iff the peer proved to hold the owner key with this address. */
export function isOwner(channel: SecureChannel, address: Uint8Array): boolean {
  const { peerOwnerKey } = channel
  return peerOwnerKey !== undefined && bytesEqual(addressOf(peerOwnerKey), address)
}
