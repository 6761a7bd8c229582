import { bytesToHex } from '@ioex/chain/bytes'
import { NONE } from '@ioex/chain/types'
import type { ChainClient } from '../node/chain-client.ts'
import type { Offer } from '../relay/offer.ts'
import type { OpenChannel } from '../transfer/channel-opener.ts'
import { type FetchedBlock, fetchBlocks } from '../transfer/fetch-blocks.ts'
import { RailPayer } from '../transfer/rail-payer.ts'
import { TransferError } from '../transfer/transfer-error.ts'
import type { ChannelPool, OfferBook } from './channel-pool.ts'
import type { OwnPack } from './own-packs.ts'

/** What reading slots takes, shared by all slots of a transfer. */
export interface SlotReading {
  readonly chain: ChainClient
  readonly ownerKey: Uint8Array
  readonly offers: OfferBook
  readonly pool: ChannelPool
  /** Payers of storage rails by rail and generation: one per rail, whoever reads. */
  readonly payers: Map<string, RailPayer>
}

/** The slots of a contract, as far as reading their masked bytes takes. */
export interface SlotsToRead extends Pick<OwnPack, 'contract' | 'record'> {
  readonly geometry: Pick<OwnPack['geometry'], 'k' | 'n'>
}

/** Blocks of one slot from its provider, in order, verified, paid as they come. */
export interface SlotFeed {
  /** Node key (hex) of the provider. */
  readonly nodeKey: string
  next(): Promise<FetchedBlock | undefined>
  /** Ends the feed; the channel is kept if its last request ended. */
  close(): Promise<void>
}

/**
 * Opens blocks from..to-1 of a slot. Throws PEER_UNREACHABLE and what the provider refuses;
 * SLOT_CORRUPT comes with the block that is wrong.
 */
export async function openSlotFeed(
  reading: SlotReading,
  pack: SlotsToRead,
  slot: number,
  range: { from: number; to: number },
): Promise<SlotFeed> {
  const place = pack.record.rails[slot]
  if (!place || place.rail === NONE) {
    throw new TransferError('PEER_UNREACHABLE', `slot ${slot} is not filled`)
  }
  const rail = await reading.chain.rail(place.rail)
  const node = rail && (await reading.chain.nodeAt(rail.node))
  if (!rail?.live || !node) throw new TransferError('PEER_UNREACHABLE', `slot ${slot} has no rail`)
  const offer = await reading.offers.of(node.nodeKey)
  const bytes = (range.to - range.from) * 66_000
  const channel = await reading.pool.acquire(offer, bytes)
  const payer = payerOf(reading, place.rail, rail.generation)
  const request = {
    rail: place.rail,
    generation: rail.generation,
    contract: pack.contract,
    salt: pack.record.salt,
    slot,
    ...range,
    root: place.root,
    leaves: rail.leaves,
  }
  return feedOver(reading.pool, { offer, channel }, fetchBlocks(channel.channel, request, payer))
}

function payerOf(reading: SlotReading, rail: number, generation: number): RailPayer {
  const { payers, chain, ownerKey } = reading
  const key = `${rail}-${generation}`
  const known = payers.get(key)
  if (known) return known
  const payer = new RailPayer({ chainId: chain.chainId, rail, generation, ownerKey })
  payers.set(key, payer)
  return payer
}

/** A feed over blocks that come on a channel of the pool. */
export function feedOver(
  pool: ChannelPool,
  peer: { offer: Offer; channel: OpenChannel },
  blocks: AsyncGenerator<FetchedBlock>,
): SlotFeed {
  let ended = false
  return {
    nodeKey: bytesToHex(peer.offer.nodeKey),
    next: async () => {
      const { done, value } = await blocks.next()
      if (!done) return value
      ended = true
      return undefined
    },
    close: async () => {
      if (ended) {
        pool.release(peer.offer, peer.channel)
        return
      }
      pool.discard(peer.channel)
      await blocks.return(undefined).catch(() => {})
    },
  }
}
