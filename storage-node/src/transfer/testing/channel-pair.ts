import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { createChannelCredentials } from '../channel-credentials.ts'
import {
  acceptSecureChannel,
  type ChannelIdentity,
  openSecureChannel,
  type SecureChannel,
} from '../secure-channel.ts'
import type { FrameOptions } from '../frame-connection.ts'

export const CHAIN_ID = new Uint8Array(32).fill(7)

/** A secret key whose bytes all have one value: distinct people for tests. */
export const secretKey = (value: number) => new Uint8Array(32).fill(value)

/** Two ends of a real TCP connection on loopback. */
export async function socketPair(): Promise<{ near: Socket; far: Socket; server: Server }> {
  const { promise: far, resolve } = Promise.withResolvers<Socket>()
  const server = createServer({ noDelay: true }, resolve)
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  const near = connect({ port, host: '127.0.0.1', noDelay: true })
  return { near, far: await far, server }
}

export interface ChannelPair {
  readonly client: SecureChannel
  readonly server: SecureChannel
  close(): void
}

/** Two ends of a real TLS channel over loopback TCP. */
export async function channelPair(people: {
  client: ChannelIdentity
  server: ChannelIdentity
  expectedPeer: Uint8Array
  clientFrames?: FrameOptions
  serverFrames?: FrameOptions
}): Promise<ChannelPair> {
  const credentials = await createChannelCredentials()
  const { near, far, server } = await socketPair()
  const accepting = acceptSecureChannel(far, people.server, {
    credentials,
    ...people.serverFrames,
  })
  const opening = openSecureChannel(near, people.client, {
    expectedPeer: people.expectedPeer,
    ...people.clientFrames,
  })
  const close = () => {
    near.destroy()
    far.destroy()
    server.close()
  }
  try {
    const [client, accepted] = await Promise.all([opening, accepting])
    return { client, server: accepted, close }
  } catch (error) {
    close()
    await Promise.allSettled([opening, accepting])
    throw error
  }
}
