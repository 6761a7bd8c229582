import { randomInt } from 'node:crypto'
import { bytesEqual, bytesToHex } from '@ioex/chain/bytes'
import type { ChainHead } from '@ioex/chain/light'
import type { Indexed } from '@ioex/chain/state'
import type { Rail } from '@ioex/chain/types'
import type { Logger } from 'pino'
import { type Offer, OfferKind } from '../relay/offer.ts'
import type { PeerNetwork } from '../relay/peer-network.ts'
import { isRefusedFor } from '../relay/reservation-service.ts'
import { reserveLink } from '../relay/reserve-link.ts'
import { ReservationPayer } from '../transfer/reservation-payer.ts'
import { reasonOf } from '../transfer/transfer-error.ts'
import type { ChainClient } from './chain-client.ts'
import type { PaidLinkTerms } from './node-interfaces.ts'
import type { PaidLinksJournal } from './paid-links-journal.ts'
import { PaidRails } from './paid-rails.ts'
import type { OwnerAccount } from './transactions.ts'

/** Epochs that a relay which refused or does not answer is left alone at most: 1, 2, 4, 8. */
const BACKOFF_EPOCHS_MAX = 8
/** Blocks between two looks for a relay, at most; a quarter of an epoch where that is shorter. */
const LOOK_BLOCKS = 60
/** How long a stop waits for the relays to take the last vouchers. */
const STOP_MS = 5_000
/** Refusals that are about the rail: another one may do. */
const RAIL_CODES = ['RAIL_UNKNOWN', 'RAIL_BUSY', 'RAIL_PURPOSE', 'RAIL_CLOSING', 'PRICE_TOO_LOW']

export interface PaidLinksOptions {
  readonly chain: ChainClient
  readonly network: PeerNetwork
  readonly terms: PaidLinkTerms
  readonly account: OwnerAccount
  readonly journal: PaidLinksJournal
  readonly logger: Logger
}

interface Link {
  readonly relay: Offer
  /** Undefined at a relay that asks nothing. */
  readonly paid: { readonly rail: Indexed<Rail>; readonly payer: ReservationPayer } | undefined
}

/**
 * Keeps links to more relays than the free one and pays for them by the epoch (PROTOCOL 8), so that
 * a peer nobody can dial stays reachable while its own bootstrap node is away. Counts what it got
 * itself and signs for that alone.
 */
export class PaidLinks {
  readonly #options: PaidLinksOptions
  readonly #rails: PaidRails
  readonly #links = new Map<string, Link>()
  readonly #refused = new Map<string, { tries: number; notBefore: number }>()
  #tidiedEpoch = 0
  /** Before it nobody is looked for again: reading the directory is work for others. */
  #lookHeight = 0
  #stopped = false

  constructor(options: PaidLinksOptions) {
    this.#options = options
    const { chain, account, journal, terms, logger } = options
    this.#rails = new PaidRails({ chain, account, journal, priceMax: terms.priceMax, logger })
  }

