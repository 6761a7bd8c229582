import { mkdir } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { bytesEqual, bytesToHex, utf8ToBytes } from '@ioex/chain/bytes'
import { NodeRole } from '@ioex/chain/types'
import type { Logger } from 'pino'
import { ControlPlane } from '../relay/control-plane.ts'
import {
  announceOffer,
  DIRECTORY_PROTOCOL,
  fetchOffers,
  OfferDirectory,
  serveDirectory,
} from '../relay/directory.ts'
import {
  OFFER_REPEAT_MS,
  OfferKind,
  PLAIN_TERMS,
  signOffer,
  type SignedOffer,
} from '../relay/offer.ts'
import { RelayService } from '../relay/relay-service.ts'
import { ReservationService } from '../relay/reservation-service.ts'
import { RailMeters } from '../transfer/rail-meter.ts'
import { ReservationLedger } from '../transfer/reservation-ledger.ts'
import { reasonOf } from '../transfer/transfer-error.ts'
import { openRailLedger, type RailLedger } from '../transfer/voucher-ledger.ts'
import { HeadRunner } from './head-runner.ts'
import { NodeAccount } from './node-account.ts'
import type { BootstrapNode, BootstrapNodeOptions, BootstrapStatus } from './node-interfaces.ts'
import { Redeemer } from './redeemer.ts'

const CONNECTIONS_MAX = 4096
const REDIAL_MS = 5_000

/** Starts a bootstrap node: a directory of offers and a paid relay. */
export async function startBootstrapNode(options: BootstrapNodeOptions): Promise<BootstrapNode> {
  const { chain, dataDir, nodeKey, logger, listen } = options
  await mkdir(dataDir, { recursive: true })
  const vouchers = await openRailLedger(join(dataDir, 'vouchers'))
  const reserved = await ReservationLedger.open(join(dataDir, 'reserved'))
  const controlPlane = await ControlPlane.start({
    nodeKey,
    listen: [`/${isIP(listen.host) === 6 ? 'ip6' : 'ip4'}/${listen.host}/tcp/${listen.port}`],
    advertise: options.advertise,
    connectionsMax: CONNECTIONS_MAX,
    logger,
  })
  const account = new NodeAccount(chain, nodeKey)
  const directory = new OfferDirectory(chain.chainId)
  const meters = new RailMeters(vouchers)
  const { unitPrice, reservationPrice, voucherWaitMs } = options
  const common = { nodeKey, chain, controlPlane, meters, logger }
  const paid = { ...common, reserved, reservationPrice, voucherWaitMs }
  const reservations = new ReservationService(paid)
  const isLinked = (peer: Uint8Array) =>
    isFreeLink(directory, peer, account.publicKey) || reservations.covers(peer)
  const relay = new RelayService({ ...common, unitPrice, isLinked })
  await relay.start()
  await reservations.start()
  const node = new RunningBootstrap(options, {
    controlPlane,
    vouchers,
    reserved,
    relay,
    reservations,
    account,
    directory,
    redeemer: new Redeemer({ chain, account, vouchers, reserved, logger }),
    former: (options.formerKeys ?? []).map((key) => {
      const old = new NodeAccount(chain, key)
      return new Redeemer({ chain, account: old, vouchers, reserved, logger })
    }),
  })
  await node.start()
  return node
}

/**
 * The first relay that a node names in its offer is its free link. Offers are signed, the newest
 * counts, and all bootstrap nodes know it, so a node has one free link that others can find.
 */
function isFreeLink(directory: OfferDirectory, peer: Uint8Array, own: Uint8Array): boolean {
  const [first] = directory.get(peer)?.offer.relays ?? []
  return first === undefined || bytesEqual(first, own)
}

interface BootstrapParts {
  readonly controlPlane: ControlPlane
  readonly vouchers: RailLedger
  readonly reserved: ReservationLedger
  readonly relay: RelayService
  readonly reservations: ReservationService
  readonly account: NodeAccount
  readonly directory: OfferDirectory
  readonly redeemer: Redeemer
  /** One for each key that the node had before. */
  readonly former: readonly Redeemer[]
}

