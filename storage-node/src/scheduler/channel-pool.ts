import { bytesToHex } from '@ioex/chain/bytes'
import { type Offer, OfferKind } from '../relay/offer.ts'
import type { PeerNetwork } from '../relay/peer-network.ts'
import type { ChannelOpener, OpenChannel } from '../transfer/channel-opener.ts'
import { TransferError } from '../transfer/transfer-error.ts'

/** How long a fetched directory serves. */
const OFFERS_FRESH_MS = 15_000

/** The offers of the network as one transfer sees them. */
export class OfferBook {
  readonly #network: PeerNetwork
  #fetchedAt = 0
  #offers: Promise<Offer[]> | undefined

  constructor(network: PeerNetwork) {
    this.#network = network
  }

  /** All good offers, fetched anew when they are old. Throws NO_BOOTSTRAP. */
  async all(): Promise<Offer[]> {
    const now = performance.now()
    if (!this.#offers || now - this.#fetchedAt > OFFERS_FRESH_MS) {
      this.#fetchedAt = now
      this.#offers = this.#network.offers().then((signed) => signed.map(({ offer }) => offer))
    }
    try {
      return await this.#offers
    } catch (error) {
      this.#offers = undefined
      throw error
    }
  }

  async relays(): Promise<Offer[]> {
    return (await this.all()).filter(({ kind }) => kind === OfferKind.relay)
  }

  async storage(): Promise<Offer[]> {
    return (await this.all()).filter(({ kind }) => kind === OfferKind.storage)
  }

  /** The offer of one node. Throws PEER_UNREACHABLE where nobody knows it. */
  async of(nodeKey: Uint8Array): Promise<Offer> {
    const key = bytesToHex(nodeKey)
    const found = (await this.storage()).find((offer) => bytesToHex(offer.nodeKey) === key)
    if (found) return found
    const message = `peer ${key.slice(0, 12)} has announced no address lately: it may be off`
    throw new TransferError('PEER_UNREACHABLE', message)
  }
}

/** Channels of one transfer, used one request after the other and closed together. */
export class ChannelPool {
  readonly #opener: ChannelOpener
  readonly #offers: OfferBook
  readonly #idle = new Map<string, OpenChannel[]>()
  readonly #closing: Promise<void>[] = []
  readonly #relayed = new Map<string, { rail: number; relay: string; bytes: () => number }>()

  constructor(opener: ChannelOpener, offers: OfferBook) {
    this.#opener = opener
    this.#offers = offers
  }

  /** Node keys (hex) that were reached over a relay. */
  get relayed(): ReadonlyMap<string, { rail: number; relay: string; bytes: () => number }> {
    return this.#relayed
  }

  /** A channel to a peer for about `bytes` of traffic, kept from before or opened now. */
  async acquire(offer: Offer, bytes: number): Promise<OpenChannel> {
    const key = bytesToHex(offer.nodeKey)
    const idle = this.#idle.get(key) ?? []
    for (let kept = idle.pop(); kept; kept = idle.pop()) {
      if (kept.channel.frames.open && canStillMove(kept, bytes)) return kept
      this.#close(kept)
    }
    const opened = await this.#opener.open(offer, await this.#offers.relays(), bytes)
    const { relay } = opened
    if (relay) {
      const carried = { rail: relay.rail, relay: bytesToHex(relay.nodeKey), bytes: relay.legBytes }
      this.#relayed.set(key, carried)
    }
    return opened
  }

  /** Gives a channel back whose last request has ended well. */
  release(offer: Offer, channel: OpenChannel): void {
    const key = bytesToHex(offer.nodeKey)
    this.#idle.set(key, [...(this.#idle.get(key) ?? []), channel])
  }

  /** Drops a channel that failed or is in the middle of something. */
  discard(channel: OpenChannel): void {
    channel.channel.frames.destroy()
    this.#close(channel)
  }

  async closeAll(): Promise<void> {
    for (const channels of this.#idle.values()) for (const one of channels) this.#close(one)
    this.#idle.clear()
    await Promise.all(this.#closing)
  }

  #close(channel: OpenChannel): void {
    // A relay is paid its last voucher here; a lost peer cannot be told anything.
    this.#closing.push(channel.close().catch(() => {}))
  }
}

/** A relayed channel was opened for so many bytes of its rail's lock; the relay cuts it beyond. */
function canStillMove({ relay }: OpenChannel, bytes: number): boolean {
  return !relay || relay.legBytes() + bytes <= relay.plannedBytes
}