  status() {
    return [...this.#links].map(([relay, { paid }]) => ({
      relay,
      rail: paid?.rail.index ?? -1,
      units: paid?.payer.signedUnits ?? 0,
    }))
  }

  /** Keeps what runs, then looks for what is missing: one link at a time. */
  async onHead(head: ChainHead): Promise<void> {
    if (this.#stopped) return
    for (const [name, link] of this.#links) {
      try {
        if (!(await this.#keep(link, head))) this.#drop(name)
      } catch (error) {
        this.#drop(name)
        this.#note(name, head.epoch, error)
      }
    }
    const isShort = this.#links.size < this.#options.terms.count
    if (isShort && head.height >= this.#lookHeight) await this.#open(head)
    if (head.epoch === this.#tidiedEpoch) return
    this.#tidiedEpoch = head.epoch
    const inUse = [...this.#links.values()].flatMap(({ paid }) => (paid ? [paid.rail.index] : []))
    await this.#rails.closeIdle(new Set(inUse), head.epoch)
  }

  /** Signs for the epochs that began, and tells the relays that no more follow. */
  async stop(): Promise<void> {
    this.#stopped = true
    const { chain, network } = this.#options
    if (this.#links.size === 0) return
    const { epoch } = await chain.head()
    const ends = [...this.#links.values()].map(async ({ relay, paid }) => {
      if (!paid || !network.controlPlane.isConnected(relay.nodeKey)) return
      await this.#count(paid, epoch)
      const last = paid.payer.pay(epoch) ?? paid.payer.opening()
      await reserveLink(network.controlPlane, relay.nodeKey, last, true)
    })
    const late = new Promise<void>((resolve) => setTimeout(resolve, STOP_MS).unref())
    await Promise.race([Promise.allSettled(ends), late])
  }

  /** False where the link is gone, or is free by now. Throws what the relay refuses. */
  async #keep({ relay, paid }: Link, head: ChainHead): Promise<boolean> {
    const { network, chain } = this.#options
    const { nodeKey } = relay
    if (!network.controlPlane.isConnected(nodeKey)) return false
    const isHome = network.bootstrapKey && bytesEqual(network.bootstrapKey, nodeKey)
    if (!paid) return !isHome
    const { payer, rail } = paid
    await this.#count(paid, head.epoch)
    const { epochBlocks } = chain.params
    const inEpoch = head.height - (head.epoch - 1) * epochBlocks
    // Half a step ahead, as for traffic, so that the relay need not pause when an epoch begins.
    if (!isHome && inEpoch < epochBlocks / 2) return true
    const voucher = payer.pay(head.epoch)
    if (!voucher && !isHome) return true
    if (!isHome) await this.#rails.topUp(rail, voucher?.voucher.reservations ?? 0)
    const last = voucher ?? payer.opening()
    const reading = await reserveLink(network.controlPlane, nodeKey, last, isHome)
    if (isHome) return false
    payer.begin(reading, (await chain.head()).epoch)
    await this.#save(paid)
    return true
  }

  async #count(paid: NonNullable<Link['paid']>, epoch: number): Promise<void> {
    if (paid.payer.keep(epoch)) await this.#save(paid)
  }

  #save({ rail, payer }: NonNullable<Link['paid']>): Promise<void> {
    const { generation } = rail.record
    return this.#options.journal.put({ rail: rail.index, generation, ...payer.own })
  }

  async #open({ epoch, height }: ChainHead): Promise<void> {
    const { epochBlocks } = this.#options.chain.params
    this.#lookHeight = height + Math.min(LOOK_BLOCKS, Math.ceil(epochBlocks / 4))
    const relay = await this.#choose(epoch)
    if (!relay) return
    const name = bytesToHex(relay.nodeKey)
    try {
      await this.#options.network.connectRelay(relay)
      const paid = relay.reservationPrice > 0n ? await this.#reserve(relay, epoch) : undefined
      this.#refused.delete(name)
      if (this.#stopped) return
      this.#links.set(name, { relay, paid })
      this.#options.logger.info({ relay: name, rail: paid?.rail.index }, 'further link')
      this.#tell()
    } catch (error) {
      this.#note(name, epoch, error)
    }
  }

  /** A relay at random among those that are affordable and did not refuse just now. */
  async #choose(epoch: number): Promise<Offer | undefined> {
    const { network, terms } = this.#options
    const home = network.bootstrapKey
    if (!home) return undefined
    const offers = (await network.offers()).map(({ offer }) => offer)
    const good = offers.filter(
      ({ kind, nodeKey, reservationPrice }) =>
        kind === OfferKind.relay &&
        !bytesEqual(nodeKey, home) &&
        !this.#links.has(bytesToHex(nodeKey)) &&
        reservationPrice <= terms.priceMax &&
        (this.#refused.get(bytesToHex(nodeKey))?.notBefore ?? 0) <= epoch,
    )
    return good.length === 0 ? undefined : good[randomInt(good.length)]
  }

  /** With a rail that is there already, or with a new one. Throws the relay's last refusal. */
  async #reserve(relay: Offer, epoch: number): Promise<NonNullable<Link['paid']>> {
    for (const rail of await this.#rails.candidates(relay, epoch)) {
      try {
        return await this.#begin(relay, rail)
      } catch (error) {
        if (!isRefusedFor(error, RAIL_CODES)) throw error
      }
    }
    return this.#begin(relay, await this.#rails.open(relay))
  }

  async #begin(relay: Offer, rail: Indexed<Rail>): Promise<NonNullable<Link['paid']>> {
    const { chain, network, terms, journal } = this.#options
    const { index, record } = rail
    const own = journal.get(index, record.generation)
    const of = { chainId: chain.chainId, rail: index, generation: record.generation }
    const payer = new ReservationPayer({ ...of, ownerKey: terms.payerKey }, own)
    await this.#rails.topUp(rail, payer.own.units)
    const reading = await reserveLink(network.controlPlane, relay.nodeKey, payer.opening())
    payer.begin(reading, (await chain.head()).epoch)
    const paid = { rail, payer }
    await this.#save(paid)
    return paid
  }

  #drop(name: string): void {
    this.#links.delete(name)
    this.#tell()
  }

  /** The offer names the relays over which the node is reached. */
  #tell(): void {
    this.#options.network.setFurtherRelays(
      [...this.#links.values()].map(({ relay }) => relay.nodeKey),
    )
  }

  #note(name: string, epoch: number, error: unknown): void {
    const tries = (this.#refused.get(name)?.tries ?? 0) + 1
    const wait = Math.min(2 ** (tries - 1), BACKOFF_EPOCHS_MAX)
    this.#refused.set(name, { tries, notBefore: epoch + wait })
    this.#options.logger.warn({ relay: name, wait, reason: reasonOf(error) }, 'no further link')
  }
}