class RunningBootstrap implements BootstrapNode {
  readonly nodeKey: Uint8Array
  readonly #options: BootstrapNodeOptions
  readonly #parts: BootstrapParts
  readonly #logger: Logger
  readonly #others = new Map<string, Uint8Array>()
  /** Node keys (hex) of the bootstrap nodes on the chain. */
  #registered: ReadonlySet<string> = new Set()
  readonly #timers: NodeJS.Timeout[] = []
  #runner: HeadRunner | undefined
  #meeting: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(options: BootstrapNodeOptions, parts: BootstrapParts) {
    this.#options = options
    this.#parts = parts
    this.#logger = options.logger
    this.nodeKey = parts.account.publicKey
  }

  get multiaddrs(): readonly string[] {
    return this.#parts.controlPlane.multiaddrs()
  }

  async start(): Promise<void> {
    const { controlPlane, directory, redeemer, former } = this.#parts
    const server = {
      directory,
      isBootstrap: (key: Uint8Array) => this.#isBootstrap(key),
      onNews: (signed: SignedOffer, from: Uint8Array) => void this.#tell(signed, from),
    }
    await controlPlane.handle(DIRECTORY_PROTOCOL, (stream, peer) =>
      serveDirectory(server, stream, peer),
    )
    this.#announceSelf()
    this.#timers.push(
      setInterval(() => this.#announceSelf(), OFFER_REPEAT_MS),
      setInterval(() => this.#meetOthers(), REDIAL_MS),
    )
    this.#meetOthers()
    this.#runner = new HeadRunner(this.#options.chain, this.#logger, async (head) => {
      for (const each of [redeemer, ...former]) await each.onHead(head)
    })
  }

  /** Whoever is registered on the chain counts as well, though this node was not told of it. */
  #isBootstrap(key: Uint8Array): boolean {
    const name = bytesToHex(key)
    if (this.#others.has(name)) return true
    if (!this.#registered.has(name)) return false
    this.#others.set(name, key)
    return true
  }

  async #readRegistry(): Promise<void> {
    const nodes = await this.#options.chain.nodesByRole(NodeRole.bootstrap)
    this.#registered = new Set(nodes.map(({ record }) => bytesToHex(record.nodeKey)))
  }

  /** Its own entry in the directory: where it relays and for how much. */
  #announceSelf(): void {
    const { chain, nodeKey, unitPrice, reservationPrice } = this.#options
    const signed = signOffer(
      chain.chainId,
      {
        kind: OfferKind.relay,
        nodeKey: this.nodeKey,
        sequence: Date.now(),
        addresses: this.multiaddrs.slice(0, 4).map(utf8ToBytes),
        price: 0n,
        unitPrice,
        reservationPrice,
        freeBytes: 0,
        ...PLAIN_TERMS,
        relays: [],
      },
      nodeKey,
    )
    this.#parts.directory.add(signed, Date.now())
    void this.#tell(signed, this.nodeKey)
  }

  /** Connects to bootstrap nodes it is not connected to and takes what they know. */
  #meetOthers(): void {
    this.#meeting = this.#meeting.then(async () => {
      await this.#readRegistry().catch((error: unknown) => {
        this.#logger.debug({ reason: reasonOf(error) }, 'bootstrap registry not read')
      })
      for (const address of this.#options.bootstrap) {
        if (this.#stopped) return
        await this.#meet(address).catch((error: unknown) => {
          this.#logger.debug({ address, reason: reasonOf(error) }, 'bootstrap node not reached')
        })
      }
    })
  }

  /** A dial to a node that is connected gives that connection. */
  async #meet(address: string): Promise<void> {
    const { controlPlane, directory } = this.#parts
    const key = await controlPlane.dial(address)
    const isNew = !this.#others.has(bytesToHex(key))
    this.#others.set(bytesToHex(key), key)
    if (!isNew) return
    const open = () => controlPlane.openStream(key, DIRECTORY_PROTOCOL)
    for (const signed of await fetchOffers(this.#options.chain.chainId, open)) {
      directory.add(signed, Date.now())
    }
    for (const signed of directory.all()) await announceOffer(await open(), signed)
  }

  /** Passes a new offer on to the other bootstrap nodes; they pass on only what is new to them. */
  async #tell(signed: SignedOffer, from: Uint8Array): Promise<void> {
    const { controlPlane } = this.#parts
    for (const [name, key] of this.#others) {
      if (bytesEqual(key, from)) continue
      try {
        await announceOffer(await controlPlane.openStream(key, DIRECTORY_PROTOCOL), signed)
      } catch (error) {
        this.#others.delete(name)
        this.#logger.debug({ reason: reasonOf(error) }, 'bootstrap node lost')
      }
    }
  }

  status(): BootstrapStatus {
    const { controlPlane, directory, relay, reservations, account } = this.#parts
    const { redeemer, former } = this.#parts
    const redeems = { sent: 0, refused: 0 }
    for (const { counters } of [redeemer, ...former]) {
      redeems.sent += counters.sent
      redeems.refused += counters.refused
    }
    const { sessionsTotal, bytesTotal, cutTotal, vouchersTotal } = relay.counters
    return {
      nodeKey: bytesToHex(this.nodeKey),
      nodeAddress: bytesToHex(account.address),
      multiaddrs: this.multiaddrs,
      connections: controlPlane.connectionCount,
      offers: directory.size,
      relay: { sessions: relay.sessionCount, sessionsTotal, bytesTotal, cutTotal, vouchersTotal },
      reservations: { links: reservations.linkCount, ...reservations.counters },
      redeems,
    }
  }

  async redeem(): Promise<string[]> {
    const { epoch } = await this.#options.chain.head()
    const { redeemer, former } = this.#parts
    const ids = await Promise.all([redeemer, ...former].map((each) => each.redeem(epoch, true)))
    return ids.flat()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    for (const timer of this.#timers) clearInterval(timer)
    const { relay, reservations, reserved, controlPlane, vouchers, account, former } = this.#parts
    for (const each of [{ account }, ...former]) each.account.stop()
    await relay.stop()
    await reservations.stop()
    await controlPlane.stop()
    await this.#meeting
    await this.#runner?.stop()
    await vouchers.close()
    await reserved.close()
  }
}
