import type { KeyObject } from 'node:crypto'
import { bytesEqual, bytesToHex, LEAF_BYTES } from '@ioex/chain/bytes'
import { ZERO_HASH } from '@ioex/chain/types'
import type { Logger } from 'pino'
import type { ChainClient } from '../node/chain-client.ts'
import type { Candidate } from '../scheduler/peer-choice.ts'
import type { Market } from '../scheduler/peer-market.ts'
import type { SlotSender } from '../scheduler/slot-sender.ts'
import { StorageError } from '../scheduler/storage-interfaces.ts'
import type { StripeReaderOptions } from '../scheduler/stripe-reader.ts'
import type { OpenChannel } from '../transfer/channel-opener.ts'
import { isTransferError, reasonOf } from '../transfer/transfer-error.ts'
import type { PotReadingOptions } from './pot-reading.ts'
import type { RepairedSlot, RepairOptions, UnrepairedSlot } from './repair-interfaces.ts'
import { type ContractWatch, watchContract, type WatchedSlot } from './watch-contract.ts'

/** Who repairs which contract with what. */
export interface Repairer {
  readonly chain: ChainClient
  readonly market: Market
  /** How k slots are read, and who pays for that. */
  readonly reader: StripeReaderOptions
  /** Secret of the payer's key or of the delegate's: it signs the grants. */
  readonly grantKey: Uint8Array
  /** Mask keys of the contract's slots; no content key is needed. */
  readonly slotKeys: readonly KeyObject[]
  readonly contract: number
  /** The contract's salt: an index may have been used again since. */
  readonly salt: Uint8Array
  /** Folder for journals. */
  readonly journals: string
  /** Where given, the contract's pot pays for what is read. */
  readonly pot?: PotReadingOptions | undefined
  /** False for a delegate: it refills what was filled once, and nothing else. */
  readonly isPayer: boolean
  readonly logger: Logger
}

/** One run over a contract's open slots: who repairs, and what came of it so far. */
export interface RepairRun {
  readonly repairer: Repairer
  readonly options: RepairOptions
  readonly repaired: RepairedSlot[]
  readonly failed: Map<number, UnrepairedSlot>
  /** Node keys (hex) of new peers that failed: they are not chosen again. */
  readonly failedPeers: Set<string>
  sentBytes: number
  readBytes: number
}

/** An open slot on its way to its new peer. */
export interface Refill {
  readonly slot: number
  readonly refill: number
  readonly why: RepairedSlot['why']
  /** What the chain committed to; undefined for a first fill. */
  readonly root: Uint8Array | undefined
  readonly candidate: Candidate
  readonly channel: OpenChannel
  readonly sender: SlotSender
}

/** An open slot and the peer that is to store it. */
export interface Seat {
  readonly slot: number
  readonly watched: WatchedSlot
  readonly candidate: Candidate
}

/** The contract as it stands on the chain now. Throws NOT_FOUND once it is gone. */
export async function contractNow({ chain, contract, salt }: Repairer): Promise<ContractWatch> {
  const watch = await watchContract(chain, contract)
  if (watch && bytesEqual(watch.record.salt, salt)) return watch
  throw new StorageError('NOT_FOUND', `contract ${contract} is gone: nothing is left to repair`)
}

/** The number that the slot's next refill has; 0 for its first fill. */
export function nextRefill({ record }: ContractWatch, slot: number): number {
  const place = record.rails[slot]
  return !place || bytesEqual(place.root, ZERO_HASH) ? 0 : place.refill + 1
}

export function slotBytesOf({ record }: ContractWatch): number {
  return record.leaves * LEAF_BYTES
}

/** Remembers why a slot was not rebuilt, and never chooses its peer again. */
export function noteFailure(
  run: RepairRun,
  slot: number,
  { offer }: Candidate,
  error: unknown,
): void {
  run.failedPeers.add(bytesToHex(offer.nodeKey))
  const code = isTransferError(error) ? (error.refusal ?? error.code) : 'FAILED'
  run.failed.set(slot, { slot, code, reason: reasonOf(error) })
  run.repairer.logger.warn({ slot, code, reason: reasonOf(error) }, 'slot not rebuilt')
}

export function reportProgress(
  run: RepairRun,
  phase: 'opening' | 'sending' | 'confirming',
  watch: ContractWatch,
  slots: number,
): void {
  const bytesTotal = slotBytesOf(watch) * slots
  run.options.onProgress?.({
    phase,
    bytes: Math.min(run.sentBytes, bytesTotal),
    bytesTotal,
    peers: slots,
    peersLost: run.failed.size,
  })
}
