import type { Duplex } from 'node:stream'
import { addressOf, bytesToHex, publicKeyOf } from '@ioex/chain/bytes'
import { NONE, type Rail } from '@ioex/chain/types'
import type { Logger } from 'pino'
import type { ChainClient } from '../node/chain-client.ts'
import { readMessage, writeMessage } from '../transfer/length-prefixed.ts'
import type { MeteredRail, RailMeters } from '../transfer/rail-meter.ts'
import { refusalBytes } from '../transfer/refusal-codec.ts'
import type { ReservationLedger } from '../transfer/reservation-ledger.ts'
import { type ReservationHindrance, ReservationMeter } from '../transfer/reservation-meter.ts'
import { isTransferError, reasonOf, TransferError } from '../transfer/transfer-error.ts'
import type { ControlPlane } from './control-plane.ts'
import { meteredRail, railPaying } from './paying-rail.ts'
import {
  RESERVE_PROTOCOL,
  RESERVE_REQUEST_BYTES,
  ReserveAnswerType,
  type ReserveRequest,
  ReserveRequestType,
} from './reservation-messages.ts'

const REQUEST_MS = 10_000
/** How long a voucher is waited for before a link is cut, as for traffic (PROTOCOL 8). */
const VOUCHER_WAIT_MS = 10_000
/** Paid links of one relay. */
const LINKS_MAX = 1024

export interface ReservationServiceOptions {
  /** Secret of the relay's node key. */
  readonly nodeKey: Uint8Array
  readonly chain: ChainClient
  readonly controlPlane: ControlPlane
  readonly meters: RailMeters
  readonly reserved: ReservationLedger
  /** Least units per reservation unit; 0: links are free and nobody needs to ask. */
  readonly reservationPrice: bigint
  readonly voucherWaitMs?: number | undefined
  readonly logger: Logger
}

interface PaidLink {
  readonly peer: string
  readonly meter: ReservationMeter
  /** Runs while the link is paused because a voucher or money is missing. */
  waiting: NodeJS.Timeout | undefined
}

const HINDRANCES: Readonly<Record<ReservationHindrance, string>> = {
  VOUCHER_LATE: 'sign for what was used first',
  LOCK_EXHAUSTED: 'the lock of the rail is used up: top it up',
}

/**
 * Keeps paid links (PROTOCOL 8): a peer whose free link is with another relay is reached over this
 * one while a rail pays for it, epoch by epoch. A link whose payer is a step behind is paused, and
 * cut after ten seconds. Only the newest voucher counts, so nothing is gained by a longer count.
 */
export class ReservationService {
  readonly #options: ReservationServiceOptions
  readonly #address: Uint8Array
  readonly #links = new Map<string, PaidLink>()
  /** One request or head at a time, so that no two of them count the same epoch. */
  #turn: Promise<unknown> = Promise.resolve()
  #epoch = 0
  #unsubscribe: (() => void)[] = []
  readonly counters = { unitsTotal: 0, cutTotal: 0 }

  constructor(options: ReservationServiceOptions) {
    this.#options = options
    this.#address = addressOf(publicKeyOf(options.nodeKey))
  }

  get linkCount(): number {
    return this.#links.size
  }

