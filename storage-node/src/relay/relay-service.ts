import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { addressOf, bytesToHex, publicKeyOf } from '@ioex/chain/bytes'
import { NONE, type Rail, SignedVoucherType } from '@ioex/chain/types'
import type { Logger } from 'pino'
import type { ChainClient } from '../node/chain-client.ts'
import { readMessage, writeMessage } from '../transfer/length-prefixed.ts'
import type { MeteredRail, RailMeter, RailMeters } from '../transfer/rail-meter.ts'
import { refusalBytes } from '../transfer/refusal-codec.ts'
import { isTransferError, reasonOf, TransferError } from '../transfer/transfer-error.ts'
import type { ControlPlane } from './control-plane.ts'
import {
  RELAY_PROTOCOL,
  RELAY_REQUEST_BYTES_MAX,
  RELAY_STOP_PROTOCOL,
  RELAY_VOUCHER_PROTOCOL,
  RelayAnswerType,
  type RelayRequest,
  RelayRequestType,
  RelayStopType,
  SESSION_BYTES,
  SIGNED_VOUCHER_BYTES,
  VoucherStreamType,
} from './relay-messages.ts'
import { meteredRail, railPaying } from './paying-rail.ts'
import { splice } from './splice.ts'

const REQUEST_MS = 10_000
const IDLE_MS = 150_000
/** How long the last voucher of an ended session is waited for. */
const LAST_VOUCHER_MS = 5_000
const SESSIONS_MAX = 1024
const SESSIONS_PER_PEER_MAX = 64

export interface RelayServiceOptions {
  /** Secret of the relay's node key. */
  readonly nodeKey: Uint8Array
  readonly chain: ChainClient
  readonly controlPlane: ControlPlane
  readonly meters: RailMeters
  /** Least units per GiB it relays for. */
  readonly unitPrice: bigint
  /** Whether it keeps a link to that node, free or paid; all that are connected where undefined. */
  readonly isLinked?: ((nodeKey: Uint8Array) => boolean) | undefined
  readonly logger: Logger
}

interface Session {
  readonly peer: string
  readonly meter: RailMeter
  readonly stop: AbortController
  readonly vouchersEnded: PromiseWithResolvers<void>
  voucherStream: boolean
}

export interface RelayCounters {
  sessionsTotal: number
  bytesTotal: number
  cutTotal: number
  vouchersTotal: number
  refusedTotal: number
}

/**
 * Relays for payers (PROTOCOL 8): checks the named rail in the chain's state, reaches the
 * destination over the connection that it keeps, and splices the two, counting the payer's leg.
 * It holds nothing but a few buffers for a session, and cannot read what it forwards.
 */
export class RelayService {
  readonly #options: RelayServiceOptions
  readonly #address: Uint8Array
  readonly #sessions = new Map<string, Session>()
  readonly counters: RelayCounters = {
    sessionsTotal: 0,
    bytesTotal: 0,
    cutTotal: 0,
    vouchersTotal: 0,
    refusedTotal: 0,
  }

  constructor(options: RelayServiceOptions) {
    this.#options = options
    this.#address = addressOf(publicKeyOf(options.nodeKey))
  }

  get sessionCount(): number {
    return this.#sessions.size
  }

  async start(): Promise<void> {
    const { controlPlane } = this.#options
    await controlPlane.handle(RELAY_PROTOCOL, (stream, peer) => this.#serve(stream, peer))
    await controlPlane.handle(RELAY_VOUCHER_PROTOCOL, (stream, peer) =>
      this.#takeVouchers(stream, peer),
    )
  }

  /** Cuts all sessions; what they used is written down. */
  async stop(): Promise<void> {
    for (const { stop } of this.#sessions.values()) stop.abort()
    while (this.#sessions.size > 0) await delay(10)
  }

  async #serve(stream: Duplex, peer: Uint8Array): Promise<void> {
    const bounds = { bytesMax: RELAY_REQUEST_BYTES_MAX, timeoutMs: REQUEST_MS }
    const request = await readMessage(stream, RelayRequestType, bounds)
    const opened = await this.#open(request, peer)
    if ('code' in opened) {
      this.counters.refusedTotal += 1
      const value = refusalBytes(opened.code, opened.message)
      await writeMessage(stream, RelayAnswerType, { selector: 1, value })
      stream.end()
      return
    }
    const { session, far } = opened
    const { meter } = session
    const id = bytesToHex(request.session)
    this.#sessions.set(id, session)
    this.counters.sessionsTotal += 1
    try {
      const newest = meter.newest ? [meter.newest] : []
      const value = { usedBytes: meter.usedBytes, stepBytes: meter.stepBytes, newest }
      await writeMessage(stream, RelayAnswerType, { selector: 0, value })
      await this.#run(session, stream, far)
    } catch (error) {
      this.#noteCut(error, meter)
    } finally {
      await Promise.race([
        session.vouchersEnded.promise,
        delay(session.voucherStream ? LAST_VOUCHER_MS : 0),
      ])
      this.#sessions.delete(id)
      await this.#options.meters.release(meter)
    }
  }

  async #run(session: Session, stream: Duplex, far: Duplex): Promise<void> {
    const idle = setTimeout(() => session.stop.abort(), IDLE_MS)
    try {
      await splice(stream, far, {
        meter: session.meter,
        signal: session.stop.signal,
        onBytes: (bytes) => {
          this.counters.bytesTotal += bytes
          idle.refresh()
        },
      })
    } finally {
      clearTimeout(idle)
    }
  }

  #noteCut(error: unknown, meter: RailMeter): void {
    const { rail } = meter.terms
    if (isTransferError(error, 'VOUCHER_LATE') || isTransferError(error, 'LOCK_EXHAUSTED')) {
      this.counters.cutTotal += 1
      this.#options.logger.info({ rail, code: error.code }, 'session cut')
      return
    }
    this.#options.logger.debug({ rail, reason: reasonOf(error) }, 'session ended')
  }

