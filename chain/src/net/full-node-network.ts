import { randomBytes } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { privateKeyFromRaw } from '@libp2p/crypto/keys'
import type { GossipSub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import type { Connection, Libp2p, PeerId, Stream } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { lpStream } from '@libp2p/utils'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import type { Logger } from 'pino'
import { bytesToHex } from '../bytes/hex.ts'
import { PRESENCE_BYTES_MAX, PRESENCES_BYTES_MAX } from '../types/signer-presence.ts'
import { AnswerDesk } from './answer-desk.ts'
import { connectionGater, connectionsMax, STRANGERS_MAX } from './connection-limits.ts'
import { type FinalHeaderHandler, finalGossip, joinTopic } from './final-gossip.ts'
import { Outbox, OutboxRoom } from './outbox.ts'
import { SALT_BYTES, SHORT_ID_BYTES, SHORT_IDS_MAX } from './short-ids.ts'
import { streamWriter } from './stream-writer.ts'
import { BATCH_BYTES_MAX } from './transaction-batch.ts'
import { type GossipVerdict, RELAY_TICK_MS, TransactionRelay } from './transaction-relay.ts'

/** Bytes of one consensus message; a proposal carries a whole block. */
export const CONSENSUS_MESSAGE_BYTES_MAX = 2 * 1024 * 1024

/** Twice what all protocols together need: each can hold a window of 256 KiB. */
const STREAMS_OF_PEER_MAX = 64
const REDIAL_MS = 1000
const REQUEST_TIMEOUT_MS = 10_000
/** Bodies of announced transactions: another holder is asked sooner. */
const PULL_TIMEOUT_MS = 3000
const UNANSWERED_QUIET_MS = 60_000
const SHORT_IDS_BYTES_MAX = SHORT_ID_BYTES * SHORT_IDS_MAX

export interface FullNodeNetworkOptions {
  /** 32-byte secp256k1 secret: the node's libp2p identity. */
  readonly nodeKey: Uint8Array
  readonly chainId: Uint8Array
  /** Multiaddrs to listen on, e.g. /ip4/127.0.0.1/tcp/0. */
  readonly listen: readonly string[]
  /** Multiaddrs to tell others instead, e.g. a router's. */
  readonly announce?: readonly string[] | undefined
  /** Multiaddrs (with /p2p/ id) of full nodes to stay connected to. */
  readonly peers: readonly string[]
  /** Connections that others may open to us; default STRANGERS_MAX. */
  readonly strangersMax?: number | undefined
  readonly logger: Logger
}

export interface FullNodeServices extends Record<string, unknown> {
  pubsub: GossipSub
}

type MessageHandler = (peer: string, message: Uint8Array) => void
type TransactionHandler = (peer: string, transaction: Uint8Array) => GossipVerdict
type RequestHandler = (request: Uint8Array) => Promise<Uint8Array>

/**
 * What full nodes say to each other: consensus messages on one direct stream per peer,
 * transactions announced by id and pulled, questions and answers of block sync on short streams,
 * final headers by gossip.
 */
export class FullNodeNetwork {
  readonly #node: Libp2p<FullNodeServices>
  readonly #options: FullNodeNetworkOptions
  readonly #protocols: ReturnType<typeof protocolsOf>
  readonly #relay: TransactionRelay
  /** Peer ids that the operator named. */
  readonly #named: ReadonlySet<string>
  readonly #outboxes = new Map<string, Outbox>()
  readonly #room = new OutboxRoom()
  /** Peers that are gone and still have a record in libp2p, which would keep it for hours. */
  readonly #gone = new Map<string, PeerId>()
  readonly #stopping = new AbortController()
  #onConsensus: MessageHandler = () => {}
  #onTransaction: TransactionHandler = () => 'ignore'
  #onFinalHeader: FinalHeaderHandler = () => 'ignore'
  #quietUntilMs = 0
  #redial: NodeJS.Timeout | undefined
  #relayTick: NodeJS.Timeout | undefined

  private constructor(node: Libp2p<FullNodeServices>, options: FullNodeNetworkOptions) {
    this.#node = node
    this.#options = options
    this.#named = namedIn(options.peers)
    this.#protocols = protocolsOf(options.chainId)
    this.#relay = new TransactionRelay({
      salt: new Uint8Array(randomBytes(SALT_BYTES)),
      ask: (peer, request) =>
        this.#request(peer, request, {
          protocol: this.#protocols.bodies,
          answerBytesMax: BATCH_BYTES_MAX,
          timeoutMs: PULL_TIMEOUT_MS,
        }),
      judge: (peer, transaction) => this.#onTransaction(peer, transaction),
      onFault: (peer) => this.disconnect(peer),
      nowMs: () => performance.now(),
    })
  }

  static async start(options: FullNodeNetworkOptions): Promise<FullNodeNetwork> {
    const limits = {
      named: namedIn(options.peers),
      strangersMax: options.strangersMax ?? STRANGERS_MAX,
      connections: (): readonly Connection[] => node.getConnections(),
    }
    const node: Libp2p<FullNodeServices> = await createLibp2p<FullNodeServices>({
      privateKey: privateKeyFromRaw(options.nodeKey),
      addresses: { listen: [...options.listen], announce: [...(options.announce ?? [])] },
      transports: [tcp()],
      connectionEncrypters: [tls()],
      streamMuxers: [yamux({ maxInboundStreams: STREAMS_OF_PEER_MAX })],
      connectionManager: {
        // The default, 5 connections a second from a host, starves a network on one machine.
        inboundConnectionThreshold: 1000,
        maxIncomingPendingConnections: 256,
        maxConnections: connectionsMax(limits),
      },
      connectionGater: connectionGater(limits),
      services: {
        identify: identify(),
        pubsub: finalGossip(protocolsOf(options.chainId).final),
      },
    })
    const network = new FullNodeNetwork(node, options)
    await network.#begin()
    return network
  }

  get peerId(): string {
    return this.#node.peerId.toString()
  }

  /** Addresses to give to others, with the peer id. */
  addresses(): string[] {
    return this.#node.getMultiaddrs().map((address) => address.toString())
  }

  /** Every open connection, for people. */
  peerList(): { peerId: string; addresses: string[]; direction: 'inbound' | 'outbound' }[] {
    return this.#node.getConnections().map(({ remotePeer, remoteAddr, direction }) => ({
      peerId: remotePeer.toString(),
      addresses: [remoteAddr.toString()],
      direction,
    }))
  }

  /** The topic of final headers. */
  get finalTopic(): string {
    return this.#protocols.final
  }

  /** Peers of which libp2p keeps a record, connected or not. */
  async remembered(): Promise<number> {
    return (await this.#node.peerStore.all()).length
  }

  /** Peer ids of connected full nodes. */
  peers(): string[] {
    return [...this.#outboxes.keys()]
  }

  onConsensusMessage(handler: MessageHandler): void {
    this.#onConsensus = handler
  }

  broadcastConsensus(message: Uint8Array): void {
    for (const outbox of this.#outboxes.values()) outbox.add(message)
  }

  sendConsensus(peer: string, message: Uint8Array): void {
    this.#outboxes.get(peer)?.add(message)
  }

  /** The handler decides what is announced to others; `peer` is who sent it here, not its maker. */
  onTransaction(handler: TransactionHandler): void {
    this.#onTransaction = handler
  }

  /** Closes all connections to a peer that misbehaves; it may come back later. */
  disconnect(peer: string): void {
    const connection = this.#connectionOf(peer)
    if (!connection) return
    this.#node.hangUp(connection.remotePeer).catch((error: unknown) => {
      this.#options.logger.debug({ peer, reason: String(error) }, 'not disconnected')
    })
  }

  /** Tells peers that this node has a transaction, whose bytes they may then ask for. */
  publishTransaction(transaction: Uint8Array): void {
    this.#relay.publish(transaction)
  }

  /** Serialized transactions that went through here of late, by SHA-256. */
  get recentTransactions(): TransactionRelay['bodies'] {
    return this.#relay.bodies
  }

  /** The handler decides whether a final header is passed on. */
  onFinalHeader(handler: FinalHeaderHandler): void {
    this.#onFinalHeader = handler
  }

  /** Lost if nobody listens yet; the next one tells more. */
  publishFinalHeader(message: Uint8Array): void {
    this.#node.services.pubsub.publish(this.#protocols.final, message).catch((error: unknown) => {
      this.#options.logger.debug({ reason: String(error) }, 'final header not announced')
    })
  }

  /** Registers the answerer of sync questions. */
  async serveSync(handler: RequestHandler, requestBytesMax: number): Promise<void> {
    await this.#answer(this.#protocols.sync, requestBytesMax, (_peer, request) => handler(request))
  }

  /** Asks one peer; rejects on time-out, disconnect or an answer above the bound. */
  requestSync(
    peer: string,
    request: Uint8Array,
    answerBytesMax: number,
    timeoutMs = REQUEST_TIMEOUT_MS,
  ): Promise<Uint8Array> {
    const protocol = this.#protocols.sync
    return this.#request(peer, request, { protocol, answerBytesMax, timeoutMs })
  }

  /** Registers who keeps what signers say of themselves. */
  async serveSigners(handler: RequestHandler): Promise<void> {
    const { signers } = this.#protocols
    await this.#answer(signers, PRESENCE_BYTES_MAX, (_peer, request) => handler(request))
  }

  /** Tells one peer of the signer here, and is told of others; rejects as requestSync does. */
  tellSigner(peer: string, presence: Uint8Array): Promise<Uint8Array> {
    const how = { answerBytesMax: PRESENCES_BYTES_MAX, timeoutMs: PULL_TIMEOUT_MS }
    return this.#request(peer, presence, { protocol: this.#protocols.signers, ...how })
  }

  async #answer(
    protocol: string,
    requestBytesMax: number,
    handler: (peer: string, request: Uint8Array) => Promise<Uint8Array>,
  ): Promise<void> {
    const desk = new AnswerDesk((peer) => this.#named.has(peer))
    await this.#node.handle(
      protocol,
      async (stream, { remotePeer }) => {
        const peer = remotePeer.toString()
        const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS)
        let endPlace: (() => void) | undefined
        try {
          const frames = lpStream(stream, { maxDataLength: requestBytesMax })
          const request = await frames.read({ signal })
          endPlace = desk.take(peer, (reason) => stream.abort(reason))
          if (!endPlace) throw new Error('too many questions at once')
          const answer = handler(peer, request.subarray())
          answer.catch((error: unknown) => this.#noteUnanswered(protocol, error))
          await frames.write(await answer, { signal })
          await stream.close({ signal })
        } catch (error) {
          stream.abort(error as Error)
        } finally {
          endPlace?.()
        }
      },
      { maxInboundStreams: 8 },
    )
  }

  /** A question that fails here is our fault, a damaged database maybe: said once a minute. */
  #noteUnanswered(protocol: string, error: unknown): void {
    const now = performance.now()
    if (now < this.#quietUntilMs) return
    this.#quietUntilMs = now + UNANSWERED_QUIET_MS
    const reason = String(error)
    this.#options.logger.error({ protocol, reason }, 'a question of a peer could not be answered')
  }

  async #request(
    peer: string,
    request: Uint8Array,
    how: { protocol: string; answerBytesMax: number; timeoutMs: number },
  ): Promise<Uint8Array> {
    const connection = this.#connectionOf(peer)
    if (!connection) throw new Error(`not connected to ${peer}`)
    const signal = AbortSignal.any([AbortSignal.timeout(how.timeoutMs), this.#stopping.signal])
    const stream = await connection.newStream(how.protocol, { signal })
    try {
      const frames = lpStream(stream, { maxDataLength: how.answerBytesMax })
      await frames.write(request, { signal })
      const answer = (await frames.read({ signal })).subarray()
      await stream.close({ signal })
      return answer
    } catch (error) {
      stream.abort(error as Error)
      throw error
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    clearInterval(this.#redial)
    clearInterval(this.#relayTick)
    for (const outbox of this.#outboxes.values()) outbox.close()
    await this.#node.stop()
  }

  async #begin(): Promise<void> {
    const { consensus, announce, bodies } = this.#protocols
    const options = { maxInboundStreams: 2 }
    await this.#node.handle(consensus, (...opened) => this.#receive(...opened), options)
    await this.#node.handle(announce, (...opened) => this.#hear(...opened), options)
    await this.#answer(bodies, SHORT_IDS_BYTES_MAX, (peer, request) =>
      Promise.resolve(this.#relay.serve(peer, request)),
    )
    joinTopic(this.#node.services.pubsub, this.#protocols.final, (peer, message) =>
      this.#onFinalHeader(peer, message),
    )
    this.#node.addEventListener('peer:identify', ({ detail: { peerId, protocols } }) => {
      // It may have left while it was greeted; no event would ever tell of that again.
      if (!this.#connectionOf(peerId.toString())) this.#disconnected(peerId)
      else if (protocols.includes(consensus)) this.#connected(peerId)
    })
    this.#node.addEventListener('peer:disconnect', ({ detail }) => this.#disconnected(detail))
    this.#redial = setInterval(() => {
      this.#forgetGone()
      this.#dialMissing()
    }, REDIAL_MS)
    this.#relayTick = setInterval(() => this.#relay.tick(), RELAY_TICK_MS)
    this.#dialMissing()
  }

  #dialMissing(): void {
    for (const address of this.#options.peers) {
      const target = multiaddr(address)
      const id = address.split('/p2p/')[1]
      if (id === undefined || id === this.peerId || this.#connectionOf(id)) continue
      this.#node.dial(target, { signal: AbortSignal.timeout(REDIAL_MS * 5) }).catch((error) => {
        this.#options.logger.debug({ id, reason: String(error) }, 'peer not reachable yet')
      })
    }
  }

  #connectionOf(peer: string): Connection | undefined {
    return this.#node
      .getConnections()
      .find(({ remotePeer, status }) => remotePeer.toString() === peer && status === 'open')
  }

  #disconnected(peer: PeerId): void {
    const id = peer.toString()
    this.#outboxes.get(id)?.close()
    this.#outboxes.delete(id)
    this.#relay.disconnect(id)
    this.#gone.set(id, peer)
  }

  /** Not at once: parts of libp2p look into the record to learn what the peer was to them. */
  #forgetGone(): void {
    for (const [id, peer] of this.#gone) {
      this.#gone.delete(id)
      if (this.#connectionOf(id)) continue
      this.#node.peerStore.delete(peer).catch((error: unknown) => {
        this.#options.logger.debug({ peer: id, reason: String(error) }, 'peer not forgotten')
      })
    }
  }

  #connected(peer: PeerId): void {
    const id = peer.toString()
    if (this.#outboxes.has(id)) return
    const outbox = new Outbox(async () => {
      const connection = this.#connectionOf(id)
      if (!connection) throw new Error(`not connected to ${id}`)
      return streamWriter(await connection.newStream(this.#protocols.consensus))
    }, this.#room)
    this.#outboxes.set(id, outbox)
    this.#options.logger.info({ peer: id }, 'full node connected')
    void this.#announceTo(id)
  }

  /** Keeps a stream for announcements open as long as the peer is connected. */
  async #announceTo(id: string): Promise<void> {
    const opened = this.#outboxes.get(id)
    while (opened && this.#outboxes.get(id) === opened && !this.#stopping.signal.aborted) {
      try {
        await this.#announceOn(id)
      } catch (error) {
        this.#options.logger.debug({ peer: id, reason: String(error) }, 'not announced to')
      }
      await setTimeout(REDIAL_MS, undefined, { ref: false })
    }
  }

  /** Learns the peer's salt and announces until the stream ends. */
  async #announceOn(id: string): Promise<void> {
    const connection = this.#connectionOf(id)
    if (!connection) return
    const signal = AbortSignal.any([AbortSignal.timeout(REQUEST_TIMEOUT_MS), this.#stopping.signal])
    const stream = await connection.newStream(this.#protocols.announce, { signal })
    try {
      const frames = lpStream(stream, { maxDataLength: SALT_BYTES })
      const writer = streamWriter(stream, frames)
      const salt = (await frames.read({ signal })).subarray()
      if (salt.length !== SALT_BYTES) throw new Error('no salt')
      const ended = new AbortController()
      this.#relay.connect(id, {
        salt: Uint8Array.from(salt),
        send: (message) =>
          writer
            .write(message, { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) })
            .catch((error: unknown) => ended.abort(error)),
      })
      // Nothing more is read here: the end of the stream or a write that fails ends this.
      await frames.read({ signal: AbortSignal.any([ended.signal, this.#stopping.signal]) })
    } finally {
      stream.abort(new Error('announcements ended'))
    }
  }

  /** A peer's announcements, after it was told our salt. */
  async #hear(stream: Stream, connection: Connection): Promise<void> {
    const peer = connection.remotePeer.toString()
    const frames = lpStream(stream, { maxDataLength: SHORT_IDS_BYTES_MAX })
    try {
      await frames.write(this.#relay.salt, { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) })
      for (;;) {
        const message = await frames.read({ signal: this.#stopping.signal })
        this.#relay.announced(peer, message.subarray())
      }
    } catch (error) {
      if (stream.status === 'open') stream.abort(error as Error)
    }
  }

  async #receive(stream: Stream, connection: Connection): Promise<void> {
    const peer = connection.remotePeer.toString()
    const frames = lpStream(stream, { maxDataLength: CONSENSUS_MESSAGE_BYTES_MAX })
    try {
      for (;;) {
        const message = await frames.read({ signal: this.#stopping.signal })
        this.#onConsensus(peer, message.subarray())
      }
    } catch (error) {
      if (stream.status === 'open') stream.abort(error as Error)
    }
  }
}

function namedIn(peers: readonly string[]): ReadonlySet<string> {
  return new Set(peers.flatMap((address) => address.split('/p2p/')[1] ?? []))
}

function protocolsOf(chainId: Uint8Array) {
  // The chain id in the protocol name keeps nodes of different networks apart.
  const chain = bytesToHex(chainId).slice(0, 16)
  return {
    consensus: `/ioex/${chain}/consensus/1`,
    sync: `/ioex/${chain}/sync/1`,
    announce: `/ioex/${chain}/announce/1`,
    bodies: `/ioex/${chain}/transactions/1`,
    final: `/ioex/${chain}/final/1`,
    signers: `/ioex/${chain}/signers/1`,
  }
}
