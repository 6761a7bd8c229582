import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import type { SignedVoucher } from '@ioex/chain/types'
import { SignedVoucherType } from '@ioex/chain/types'
import { readMessage, writeMessage } from '../transfer/length-prefixed.ts'
import type { MeterReading, RailPayer } from '../transfer/rail-payer.ts'
import { type RefusalBytes, refusalText } from '../transfer/refusal-codec.ts'
import { type ChannelIdentity, openSecureChannel } from '../transfer/secure-channel.ts'
import type { SecureChannel } from '../transfer/secure-channel.ts'
import { TransferError } from '../transfer/transfer-error.ts'
import type { PeerNetwork } from './peer-network.ts'
import {
  RELAY_ANSWER_BYTES_MAX,
  RELAY_PROTOCOL,
  RELAY_VOUCHER_PROTOCOL,
  RelayAnswerType,
  RelayRequestType,
  type RelayRequest,
  SESSION_BYTES,
  VoucherStreamType,
} from './relay-messages.ts'
import { newTally, type StreamTally } from './stream-duplex.ts'

const ANSWER_MS = 15_000
/** How long the relay may take to store the last voucher; unpaid rests are paid next time. */
const LAST_VOUCHER_MS = 5_000
/** What TLS adds to acknowledged bytes at most, and the handshake, which nobody acknowledges. */
const ENCRYPTION_OVERHEAD = 1.02
const HANDSHAKE_BYTES = 16 * 1024
/** A voucher of this many bytes and the length in front of a message. */
const LENGTH_BYTES = 4

export interface RelayPath {
  readonly network: PeerNetwork
  /** Node key of the relay, which must be connected. */
  readonly relay: Uint8Array
  readonly destination: Uint8Array
  readonly payer: RailPayer
  readonly identity: ChannelIdentity
  /** What the rail's lock pays in all, and what this session may move of it. */
  readonly budget?: { readonly lockBytes: number; readonly wantedBytes: number } | undefined
}

/** A channel over a relay, and what it costs. */
export interface RelayedChannel {
  readonly channel: SecureChannel
  /** Bytes that crossed the payer's leg so far. */
  legBytes(): number
  /** Ends the session and pays what is left of it. */
  close(): Promise<void>
}

/**
 * Opens an end-to-end encrypted channel through a relay, paid by vouchers that follow the
 * destination's acknowledgements (PROTOCOL 8). Throws PEER_REFUSED with the relay's code,
 * RAIL_SPENT where the budget is not left, PEER_UNREACHABLE, PEER_IDENTITY.
 */
export async function openRelayedChannel(path: RelayPath): Promise<RelayedChannel> {
  const { network, relay, payer } = path
  const tally = newTally()
  const stream = await network.controlPlane.openStream(relay, RELAY_PROTOCOL, tally)
  let session: PayingSession | undefined
  try {
    const request = requestOf(path)
    await writeMessage(stream, RelayRequestType, request)
    const answer = await readAnswer(stream)
    const base = {
      written: LENGTH_BYTES + RelayRequestType.serialize(request).length,
      read: LENGTH_BYTES + RelayAnswerType.serialize({ selector: 0, value: answer }).length,
    }
    refuseSpentRail(path, answer.usedBytes)
    session = new PayingSession(payer, tally, base)
    await session.begin(path, request.session, {
      usedBytes: answer.usedBytes,
      stepBytes: answer.stepBytes,
      newest: answer.newest[0],
    })
    const channel = await openSecureChannel(stream, path.identity, {
      expectedPeer: path.destination,
      acknowledged: true,
    })
    session.attach(channel)
    return relayed(channel, stream, session)
  } catch (error) {
    stream.destroy()
    await session?.end()
    throw error
  }
}

/** The relay knows what earlier processes of this payer used; better asked now than cut later. */
function refuseSpentRail({ budget, payer }: RelayPath, usedBytes: number): void {
  if (!budget || usedBytes + budget.wantedBytes <= budget.lockBytes) return
  const message = `the traffic lock of relay rail ${payer.rail.rail} is nearly used up`
  throw new TransferError('RAIL_SPENT', message)
}

