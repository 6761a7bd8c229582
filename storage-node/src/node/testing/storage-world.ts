import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { publicKeyOf } from '@ioex/chain/bytes'
import { installNativeCrypto } from '@ioex/chain/native'
import pino, { type Logger } from 'pino'
import {
  type KeyPair,
  keyOf,
  type SampleOptions,
  UNITS,
} from '../../../../chain/src/rules/testing/sample-chain.ts'
import { createStorageClient } from '../../scheduler/storage-client.ts'
import type { StorageClient, StorageClientOptions } from '../../scheduler/storage-interfaces.ts'
import { startBootstrapNode } from '../bootstrap-node.ts'
import type {
  BootstrapNode,
  BootstrapNodeOptions,
  PeerNode,
  PeerNodeOptions,
} from '../node-interfaces.ts'
import { startPeerNode } from '../peer-node.ts'
import { bindNode } from '../transactions.ts'
import { MemoryChain } from './memory-chain.ts'

export const PRICE = 100_000_000n
export const UNIT_PRICE = 10_000_000n
export const RELAY_PRICE = 50_000_000n
const GIB = 2 ** 30

/** A whole storage network in one process: real disks, sockets and TLS, an in-process chain. */
export class StorageWorld {
  readonly chain: MemoryChain
  readonly folder: string
  readonly bootstraps: BootstrapNode[] = []
  readonly peers = new Map<string, PeerNode>()
  readonly #clients: StorageClient[] = []
  readonly logger: Logger

  private constructor(chain: MemoryChain, folder: string) {
    this.chain = chain
    this.folder = folder
    this.logger = pino({ level: process.env.TEST_LOG ?? 'silent' })
  }

  static async start(options: SampleOptions = {}): Promise<StorageWorld> {
    await installNativeCrypto()
    const chain = new MemoryChain({
      nodes: ['boot-0', 'boot-1'],
      balances: { alice: 1000n * UNITS, bob: 1000n * UNITS },
      ...options,
    })
    const folder = await mkdtemp(join(tmpdir(), 'ioex-storage-'))
    const world = new StorageWorld(chain, folder)
    await world.startBootstrap('boot-0')
    // Beacons exist from the first epoch with main headers on.
    chain.runEpochs(2)
    chain.start(100)
    return world
  }

  get bootstrapAddresses(): string[] {
    return this.bootstraps.flatMap((node) => [...node.multiaddrs])
  }

  async startBootstrap(
    name: string,
    changes: Partial<BootstrapNodeOptions> = {},
  ): Promise<BootstrapNode> {
    const node = await startBootstrapNode({
      dataDir: join(this.folder, name),
      nodeKey: keyOf(name).secretKey,
      chain: this.chain,
      bootstrap: this.bootstrapAddresses,
      listen: { host: '127.0.0.1', port: 0 },
      unitPrice: RELAY_PRICE,
      reservationPrice: 0n,
      logger: this.logger.child({ node: name }),
      ...changes,
    })
    this.bootstraps.push(node)
    return node
  }

  /** Starts a peer, again from its folder if it ran before. */
  async startPeer(name: string, changes: Partial<PeerNodeOptions> = {}): Promise<PeerNode> {
    const key = keyOf(name)
    const owner = keyOf(`${name}-owner`)
    const { chainId } = this.chain
    const peer = await startPeerNode({
      dataDir: join(this.folder, name),
      nodeKey: key.secretKey,
      identity: bindNode(chainId, owner.secretKey, key.publicKey, owner.address),
      chain: this.chain,
      bootstrap: this.bootstrapAddresses,
      listen: { host: '127.0.0.1', port: 0 },
      capacityBytes: GIB,
      price: PRICE,
      unitPrice: UNIT_PRICE,
      friends: [],
      logger: this.logger.child({ node: name }),
      ...changes,
    })
    this.peers.set(name, peer)
    await peer.network.linkedBootstrap()
    return peer
  }

  async startPeers(count: number, changes: Partial<PeerNodeOptions> = {}): Promise<void> {
    const names = Array.from({ length: count }, (_, i) => `peer-${i}`)
    await Promise.all(names.map((name) => this.startPeer(name, changes)))
  }

  async stopPeer(name: string): Promise<void> {
    const peer = this.peers.get(name)
    this.peers.delete(name)
    await peer?.stop()
  }

  /** Stops the peers with these node keys (hex); gives their names. */
  async stopPeersByKey(keys: readonly string[]): Promise<string[]> {
    const stopped: string[] = []
    for (const [name, peer] of this.peers) {
      if (!keys.includes(Buffer.from(peer.nodeKey).toString('hex'))) continue
      await this.stopPeer(name)
      stopped.push(name)
    }
    return stopped
  }

  async client(
    folder: string,
    owner: KeyPair = keyOf('alice'),
    changes: Partial<StorageClientOptions> = {},
  ): Promise<StorageClient> {
    const client = await createStorageClient({
      dataDir: join(this.folder, folder),
      ownerKey: owner.secretKey,
      nodeKey: keyOf(`${folder}-node`).secretKey,
      chain: this.chain,
      bootstrap: this.bootstrapAddresses,
      logger: this.logger.child({ node: folder }),
      ...changes,
    })
    this.#clients.push(client)
    return client
  }

  /** Waits for a condition that heads of the chain bring about. */
  async until(holds: () => boolean | Promise<boolean>, blocks = 400): Promise<void> {
    for (let i = 0; i < blocks; i++) {
      if (await holds()) return
      await new Promise<void>((resolve) => {
        const stop = this.chain.onHead(() => {
          stop()
          resolve()
        })
      })
    }
    throw new Error('the condition never held')
  }

  async stop(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()))
    await Promise.all([...this.peers.values()].map((peer) => peer.stop()))
    await Promise.all(this.bootstraps.map((node) => node.stop()))
    this.chain.stop()
    await rm(this.folder, { recursive: true, force: true })
  }
}

export const nodeKeyOf = (name: string) => publicKeyOf(keyOf(name).secretKey)
