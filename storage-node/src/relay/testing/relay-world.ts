import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { addressOf, publicKeyOf } from '@ioex/chain/bytes'
import pino from 'pino'
import { keyOf, UNITS } from '../../../../chain/src/rules/testing/sample-chain.ts'
import { MemoryChain } from '../../node/testing/memory-chain.ts'
import { OwnerAccount } from '../../node/transactions.ts'
import { RailMeters } from '../../transfer/rail-meter.ts'
import { RailPayer } from '../../transfer/rail-payer.ts'
import { openRailLedger, type RailLedger } from '../../transfer/voucher-ledger.ts'
import { ControlPlane } from '../control-plane.ts'
import { PeerNetwork } from '../peer-network.ts'
import { RelayService } from '../relay-service.ts'

export const silent = pino({ level: process.env.TEST_LOG ?? 'silent' })
export const RELAY_PRICE = 50_000_000n

/** A relay with its chain, and peers that nobody can dial. */
export class RelayWorld {
  readonly chain: MemoryChain
  readonly folder: string
  readonly ledger: RailLedger
  readonly meters: RailMeters
  readonly relayPlane: ControlPlane
  readonly service: RelayService
  readonly relayKey = keyOf('relay').publicKey
  readonly owner: OwnerAccount
  readonly #peers: PeerNetwork[] = []

  private constructor(parts: {
    chain: MemoryChain
    folder: string
    ledger: RailLedger
    meters: RailMeters
    relayPlane: ControlPlane
    service: RelayService
  }) {
    this.chain = parts.chain
    this.folder = parts.folder
    this.ledger = parts.ledger
    this.meters = parts.meters
    this.relayPlane = parts.relayPlane
    this.service = parts.service
    this.owner = new OwnerAccount(parts.chain, keyOf('alice').secretKey)
  }

  static async start(voucherWaitMs?: number): Promise<RelayWorld> {
    const chain = new MemoryChain({ nodes: ['relay'], balances: { alice: 100n * UNITS } })
    // Whoever waits for a record to appear waits for heads.
    chain.start(200)
    const folder = await mkdtemp(join(tmpdir(), 'ioex-relay-'))
    const ledger = await openRailLedger(join(folder, 'vouchers'))
    const meters = new RailMeters(ledger, voucherWaitMs)
    const { secretKey: nodeKey } = keyOf('relay')
    const relayPlane = await ControlPlane.start({
      nodeKey,
      listen: ['/ip4/127.0.0.1/tcp/0'],
      connectionsMax: 100,
      logger: silent,
    })
    const service = new RelayService({
      nodeKey,
      chain,
      controlPlane: relayPlane,
      meters,
      unitPrice: RELAY_PRICE,
      logger: silent,
    })
    await service.start()
    return new RelayWorld({ chain, folder, ledger, meters, relayPlane, service })
  }

  /** A peer linked to the relay; it listens nowhere. */
  async peer(name: string): Promise<PeerNetwork> {
    const network = await PeerNetwork.start({
      chainId: this.chain.chainId,
      nodeKey: keyOf(name).secretKey,
      bootstrap: this.relayPlane.multiaddrs(),
      logger: silent,
    })
    this.#peers.push(network)
    await network.linkedBootstrap()
    return network
  }

  /** Opens a relay rail of alice on the chain. */
  async rail(lockUnits: bigint): Promise<RailPayer> {
    const node = addressOf(this.relayKey)
    const outcome = await this.owner.send({
      selector: 3,
      value: { node, lockUnits, unitPrice: RELAY_PRICE, reservationPrice: 0n },
    })
    const creation = outcome.receipts.find(({ body }) => body.selector === 9)
    if (creation?.body.selector !== 9) throw new Error('no rail was opened')
    const { index, generation } = creation.body.value
    const { chainId } = this.chain
    return new RailPayer({
      chainId,
      rail: index,
      generation,
      ownerKey: keyOf('alice').secretKey,
    })
  }

  identity(name: string) {
    return { chainId: this.chain.chainId, nodeKey: keyOf(name).secretKey }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#peers.map((peer) => peer.stop()))
    await this.service.stop()
    await this.relayPlane.stop()
    await this.ledger.close()
    this.chain.stop()
    await rm(this.folder, { recursive: true, force: true })
  }
}

export const keyBytes = (name: string) => publicKeyOf(keyOf(name).secretKey)