  /** Checks a request and reaches its destination, or says why not. */
  async #open(
    request: RelayRequest,
    peer: Uint8Array,
  ): Promise<{ session: Session; far: Duplex } | { code: string; message: string }> {
    const peerHex = bytesToHex(peer)
    const ofPeer = [...this.#sessions.values()].filter((one) => one.peer === peerHex).length
    const known = this.#sessions.has(bytesToHex(request.session))
    if (known || this.#sessions.size >= SESSIONS_MAX || ofPeer >= SESSIONS_PER_PEER_MAX) {
      return { code: 'RELAY_FULL', message: 'too many sessions: use another relay' }
    }
    const terms = await this.#terms(request)
    if ('code' in terms) return terms
    const meter = await this.#options.meters.acquire(terms)
    try {
      await meter.accept(request.voucher)
      const far = await this.#reach(request, peer)
      const session: Session = {
        peer: peerHex,
        meter,
        stop: new AbortController(),
        vouchersEnded: Promise.withResolvers(),
        voucherStream: false,
      }
      return { session, far }
    } catch (error) {
      await this.#options.meters.release(meter)
      if (!(error instanceof TransferError)) throw error
      const isVoucher = error.code === 'VOUCHER_INVALID'
      const code = isVoucher ? error.code : 'DESTINATION_UNREACHABLE'
      return { code, message: error.message }
    }
  }

  /** The rail as the chain's state has it now, if it may pay for this relay. */
  async #terms(request: RelayRequest): Promise<MeteredRail | { code: string; message: string }> {
    const { chain, unitPrice } = this.#options
    const rail = await railPaying(chain, this.#address, request)
    const refuse = (code: string, message: string) => ({ code, message })
    if (!rail) {
      return refuse('RAIL_UNKNOWN', `rail ${request.rail} does not pay this relay`)
    }
    if (isClosing(rail)) {
      return refuse('RAIL_CLOSING', `rail ${request.rail} is being closed: open another`)
    }
    if (rail.reservationPrice > 0n) {
      return refuse('RAIL_PURPOSE', `rail ${request.rail} pays for a link: open one for traffic`)
    }
    if (rail.contract !== NONE || rail.unitPrice < unitPrice) {
      return refuse('PRICE_TOO_LOW', `this relay asks ${unitPrice} units per GiB`)
    }
    const terms = meteredRail(chain.chainId, request, rail)
    return terms ?? refuse('VOUCHER_INVALID', 'the voucher is not signed by the payer of the rail')
  }

  async #reach(request: RelayRequest, source: Uint8Array): Promise<Duplex> {
    const { controlPlane, isLinked } = this.#options
    if (isLinked && !isLinked(request.destination)) {
      throw new TransferError('PEER_UNREACHABLE', 'this relay keeps no link to that node')
    }
    const far = await controlPlane.openStream(request.destination, RELAY_STOP_PROTOCOL)
    await writeMessage(far, RelayStopType, { session: request.session, source })
    return far
  }

  async #takeVouchers(stream: Duplex, peer: Uint8Array): Promise<void> {
    const bounds = { bytesMax: SESSION_BYTES, timeoutMs: REQUEST_MS }
    const { session: id } = await readMessage(stream, VoucherStreamType, bounds)
    const session = this.#sessions.get(bytesToHex(id))
    if (!session || session.peer !== bytesToHex(peer)) {
      throw new TransferError('PEER_PROTOCOL', 'vouchers for a session that does not exist')
    }
    session.voucherStream = true
    try {
      for (;;) {
        const next = { bytesMax: SIGNED_VOUCHER_BYTES, timeoutMs: IDLE_MS }
        await session.meter.accept(await readMessage(stream, SignedVoucherType, next))
        this.counters.vouchersTotal += 1
      }
    } catch (error) {
      if (isTransferError(error, 'VOUCHER_INVALID')) session.stop.abort()
      stream.destroy()
    } finally {
      session.vouchersEnded.resolve()
    }
  }
}

/** A rail that its payer or node is ending: what is served now might not be paid any more. */
function isClosing(rail: Rail): boolean {
  return rail.askEpoch !== NONE || rail.left
}
