import { createServer, connect, type Server, type Socket } from 'node:net'
import { privateKeyFromRaw } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import type { Libp2p, Stream } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { lpStream } from '@libp2p/utils'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { bytesToHex } from '../../bytes/hex.ts'

/** A peer that speaks the protocols of a full node's transactions as its owner likes. */
export interface RawPeer {
  readonly node: Libp2p
  /** Salts as short ids are wanted under it. */
  readonly salt: Uint8Array
  /** Sends one message of announcements. */
  announce(message: Uint8Array): Promise<void>
}

/** Connects to a full node; `onPull` answers, or never does, what it is asked for. */
export async function startRawPeer(
  secret: Uint8Array,
  chainId: Uint8Array,
  address: string,
  onPull: (request: Uint8Array, answer: (bytes: Uint8Array) => Promise<unknown>) => unknown,
): Promise<RawPeer> {
  const chain = bytesToHex(chainId).slice(0, 16)
  const node = await createLibp2p({
    privateKey: privateKeyFromRaw(secret),
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [tls()],
    streamMuxers: [yamux()],
    services: { identify: identify() },
  })
  await node.handle(`/ioex/${chain}/consensus/1`, () => undefined)
  await node.handle(`/ioex/${chain}/announce/1`, async (stream: Stream) => {
    await lpStream(stream).write(new Uint8Array(16))
  })
  await node.handle(`/ioex/${chain}/transactions/1`, async (stream: Stream) => {
    const frames = lpStream(stream)
    const request = (await frames.read()).subarray()
    await onPull(request, (bytes) => frames.write(bytes))
  })
  const connection = await node.dial(multiaddr(address))
  const frames = lpStream(await connection.newStream(`/ioex/${chain}/announce/1`))
  const salt = (await frames.read()).subarray()
  return { node, salt, announce: (message) => frames.write(message) }
}

/** A relay of TCP connections that counts what passes, in both directions. */
export class CountingProxy {
  bytes = 0
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  constructor(targetPort: number) {
    this.#server = createServer((inbound) => {
      const outbound = connect(targetPort, '127.0.0.1')
      for (const [from, to] of [
        [inbound, outbound],
        [outbound, inbound],
      ] as const) {
        this.#sockets.add(from)
        from.on('error', () => to.destroy())
        from.on('data', (data) => {
          this.bytes += data.length
        })
        from.pipe(to)
      }
    })
  }

  listen(): Promise<number> {
    return new Promise((resolve) => {
      this.#server.listen(0, '127.0.0.1', () => {
        const address = this.#server.address()
        resolve(typeof address === 'object' && address ? address.port : 0)
      })
    })
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }
}