function requestOf({ destination, payer }: RelayPath): RelayRequest {
  const { rail, generation } = payer.rail
  return {
    rail,
    generation,
    destination,
    session: new Uint8Array(randomBytes(SESSION_BYTES)),
    voucher: payer.voucher(payer.signedKib),
  }
}

async function readAnswer(stream: Duplex) {
  const bounds = { bytesMax: RELAY_ANSWER_BYTES_MAX, timeoutMs: ANSWER_MS }
  const answer = await readMessage(stream, RelayAnswerType, bounds)
  if (answer.selector === 0) {
    return answer.value as { usedBytes: number; stepBytes: number; newest: SignedVoucher[] }
  }
  const { code, message } = refusalText(answer.value as RefusalBytes)
  throw new TransferError('PEER_REFUSED', `the relay refused: ${message}`, { refusal: code })
}

function relayed(channel: SecureChannel, stream: Duplex, session: PayingSession): RelayedChannel {
  return {
    channel,
    legBytes: () => session.legBytes,
    close: async () => {
      await channel.frames.close()
      await session.end()
      stream.destroy()
    },
  }
}

/** Counts the payer's leg as the relay does, and signs for what arrived, one step ahead. */
class PayingSession {
  readonly #payer: RailPayer
  readonly #tally: StreamTally
  readonly #base: { written: number; read: number }
  #vouchers: Duplex | undefined
  #channel: SecureChannel | undefined
  #countedBytes = 0
  #open = false

  constructor(payer: RailPayer, tally: StreamTally, base: { written: number; read: number }) {
    this.#payer = payer
    this.#tally = tally
    this.#base = base
  }

  get legBytes(): number {
    return this.#tally.read - this.#base.read + this.#tally.written - this.#base.written
  }

  async begin(
    { network, relay }: RelayPath,
    session: Uint8Array,
    reading: MeterReading,
  ): Promise<void> {
    const owed = this.#payer.begin(reading)
    this.#open = true
    this.#vouchers = await network.controlPlane.openStream(relay, RELAY_VOUCHER_PROTOCOL)
    await writeMessage(this.#vouchers, VoucherStreamType, { session })
    if (owed) this.#send(owed)
    this.#tally.onChange = () => this.#count()
  }

  attach(channel: SecureChannel): void {
    this.#channel = channel
    channel.frames.onAcknowledged(() => this.#count())
  }

  /** Pays the rest and lets the relay know that no voucher follows. */
  async end(): Promise<void> {
    if (!this.#open) return
    this.#open = false
    this.#tally.onChange = undefined
    const counted = this.#countPayable()
    const last = this.#payer.end() ?? counted
    const vouchers = this.#vouchers
    if (!vouchers) return
    if (last) this.#send(last)
    vouchers.end()
    vouchers.resume()
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => vouchers.destroy(), LAST_VOUCHER_MS)
      vouchers.once('close', () => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  #count(): void {
    const voucher = this.#countPayable()
    if (voucher) this.#send(voucher)
  }

  /**
   * Sent bytes are payable when acknowledged, plus one step; received ones at once, for here
   * the payer is the receiver.
   */
  #countPayable(): SignedVoucher | undefined {
    const acknowledged = this.#channel?.frames.acknowledgedBytes ?? 0
    const arrived = acknowledged * ENCRYPTION_OVERHEAD + HANDSHAKE_BYTES + this.#payer.stepBytes
    const written = Math.min(this.#tally.written - this.#base.written, Math.floor(arrived))
    const payable = this.#tally.read - this.#base.read + written
    const more = payable - this.#countedBytes
    if (more <= 0) return undefined
    this.#countedBytes = payable
    return this.#payer.owe(more)
  }

  #send(voucher: SignedVoucher): void {
    const stream = this.#vouchers
    if (!stream?.writable) return
    // A failed voucher stream shows at the session itself: the relay pauses and cuts it.
    writeMessage(stream, SignedVoucherType, voucher).catch(() => {})
  }
}
