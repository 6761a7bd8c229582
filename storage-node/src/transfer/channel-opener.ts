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

/** Rails of one relay that are tried before a transfer gives up. */
const RAIL_ATTEMPTS = 8
const BYTES_PER_GIB = 1n << 30n

/** A relay rail as this process uses it. */
interface RelayRail {
  readonly payer: RailPayer
  lockBytes: number
  plannedBytes: number
  /** The relay said that its lock cannot pay what was asked. */
  spent: boolean
}

/** A channel to a peer, however it was reached. */
export interface OpenChannel {
  readonly channel: SecureChannel
  /** IP address that a direct channel goes to; none where a relay carries it. */
  readonly address: string | undefined
  /** Set where a relay carries it. */
  readonly relay:
    | {
        readonly nodeKey: Uint8Array
        readonly rail: number
        /** What was set aside for this channel of the rail's traffic lock. */
        readonly plannedBytes: number
        legBytes(): number
      }
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
  /** Rails in use by this process: payer, and bytes that its open sessions may still move. */
  readonly #rails = new Map<string, RelayRail>()
  /** One choice of a rail per relay at a time, so that no two plan the same budget. */
  readonly #choosing = new Map<string, Promise<RelayRail>>()

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
        return await openDirectChannel(this.#options.identity, peer.nodeKey, address)
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

  async #openRelayed(peer: Offer, relay: Offer, bytes: number): Promise<OpenChannel> {
    const { network, identity } = this.#options
    await network.connectRelay(relay)
    for (let attempt = 1; ; attempt++) {
      const rail = await this.#reserve(relay, bytes)
      const release = () => {
        rail.plannedBytes -= bytes
      }
      try {
        const session = await openRelayedChannel({
          network,
          relay: relay.nodeKey,
          destination: peer.nodeKey,
          payer: rail.payer,
          identity,
          budget: { lockBytes: rail.lockBytes, wantedBytes: bytes },
        })
        return {
          channel: session.channel,
          address: undefined,
          relay: {
            nodeKey: relay.nodeKey,
            rail: rail.payer.rail.rail,
            plannedBytes: bytes,
            legBytes: session.legBytes,
          },
          close: () => session.close().finally(release),
        }
      } catch (error) {
        release()
        if (!isRailSpent(error) || attempt === RAIL_ATTEMPTS) throw error
        rail.spent = true
      }
    }
  }

  /** A rail to the relay with its budget for these bytes set aside. */
  #reserve(relay: Offer, bytes: number): Promise<RelayRail> {
    const key = bytesToHex(relay.nodeKey)
    const before = this.#choosing.get(key)?.catch(() => {}) ?? Promise.resolve()
    const choosing = before.then(async () => {
      const rail = await this.#findRail(relay, bytes)
      rail.plannedBytes += bytes
      return rail
    })
    this.#choosing.set(key, choosing)
    return choosing
  }

  /** One of the owner's rails that can still pay the bytes as far as we know, or a new one. */
  async #findRail(relay: Offer, bytes: number): Promise<RelayRail> {
    const { chain, account } = this.#options
    const node = await chain.node(addressOf(relay.nodeKey))
    if (!node) throw new TransferError('NO_RELAY_RAIL', 'the relay is not registered on the chain')
    for (const { index, record } of await chain.railsOfPayer(account.address)) {
      if (record.node !== node.index || record.contract !== NONE) continue
      if (!isUsable(record, relay)) continue
      const rail = this.#railOf(index, record)
      if (!rail.spent && leftBytes(rail, record) >= bytes) return rail
    }
    const { index } = await this.#openRail(relay, bytes)
    const record = await chain.rail(index)
    if (!record) throw new TransferError('NO_RELAY_RAIL', 'the new relay rail is not on the chain')
    return this.#railOf(index, record)
  }

  #railOf(index: number, record: Rail): RelayRail {
    const key = `${index}-${record.generation}`
    const known = this.#rails.get(key)
    const lockBytes = bytesPaidBy(record)
    if (known) {
      known.lockBytes = lockBytes
      return known
    }
    const { chain, ownerKey } = this.#options
    const terms = { chainId: chain.chainId, rail: index, generation: record.generation, ownerKey }
    const rail = { payer: new RailPayer(terms), lockBytes, plannedBytes: 0, spent: false }
    this.#rails.set(key, rail)
    return rail
  }

  async #openRail(relay: Offer, bytes: number): Promise<{ index: number; generation: number }> {
    const { account, logger } = this.#options
    const traffic = Math.max(RELAY_RAIL_BYTES_MIN, Math.ceil(bytes * 1.1))
    const value = {
      node: addressOf(relay.nodeKey),
      lockUnits: trafficUnits(relay.unitPrice, traffic),
      unitPrice: relay.unitPrice,
      // Traffic alone: the rail that pays for a link has another signer.
      reservationPrice: 0n,
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

/** A channel to the node with this key at "host:port" of its offer. */
export async function openDirectChannel(
  identity: ChannelIdentity,
  nodeKey: Uint8Array,
  address: string,
): Promise<OpenChannel> {
  const socket = await dial(address)
  const { remoteAddress } = socket
  const channel = await openSecureChannel(socket, identity, { expectedPeer: nodeKey })
  const close = () => channel.frames.close()
  return { channel, address: remoteAddress, relay: undefined, close }
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
  const isForTraffic = rail.unitPrice >= relay.unitPrice && rail.reservationPrice === 0n
  return rail.live && rail.askEpoch === NONE && !rail.left && isForTraffic
}

/** Bytes that the rail's traffic lock pays in all. */
function bytesPaidBy({ lockUnits, unitPrice }: Rail): number {
  if (unitPrice === 0n) return Number.MAX_SAFE_INTEGER
  return Number((lockUnits * BYTES_PER_GIB) / unitPrice)
}

/**
 * What is left of the lock after everything that we know of: redeemed, signed, or planned by open
 * sessions. What an earlier process signed only the relay can tell, at the start of a session.
 */
function leftBytes({ payer, lockBytes, plannedBytes }: RelayRail, record: Rail): number {
  return lockBytes - Math.max(record.kib, payer.signedKib) * 1024 - plannedBytes
}

function isRailSpent(error: unknown): boolean {
  if (isTransferError(error, 'RAIL_SPENT')) return true
  if (!isTransferError(error, 'PEER_REFUSED')) return false
  const codes = ['RAIL_UNKNOWN', 'RAIL_CLOSING', 'PRICE_TOO_LOW', 'RAIL_PURPOSE']
  return codes.includes(error.refusal ?? '')
}
