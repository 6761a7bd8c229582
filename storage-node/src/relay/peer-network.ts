import { randomInt } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { bytesEqual, bytesToHex, publicKeyOf } from '@ioex/chain/bytes'
import type { Logger } from 'pino'
import { reasonOf, TransferError } from '../transfer/transfer-error.ts'
import { ControlPlane } from './control-plane.ts'
import { announceOffer, DIRECTORY_PROTOCOL, fetchOffers } from './directory.ts'
import {
  addressesOf,
  type Offer,
  OFFER_REPEAT_MS,
  OfferKind,
  signOffer,
  type SignedOffer,
} from './offer.ts'

/** Pauses between rounds over all bootstrap nodes while none answers. */
const RETRY_MS_FIRST = 250
const RETRY_MS_MAX = 15_000
const LINK_WAIT_MS = 20_000
const FETCH_ATTEMPTS = 3
const CONNECTIONS_MAX = 64

export interface PeerNetworkOptions {
  readonly chainId: Uint8Array
  readonly nodeKey: Uint8Array
  /** Multiaddrs of bootstrap nodes. */
  readonly bootstrap: readonly string[]
  readonly logger: Logger
}

/**
 * A peer's link to the network: it connects to one bootstrap node picked at random among those
 * that answer, picks again when that one is lost, announces its offer there and reads the
 * directory. It listens nowhere: who wants to reach it comes over that link.
 */
export class PeerNetwork {
  readonly nodeKey: Uint8Array
  readonly controlPlane: ControlPlane
  readonly #options: PeerNetworkOptions
  readonly #stopping = new AbortController()
  #linked: Uint8Array | undefined
  #linkWaiters: (() => void)[] = []
  #linking: Promise<void> | undefined
  #offer: (() => Promise<Offer>) | undefined
  #furtherRelays: readonly Uint8Array[] = []
  #announceTimer: NodeJS.Timeout | undefined

  private constructor(options: PeerNetworkOptions, controlPlane: ControlPlane) {
    this.#options = options
    this.controlPlane = controlPlane
    this.nodeKey = publicKeyOf(options.nodeKey)
  }

