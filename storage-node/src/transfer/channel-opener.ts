import { connect } from 'node:net'
import { addressOf, bytesEqual, bytesToHex } from '@ioex/chain/bytes'
import { NONE, PayloadKind, type Rail, ReceiptKind } from '@ioex/chain/types'
import type { Logger } from 'pino'
import type { ChainClient } from '../node/chain-client.ts'
import { trafficUnits } from '../node/rail-settlement.ts'
import type { OwnerAccount } from '../node/transactions.ts'
import { addressesOf, type Offer, OfferKind } from '../relay/offer.ts'
import type { PeerNetwork } from '../relay/peer-network.ts'
import { openRelayedChannel } from '../relay/relay-session.ts'
import { RailPayer } from './rail-payer.ts'
import { type ChannelIdentity, openSecureChannel, type SecureChannel } from './secure-channel.ts'
import { isTransferError, reasonOf, TransferError } from './transfer-error.ts'

const CONNECT_MS = 8_000
/** Traffic that a new relay rail can pay at least; the rest comes back when it is closed. */
const RELAY_RAIL_BYTES_MIN = 64 * 1024 * 1024
/** CreationReceipt.kind of a relay rail. */
const RELAY_RAIL_KIND = 3

/** A channel to a peer, however it was reached. */
export interface OpenChannel {
  readonly channel: SecureChannel
  /** Set where a relay carries it. */
  readonly relay:
    | { readonly nodeKey: Uint8Array; readonly rail: number; legBytes(): number }
    | undefined
  close(): Promise<void>
}

export interface ChannelOpenerOptions {
  readonly chain: ChainClient
  readonly network: PeerNetwork
  readonly identity: ChannelIdentity
  /** Pays relays; secret of the owner key. */
  readonly ownerKey: Uint8Array
  readonly account: OwnerAccount
  readonly logger: Logger
}

/**
 * Reaches peers: directly where they can be dialled, otherwise over a relay that the owner pays.
 * Relay rails are opened on the chain when first needed, kept and used again.
 */
export class ChannelOpener {
  readonly #options: ChannelOpenerOptions
  readonly #payers = new Map<string, RailPayer>()
  /** One opening per relay at a time, so that parallel transfers share its rail. */
  readonly #opening = new Map<string, Promise<RailPayer>>()

  constructor(options: ChannelOpenerOptions) {
    this.#options = options
  }

  /**
   * Opens a channel for about `bytes` of traffic. `relays` are the known offers of relays. Throws
   * PEER_UNREACHABLE with all that was tried.
   */
  async open(peer: Offer, relays: readonly Offer[], bytes: number): Promise<OpenChannel> {
    const failures: string[] = []
    for (const address of addressesOf(peer)) {
      try {
        return await this.#openDirect(peer, address)
      } catch (error) {
        failures.push(`${address}: ${reasonOf(error)}`)
      }
    }
    for (const key of peer.relays) {
      const relay = relays.find((offer) => bytesEqual(offer.nodeKey, key))
      if (relay?.kind !== OfferKind.relay) continue
      try {
        return await this.#openRelayed(peer, relay, bytes)
      } catch (error) {
        failures.push(`relay ${bytesToHex(key).slice(0, 12)}: ${reasonOf(error)}`)
      }
    }
    const tried =
      failures.length === 0 ? 'it has no address and no known relay' : failures.join('; ')
    const name = bytesToHex(peer.nodeKey).slice(0, 12)
    throw new TransferError('PEER_UNREACHABLE', `peer ${name} cannot be reached: ${tried}`)
  }

