import { bytesToHex, utf8ToBytes } from '@ioex/chain/bytes'
import type { ChainHead } from '@ioex/chain/light'
import { OfferKind, type Offer, REGION_BYTES_MAX } from '../relay/offer.ts'
import { PeerNetwork } from '../relay/peer-network.ts'
import { RELAY_STOP_BYTES, RELAY_STOP_PROTOCOL, RelayStopType } from '../relay/relay-messages.ts'
import { readMessage } from '../transfer/length-prefixed.ts'
import { NO_LIMITS } from '../transfer/service-limits.ts'
import { HeadRunner } from './head-runner.ts'
import type { PeerNode, PeerNodeOptions, PeerStatus } from './node-interfaces.ts'
import { PaidLinks } from './paid-links.ts'
import { openPeerParts, type PeerParts } from './peer-parts.ts'
import { SlotClaimer } from './slot-claimer.ts'
import { OwnerAccount } from './transactions.ts'

const RELAY_STOP_MS = 10_000

/**
 * Starts a home peer: stores and serves slots, proves and redeems them, takes files from friends.
 * Everything it must remember is in its folder; started again it goes on.
 */
export async function startPeerNode(options: PeerNodeOptions): Promise<PeerNode> {
  const peer = new RunningPeer(options, await openPeerParts(options))
  await peer.start()
  return peer
}

class RunningPeer implements PeerNode {
  readonly nodeKey: Uint8Array
  port: number | undefined
  readonly #options: PeerNodeOptions
  readonly #parts: PeerParts
  readonly #runners: HeadRunner[] = []
  #network: PeerNetwork | undefined
  #links: PaidLinks | undefined
  #claimer: SlotClaimer | undefined
  #reconciledEpoch: number | undefined

  constructor(options: PeerNodeOptions, parts: PeerParts) {
    this.#options = options
    this.#parts = parts
    this.nodeKey = parts.account.publicKey
  }

  get network(): PeerNetwork {
    if (!this.#network) throw new Error('the peer has not started')
    return this.#network
  }

  async start(): Promise<void> {
    const { chain, nodeKey, bootstrap, listen, logger } = this.#options
    const { provider, prover, redeemer, repairRedeemer } = this.#parts
    if (listen) this.port = await provider.listen(listen.host, listen.port)
    this.#network = await PeerNetwork.start({ chainId: chain.chainId, nodeKey, bootstrap, logger })
    await this.#network.handle(RELAY_STOP_PROTOCOL, async (stream) => {
      const bounds = { bytesMax: RELAY_STOP_BYTES, timeoutMs: RELAY_STOP_MS }
      await readMessage(stream, RelayStopType, bounds)
      provider.accept(stream, true)
    })
    this.#network.announce(() => Promise.resolve(this.#offer()))
    const run = (task: (head: ChainHead) => Promise<void>) =>
      this.#runners.push(new HeadRunner(chain, logger, task))
    run((head) => prover.onHead(head))
    run((head) => redeemer.onHead(head))
    run((head) => this.#reconcile(head))
    run(() => repairRedeemer.redeem())
    const claimer = this.#openClaimer(this.#network)
    run((head) => claimer.onHead(head))
    const links = this.#openLinks(this.#network)
    if (links) run((head) => links.onHead(head))
  }

  /** The lottery of last resort: what the node offers, it takes that way too. */
  #openClaimer(network: PeerNetwork): SlotClaimer {
    const { chain, nodeKey, price, unitPrice, logger } = this.#options
    const { store, account } = this.#parts
    this.#claimer = new SlotClaimer({
      chain,
      store,
      account,
      identity: { chainId: chain.chainId, nodeKey },
      price,
      unitPrice,
      offeredBytes: () => this.#offeredBytes(),
      offers: async () => (await network.offers()).map(({ offer }) => offer),
      onClaimed: () => {
        this.#reconciledEpoch = undefined
      },
      logger,
    })
    return this.#claimer
  }

  /** Who rests or has moved enough today is not asked; what it stores it goes on proving. */
  #offeredBytes(): number {
    const { store, gate, leaving } = this.#parts
    return gate.isOpen && !leaving.isLeaving ? store.freeBytes : 0
  }

  /** Links beyond the free one, where the node is told to pay for some. */
  #openLinks(network: PeerNetwork): PaidLinks | undefined {
    const { chain, logger, paidLinks: terms } = this.#options
    if (!terms || terms.count === 0) return undefined
    const account = new OwnerAccount(chain, terms.payerKey)
    const { journal } = this.#parts
    this.#links = new PaidLinks({ chain, network, terms, account, journal, logger })
    return this.#links
  }

  async #reconcile({ epoch }: ChainHead): Promise<void> {
    if (this.#reconciledEpoch === epoch) return
    await this.#parts.keeper.reconcile(epoch)
    this.#reconciledEpoch = epoch
  }

  #offer(): Offer {
    const { price, unitPrice, capacityBytes, limits = NO_LIMITS, tags, identity } = this.#options
    return {
      kind: OfferKind.storage,
      nodeKey: this.nodeKey,
      sequence: 0,
      addresses: this.#addresses().map(utf8ToBytes),
      price,
      unitPrice,
      reservationPrice: 0n,
      freeBytes: this.#offeredBytes(),
      capacityBytes,
      bytesPerDay: limits.bytesPerDay,
      quietFrom: limits.quiet.fromMinute,
      quietTo: limits.quiet.toMinute,
      region: utf8ToBytes(tags?.region ?? '').slice(0, REGION_BYTES_MAX),
      asn: tags?.asn ?? 0,
      payout: identity.payout,
      relays: [],
    }
  }

  #addresses(): readonly string[] {
    const { advertise, listen } = this.#options
    if (advertise) return advertise
    return listen ? [`${listen.host}:${this.port}`] : []
  }

  async status(): Promise<PeerStatus> {
    const { store, counters, prover, redeemer, inbox, account } = this.#parts
    const bootstrap = this.network.bootstrapKey
    return {
      nodeKey: bytesToHex(this.nodeKey),
      nodeAddress: bytesToHex(account.address),
      listening: this.#addresses()[0],
      bootstrap: bootstrap && bytesToHex(bootstrap),
      paidLinks: this.#links?.status() ?? [],
      slots: store.figures(),
      proofs: { ...prover.counters, lastEpoch: prover.lastEpoch },
      redeems: { ...redeemer.counters },
      claims: this.#claimer?.counters ?? { claimed: 0, failed: 0 },
      bytesIn: counters.bytesIn,
      bytesOut: counters.bytesOut,
      inboxFiles: (await inbox.files()).length,
    }
  }

  async leave() {
    const given = await this.#parts.leaving.giveNotice()
    this.network.reannounce()
    return given
  }

  async redeem(): Promise<string[]> {
    const { epoch } = await this.#options.chain.head()
    return this.#parts.redeemer.redeem(epoch, true)
  }

  async stop(): Promise<void> {
    const { account, provider, vouchers, repairs } = this.#parts
    account.stop()
    await this.#links?.stop()
    await this.#network?.stop()
    await provider.stop()
    await Promise.all(this.#runners.map((runner) => runner.stop()))
    await vouchers.close()
    await repairs.close()
  }
}