  async start(): Promise<void> {
    const { chain, controlPlane } = this.#options
    this.#epoch = (await chain.head()).epoch
    this.#unsubscribe = [
      chain.onHead(({ epoch }) => {
        if (epoch <= this.#epoch) return
        this.#epoch = epoch
        void this.#inTurn(() => this.#keepAll())
      }),
      controlPlane.onDisconnect((gone) => void this.#inTurn(() => this.#end(bytesToHex(gone)))),
    ]
    await controlPlane.handle(RESERVE_PROTOCOL, (stream, peer) => this.#serve(stream, peer))
  }

  async stop(): Promise<void> {
    for (const unsubscribe of this.#unsubscribe) unsubscribe()
    await this.#inTurn(async () => {
      for (const peer of this.#links.keys()) await this.#end(peer)
    })
  }

  /** True while a paid link to this node is in force. */
  covers(nodeKey: Uint8Array): boolean {
    if (this.#options.reservationPrice === 0n) return true
    const link = this.#links.get(bytesToHex(nodeKey))
    return link !== undefined && link.waiting === undefined
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(task)
    this.#turn = done.catch((error: unknown) => {
      this.#options.logger.debug({ reason: reasonOf(error) }, 'paid link')
    })
    return done
  }

  async #serve(stream: Duplex, peer: Uint8Array): Promise<void> {
    const bounds = { bytesMax: RESERVE_REQUEST_BYTES, timeoutMs: REQUEST_MS }
    const request = await readMessage(stream, ReserveRequestType, bounds)
    const answer = await this.#answer(request, bytesToHex(peer)).catch((error: unknown) => {
      if (!(error instanceof TransferError)) throw error
      const code = error.refusal ?? error.code
      return { selector: 1, value: refusalBytes(code, error.message) }
    })
    await writeMessage(stream, ReserveAnswerType, answer)
    stream.end()
  }

  /** The chain is asked before the turn: it may wait for heads, which the others need. */
  async #answer(request: ReserveRequest, peer: string) {
    const terms = await this.#terms(request)
    return this.#inTurn(async () => {
      const link = await this.#linkOf(peer, terms)
      try {
        link.meter.railMeter.refresh(terms)
        await link.meter.accept(request.voucher)
        if (!request.ends) await this.#go(link)
      } catch (error) {
        // A voucher that is not good ends what it was to pay for.
        await this.#end(peer)
        throw error
      }
      const { usedUnits, railMeter } = link.meter
      if (request.ends) await this.#end(peer)
      const newest = railMeter.newest ? [railMeter.newest] : []
      return { selector: 0, value: { units: usedUnits, epoch: this.#epoch, newest } }
    })
  }

  /** The peer's link over this rail, as it runs or a new one. Throws PEER_REFUSED. */
  async #linkOf(peer: string, terms: MeteredRail): Promise<PaidLink> {
    const known = this.#links.get(peer)
    if (known?.meter.railMeter.terms.rail === terms.rail) return known
    const others = [...this.#links.values()]
    if (others.some(({ meter }) => meter.railMeter.terms.rail === terms.rail)) {
      throw refusal('RAIL_BUSY', `rail ${terms.rail} pays for another node's link`)
    }
    if (!known && this.#links.size >= LINKS_MAX) {
      throw refusal('RELAY_FULL', 'too many links: use another relay')
    }
    if (known) await this.#end(peer)
    const { meters, reserved } = this.#options
    const railMeter = await meters.acquire(terms)
    const meter = await ReservationMeter.open(railMeter, reserved)
    const link: PaidLink = { peer, meter, waiting: undefined }
    this.#links.set(peer, link)
    return link
  }

  /** Counts the epoch that runs, after a pause only that one. Throws PEER_REFUSED. */
  async #go(link: PaidLink): Promise<void> {
    const { meter } = link
    const before = meter.usedUnits
    const hindrance = await meter.begin(this.#epoch)
    if (hindrance) throw refusal(hindrance, HINDRANCES[hindrance])
    this.counters.unitsTotal += meter.usedUnits - before
    clearTimeout(link.waiting)
    link.waiting = undefined
  }

  /** A new epoch: links go on as far as they are paid for. */
  async #keepAll(): Promise<void> {
    for (const link of this.#links.values()) {
      if (link.waiting) continue
      const { meter } = link
      const before = meter.usedUnits
      const hindrance = (await this.#isOver(link)) ? 'over' : await meter.keep(this.#epoch)
      this.counters.unitsTotal += meter.usedUnits - before
      if (hindrance === 'over') await this.#end(link.peer)
      else if (hindrance) this.#pause(link, hindrance)
    }
  }

  /** Takes the rail's terms anew; true where its payer or the relay is ending it. */
  async #isOver({ meter }: PaidLink): Promise<boolean> {
    const { railMeter } = meter
    const { terms } = railMeter
    const rail = await this.#options.chain.rail(terms.rail)
    if (!rail?.live || rail.generation !== terms.generation) return true
    railMeter.refresh({ ...terms, lockUnits: rail.lockUnits })
    return isEnding(rail, this.#epoch)
  }

  #pause(link: PaidLink, hindrance: ReservationHindrance): void {
    const { voucherWaitMs = VOUCHER_WAIT_MS, logger } = this.#options
    const { rail } = link.meter.railMeter.terms
    link.waiting = setTimeout(() => {
      this.counters.cutTotal += 1
      logger.info({ rail, code: hindrance }, 'paid link cut')
      void this.#inTurn(() => this.#end(link.peer, link))
    }, voucherWaitMs)
  }

  /** Ends a peer's link; where `link` is given, only that one. */
  async #end(peer: string, link = this.#links.get(peer)): Promise<void> {
    if (!link || this.#links.get(peer) !== link) return
    clearTimeout(link.waiting)
    this.#links.delete(peer)
    await this.#options.meters.release(link.meter.railMeter)
  }

  /** The rail as the chain has it now, if it may pay for a link here. Throws PEER_REFUSED. */
  async #terms(request: ReserveRequest): Promise<MeteredRail> {
    const { chain, reservationPrice } = this.#options
    const rail = await railPaying(chain, this.#address, request)
    if (!rail || rail.contract !== NONE) {
      throw refusal('RAIL_UNKNOWN', `rail ${request.rail} does not pay this relay`)
    }
    if (rail.unitPrice !== 0n) {
      throw refusal('RAIL_PURPOSE', `rail ${request.rail} pays for traffic: open one for the link`)
    }
    if (isEnding(rail, this.#epoch)) {
      throw refusal('RAIL_CLOSING', `rail ${request.rail} is ending: open another`)
    }
    if (rail.reservationPrice < reservationPrice) {
      throw refusal('PRICE_TOO_LOW', `this relay asks ${reservationPrice} units for an epoch`)
    }
    const terms = meteredRail(chain.chainId, request, rail)
    if (terms) return terms
    throw refusal('VOUCHER_INVALID', 'the voucher is not signed by the payer of the rail')
  }
}

function isEnding(rail: Rail, nowEpoch: number): boolean {
  return rail.askEpoch !== NONE || rail.left || nowEpoch >= rail.end
}

function refusal(code: string, message: string): TransferError {
  return new TransferError('PEER_REFUSED', message, { refusal: code })
}

/** True for a relay's refusal with one of these codes. */
export function isRefusedFor(error: unknown, codes: readonly string[]): boolean {
  return isTransferError(error, 'PEER_REFUSED') && codes.includes(error.refusal ?? '')
}