  static async start(options: PeerNetworkOptions): Promise<PeerNetwork> {
    const { nodeKey, logger } = options
    const controlPlane = await ControlPlane.start({
      nodeKey,
      listen: [],
      connectionsMax: CONNECTIONS_MAX,
      logger,
    })
    const network = new PeerNetwork(options, controlPlane)
    controlPlane.onDisconnect((gone) => network.#onDisconnect(gone))
    network.#link()
    return network
  }

  /** Node key of the bootstrap node this peer is linked to. */
  get bootstrapKey(): Uint8Array | undefined {
    return this.#linked
  }

  /** Keeps an offer announced; `offer` is asked anew each time. */
  announce(offer: () => Promise<Offer>): void {
    this.#offer = offer
    clearInterval(this.#announceTimer)
    this.#announceTimer = setInterval(() => void this.#announceNow(), OFFER_REPEAT_MS)
    this.#announceTimer.unref()
    void this.#announceNow()
  }

  /** Tells a change of the offer at once instead of at the next repetition. */
  reannounce(): void {
    if (this.#offer) void this.#announceNow()
  }

  /** Names relays beside the free link over which this peer is reached, from now on. */
  setFurtherRelays(nodeKeys: readonly Uint8Array[]): void {
    this.#furtherRelays = [...nodeKeys]
    this.reannounce()
  }

  /**
   * Every good offer that a bootstrap node knows. Throws NO_BOOTSTRAP where none answers.
   */
  async offers(): Promise<SignedOffer[]> {
    for (let attempt = 1; ; attempt++) {
      const bootstrap = await this.linkedBootstrap()
      try {
        return await fetchOffers(this.#options.chainId, () =>
          this.controlPlane.openStream(bootstrap, DIRECTORY_PROTOCOL),
        )
      } catch (error) {
        // The link may have died just now; the next one is being looked for.
        if (attempt === FETCH_ATTEMPTS) throw error
        await delay(RETRY_MS_FIRST)
      }
    }
  }

  /** Waits for the link. Throws NO_BOOTSTRAP after 20 seconds. */
  async linkedBootstrap(): Promise<Uint8Array> {
    if (this.#linked) return this.#linked
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const timer = setTimeout(() => {
      const count = this.#options.bootstrap.length
      const message = `none of ${count} bootstrap nodes answers: check the network and their list`
      reject(new TransferError('NO_BOOTSTRAP', message))
    }, LINK_WAIT_MS)
    this.#linkWaiters.push(resolve)
    await promise.finally(() => clearTimeout(timer))
    return this.linkedBootstrap()
  }

  /** Connects to a relay by its offer, unless it is connected already. */
  async connectRelay(offer: Offer): Promise<void> {
    if (offer.kind !== OfferKind.relay) {
      throw new TransferError('PEER_PROTOCOL', 'this node does not offer to relay')
    }
    if (this.controlPlane.isConnected(offer.nodeKey)) return
    let failure: unknown
    for (const address of addressesOf(offer)) {
      try {
        const key = await this.controlPlane.dial(address)
        if (bytesEqual(key, offer.nodeKey)) return
        failure = new TransferError('PEER_IDENTITY', 'another node answers at its address')
      } catch (error) {
        failure = error
      }
    }
    const name = bytesToHex(offer.nodeKey).slice(0, 12)
    throw new TransferError('PEER_UNREACHABLE', `relay ${name}: ${reasonOf(failure)}`)
  }

  /** Answers streams that a relay splices to this peer. */
  handle(protocol: string, handler: (stream: Duplex, peer: Uint8Array) => Promise<void>) {
    return this.controlPlane.handle(protocol, handler)
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    clearInterval(this.#announceTimer)
    await this.controlPlane.stop()
    await this.#linking
  }

  #onDisconnect(gone: Uint8Array): void {
    if (!this.#linked || !bytesEqual(gone, this.#linked)) return
    if (this.controlPlane.isConnected(gone)) return
    this.#linked = undefined
    this.#link()
  }

  /** One search at a time; it ends with a link or with the node's stop. */
  #link(): void {
    this.#linking ??= this.#search()
      .catch((error) => {
        if (!this.#stopping.signal.aborted) {
          this.#options.logger.error({ reason: reasonOf(error) }, 'looking for a bootstrap node')
        }
      })
      .finally(() => {
        this.#linking = undefined
      })
  }

  async #search(): Promise<void> {
    const { signal } = this.#stopping
    for (let pause = RETRY_MS_FIRST; ; pause = Math.min(RETRY_MS_MAX, pause * 2)) {
      for (const address of shuffled(this.#options.bootstrap)) {
        if (signal.aborted) return
        try {
          this.#linked = await this.controlPlane.dial(address)
          break
        } catch (error) {
          this.#options.logger.debug(
            { address, reason: reasonOf(error) },
            'bootstrap node is not good',
          )
        }
      }
      if (this.#linked) {
        const bootstrap = bytesToHex(this.#linked)
        this.#options.logger.info({ bootstrap }, 'linked')
        for (const wake of this.#linkWaiters.splice(0)) wake()
        await this.#announceNow()
        return
      }
      await delay(pause, undefined, { signal })
    }
  }

  async #announceNow(): Promise<void> {
    const linked = this.#linked
    if (!this.#offer || !linked) return
    try {
      const offer = await this.#offer()
      // The free link comes first: by that the others know that theirs is to be paid.
      const further = this.#furtherRelays.filter((key) => !bytesEqual(key, linked))
      const relays = [linked, ...further]
      const signed = signOffer(
        this.#options.chainId,
        { ...offer, relays, sequence: Date.now() },
        this.#options.nodeKey,
      )
      const stream = await this.controlPlane.openStream(linked, DIRECTORY_PROTOCOL)
      await announceOffer(stream, signed)
    } catch (error) {
      this.#options.logger.debug({ reason: reasonOf(error) }, 'offer not announced')
    }
  }
}

function shuffled<T>(items: readonly T[]): T[] {
  const rest = [...items]
  const order: T[] = []
  while (rest.length > 0) order.push(...rest.splice(randomInt(rest.length), 1))
  return order
}