  async #openDirect(peer: Offer, address: string): Promise<OpenChannel> {
    const socket = await dial(address)
    const { identity } = this.#options
    const channel = await openSecureChannel(socket, identity, { expectedPeer: peer.nodeKey })
    return { channel, relay: undefined, close: () => channel.frames.close() }
  }

  async #openRelayed(peer: Offer, relay: Offer, bytes: number): Promise<OpenChannel> {
    const { network, identity } = this.#options
    await network.connectRelay(relay)
    for (let attempt = 1; ; attempt++) {
      const payer = await this.#payerFor(relay, bytes)
      try {
        const session = await openRelayedChannel({
          network,
          relay: relay.nodeKey,
          destination: peer.nodeKey,
          payer,
          identity,
        })
        const { legBytes } = session
        return {
          channel: session.channel,
          relay: { nodeKey: relay.nodeKey, rail: payer.rail.rail, legBytes },
          close: () => session.close(),
        }
      } catch (error) {
        if (!isRailSpent(error) || attempt === 2) throw error
        this.#payers.delete(bytesToHex(relay.nodeKey))
      }
    }
  }

  #payerFor(relay: Offer, bytes: number): Promise<RailPayer> {
    const key = bytesToHex(relay.nodeKey)
    const before = this.#opening.get(key)?.catch(() => {}) ?? Promise.resolve()
    const opening = before.then(() => this.#findPayer(relay, key, bytes))
    this.#opening.set(key, opening)
    return opening
  }

  /** The rail in use if it can pay the bytes, another one of the owner's, or a new one. */
  async #findPayer(relay: Offer, key: string, bytes: number): Promise<RailPayer> {
    const { chain, account, ownerKey } = this.#options
    const wanted = trafficUnits(relay.unitPrice, bytes)
    const known = this.#payers.get(key)
    if (known) {
      const rail = await chain.rail(known.rail.rail)
      if (rail && isUsable(rail, relay) && left(rail, known.signedKib) >= wanted) return known
    }
    const node = await chain.node(addressOf(relay.nodeKey))
    if (!node) throw new TransferError('NO_RELAY_RAIL', 'the relay is not registered on the chain')
    const own = await chain.railsOfPayer(account.address)
    const found = own.find(
      ({ record }) =>
        record.node === node.index &&
        record.contract === NONE &&
        isUsable(record, relay) &&
        left(record, record.kib) >= wanted,
    )
    const { index, generation } = found
      ? { index: found.index, generation: found.record.generation }
      : await this.#openRail(relay, bytes)
    const payer = new RailPayer({ chainId: chain.chainId, rail: index, generation, ownerKey })
    this.#payers.set(key, payer)
    return payer
  }

  async #openRail(relay: Offer, bytes: number): Promise<{ index: number; generation: number }> {
    const { account, logger } = this.#options
    const traffic = Math.max(RELAY_RAIL_BYTES_MIN, Math.ceil(bytes * 1.1))
    const value = {
      node: addressOf(relay.nodeKey),
      lockUnits: trafficUnits(relay.unitPrice, traffic),
      unitPrice: relay.unitPrice,
      reservationPrice: relay.reservationPrice,
    }
    const { receipts } = await account.send({ selector: PayloadKind.openRelay, value })
    for (const { body } of receipts) {
      if (body.selector !== ReceiptKind.creation || body.value.kind !== RELAY_RAIL_KIND) continue
      const { index, generation } = body.value
      logger.info({ rail: index, lockUnits: String(value.lockUnits) }, 'relay rail opened')
      return { index, generation }
    }
    throw new TransferError('NO_RELAY_RAIL', 'the chain opened no relay rail')
  }
}

/** Opens a TCP connection to "host:port" of an offer. */
async function dial(address: string) {
  const at = address.lastIndexOf(':')
  const port = Number(address.slice(at + 1))
  const host = address.slice(0, at).replace(/^\[|\]$/g, '')
  if (at < 1 || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new TransferError('PEER_UNREACHABLE', `"${address}" is no host and port`)
  }
  const socket = connect({ host, port, noDelay: true })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(() => reject(new Error('no answer in time')), CONNECT_MS)
  socket.once('connect', resolve).once('error', reject)
  try {
    await promise
  } catch (error) {
    socket.destroy()
    throw new TransferError('PEER_UNREACHABLE', reasonOf(error), { cause: error })
  } finally {
    clearTimeout(timer)
    socket.off('connect', resolve).off('error', reject)
    socket.on('error', () => {})
  }
  return socket
}

function isUsable(rail: Rail, relay: Offer): boolean {
  return rail.live && rail.askEpoch === NONE && !rail.left && rail.unitPrice >= relay.unitPrice
}

/** Units of the rail's lock that vouchers have not used. */
function left(rail: Rail, signedKib: number): bigint {
  return rail.lockUnits - trafficUnits(rail.unitPrice, signedKib * 1024)
}

function isRailSpent(error: unknown): boolean {
  if (!isTransferError(error, 'PEER_REFUSED')) return false
  return ['RAIL_UNKNOWN', 'RAIL_CLOSING', 'PRICE_TOO_LOW'].includes(error.refusal ?? '')
}
