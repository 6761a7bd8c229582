import type { Duplex } from 'node:stream'
import { privateKeyFromRaw, publicKeyFromRaw } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import type { Connection, Libp2p, PeerId } from '@libp2p/interface'
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import type { Logger } from 'pino'
import { reasonOf, TransferError } from '../transfer/transfer-error.ts'
import { type StreamTally, streamToDuplex } from './stream-duplex.ts'

const MIB = 1024 * 1024
/** Relayed sessions of one connection. */
const STREAMS_PER_CONNECTION_MAX = 256
const DIAL_MS = 10_000
const OPEN_STREAM_MS = 10_000

export interface ControlPlaneOptions {
  /** secp256k1 secret of the node key: the libp2p identity. */
  readonly nodeKey: Uint8Array
  /** Multiaddrs to listen on; none for a device that nobody can dial. */
  readonly listen: readonly string[]
  readonly advertise?: readonly string[] | undefined
  readonly connectionsMax: number
  readonly logger: Logger
}

/** Answers an inbound stream; `peer` is the 33-byte node key of the other end. */
export type StreamHandler = (stream: Duplex, peer: Uint8Array) => Promise<void>

/**
 * libp2p as ioeX uses it: TCP, TLS and yamux with the node key as identity. It finds, links and
 * relays; bulk bytes between peers that can dial each other never pass it.
 */
export class ControlPlane {
  readonly #libp2p: Libp2p
  readonly #logger: Logger

  private constructor(libp2p: Libp2p, logger: Logger) {
    this.#libp2p = libp2p
    this.#logger = logger
  }

  static async start(options: ControlPlaneOptions): Promise<ControlPlane> {
    const libp2p = await createLibp2p({
      privateKey: privateKeyFromRaw(options.nodeKey),
      addresses: { listen: [...options.listen], announce: [...(options.advertise ?? [])] },
      transports: [tcp()],
      connectionEncrypters: [tls()],
      streamMuxers: [
        yamux({
          maxInboundStreams: STREAMS_PER_CONNECTION_MAX,
          maxOutboundStreams: STREAMS_PER_CONNECTION_MAX,
          // The window is what a paused reader may still receive: it must stay below the read
          // buffer's bound, where libp2p aborts the stream.
          streamOptions: {
            initialStreamWindowSize: MIB,
            maxStreamWindowSize: 4 * MIB,
            maxReadBufferLength: 8 * MIB,
          },
        }),
      ],
      connectionManager: {
        maxConnections: options.connectionsMax,
        // The defaults (5 inbound connections a second from a host) starve a network behind one
        // address, and several nodes on one machine.
        inboundConnectionThreshold: 1000,
        maxIncomingPendingConnections: 256,
        dialTimeout: DIAL_MS,
      },
      // A busy machine answers late; that must not cut a transfer.
      connectionMonitor: { pingInterval: 15_000, pingTimeout: { minTimeout: 30_000 } },
      nodeInfo: { userAgent: 'ioex/0.1' },
      services: { identify: identify() },
    })
    return new ControlPlane(libp2p, options.logger)
  }

  /** Multiaddrs that others can dial, each ending in /p2p/…. */
  multiaddrs(): string[] {
    return this.#libp2p.getMultiaddrs().map(String)
  }

  get connectionCount(): number {
    return this.#libp2p.getConnections().length
  }

  /** True while a connection to the node with this 33-byte key is open. */
  isConnected(nodeKey: Uint8Array): boolean {
    return this.#openConnection(peerIdOf(nodeKey)) !== undefined
  }

  /** Connects to a multiaddr with /p2p/…; gives the other end's node key. */
  async dial(address: string): Promise<Uint8Array> {
    try {
      const signal = AbortSignal.timeout(DIAL_MS)
      const connection = await this.#libp2p.dial(multiaddr(address), { signal })
      return nodeKeyOf(connection.remotePeer)
    } catch (error) {
      throw new TransferError('PEER_UNREACHABLE', `${address}: ${reasonOf(error)}`, {
        cause: error,
      })
    }
  }

  /** Calls back when a connection to that node is gone; returns the way to stop. */
  onDisconnect(listener: (nodeKey: Uint8Array) => void): () => void {
    const onGone = ({ detail }: CustomEvent<PeerId>) => listener(nodeKeyOf(detail))
    this.#libp2p.addEventListener('peer:disconnect', onGone)
    return () => this.#libp2p.removeEventListener('peer:disconnect', onGone)
  }

  async handle(protocol: string, handler: StreamHandler): Promise<void> {
    await this.#libp2p.handle(
      protocol,
      async (stream, connection) => {
        const duplex = streamToDuplex(stream)
        try {
          await handler(duplex, nodeKeyOf(connection.remotePeer))
        } catch (error) {
          this.#logger.debug({ protocol, reason: reasonOf(error) }, 'stream failed')
          duplex.destroy(error as Error)
        }
      },
      { maxInboundStreams: STREAMS_PER_CONNECTION_MAX },
    )
  }

  /** Opens a stream over an existing connection. Throws PEER_UNREACHABLE where there is none. */
  async openStream(nodeKey: Uint8Array, protocol: string, tally?: StreamTally): Promise<Duplex> {
    const connection = this.#openConnection(peerIdOf(nodeKey))
    if (!connection) throw new TransferError('PEER_UNREACHABLE', 'no connection to this node')
    try {
      const stream = await connection.newStream(protocol, {
        signal: AbortSignal.timeout(OPEN_STREAM_MS),
        maxOutboundStreams: STREAMS_PER_CONNECTION_MAX,
      })
      return streamToDuplex(stream, tally)
    } catch (error) {
      throw new TransferError('PEER_UNREACHABLE', `no ${protocol} stream: ${reasonOf(error)}`, {
        cause: error,
      })
    }
  }

  async stop(): Promise<void> {
    await this.#libp2p.stop()
  }

  #openConnection(peer: PeerId): Connection | undefined {
    return this.#libp2p.getConnections(peer).find((connection) => connection.status === 'open')
  }
}

/** libp2p's name of a 33-byte node key. */
export function peerIdOf(nodeKey: Uint8Array): PeerId {
  return peerIdFromPublicKey(publicKeyFromRaw(nodeKey))
}

/** The node key behind a peer id: ours are secp256k1, whose key stands in the id itself. */
function nodeKeyOf(peer: PeerId): Uint8Array {
  if (peer.type !== 'secp256k1') {
    throw new TransferError('PEER_IDENTITY', `a ${peer.type} key is not a node key`)
  }
  return Uint8Array.from(peer.publicKey.raw)
}
