import { privateKeyFromRaw } from '@libp2p/crypto/keys'
import { gossipsub, type GossipSub, StrictNoSign } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import type { Libp2p } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { lpStream } from '@libp2p/utils'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { pino } from 'pino'
import { afterEach, expect, test } from 'vitest'
import { sha256 } from '../bytes/hash.ts'
import { bytesToHex, utf8ToBytes } from '../bytes/hex.ts'
import { FullNodeNetwork, type FullNodeNetworkOptions } from './full-node-network.ts'
import { peerIdOf } from './peer-id.ts'

const chainId = sha256(utf8ToBytes('a network among strangers'))
const consensus = `/ioex/${bytesToHex(chainId).slice(0, 16)}/consensus/1`
const keyOf = (name: string) => sha256(utf8ToBytes(name))
const running: { stop(): unknown }[] = []

afterEach(async () => {
  for (const node of running.splice(0).reverse()) await node.stop()
})

async function startNetwork(more: Partial<FullNodeNetworkOptions> = {}) {
  const network = await FullNodeNetwork.start({
    nodeKey: keyOf('node'),
    chainId,
    listen: ['/ip4/127.0.0.1/tcp/0'],
    peers: [],
    logger: pino({ level: 'silent' }),
    ...more,
  })
  running.push(network)
  return { network, address: multiaddr(network.addresses()[0] as string) }
}

/** Says that it is a full node, and is none. */
async function startStranger(name: string): Promise<Libp2p> {
  const node = await createLibp2p({
    privateKey: privateKeyFromRaw(keyOf(name)),
    transports: [tcp()],
    connectionEncrypters: [tls()],
    streamMuxers: [yamux()],
    services: { identify: identify() },
  })
  await node.handle(consensus, () => undefined)
  running.push(node)
  return node
}

const open = (node: Libp2p) => node.getConnections().filter(({ status }) => status === 'open')

test('one peer holds four connections, however many it opens', async () => {
  const { network, address } = await startNetwork()
  const stranger = await startStranger('many connections')
  for (let i = 0; i < 12; i++) await stranger.dial(address, { force: true }).catch(() => undefined)
  await expect.poll(() => open(stranger).length).toBe(4)
  expect(network.peerList()).toHaveLength(4)
})

test('strangers take their share of places, never those of named peers', async () => {
  const named = peerIdOf(keyOf('named'))
  const { network, address } = await startNetwork({
    // Nobody listens there: it will come by itself.
    peers: [`/ip4/127.0.0.1/tcp/9/p2p/${named}`],
    strangersMax: 3,
  })
  const strangers = await Promise.all(
    Array.from({ length: 6 }, async (_, i) => startStranger(`stranger ${i}`)),
  )
  for (const stranger of strangers) await stranger.dial(address).catch(() => undefined)
  await expect.poll(() => strangers.flatMap(open).length).toBe(3)
  const friend = await startStranger('named')
  await friend.dial(address)
  await expect.poll(() => network.peers()).toContain(named)
  expect(open(friend)).toHaveLength(1)
})

test('of peers that are gone nothing is kept, also where they leave while they are greeted', async () => {
  const { network, address } = await startNetwork()
  for (let i = 0; i < 40; i++) {
    const stranger = await startStranger(`short visit ${i}`)
    const connection = await stranger.dial(address)
    // Our greeting arrives within a few turns: some of these end in the middle of it.
    for (let turn = 0; turn < i % 20; turn++) await new Promise(setImmediate)
    connection.abort(new Error('goodbye'))
    await stranger.stop()
  }
  await expect.poll(() => network.peerList()).toEqual([])
  await expect.poll(() => network.remembered(), { timeout: 15_000 }).toBe(0)
  expect(network.peers()).toEqual([])
}, 60_000)

test('strangers that read no answer hold so many of them, over all connections and names', async () => {
  const { network, address } = await startNetwork()
  let begun = 0
  let refused = 0
  const answers = Promise.withResolvers<Uint8Array>()
  const handler = () => {
    begun += 1
    return answers.promise
  }
  await network.serveSync(handler, 256)
  const sync = consensus.replace('consensus', 'sync')
  const stranger = await startStranger('asks for much')
  for (let i = 0; i < 4; i++) {
    const connection = await stranger.dial(address, { force: true })
    for (let j = 0; j < 8; j++) {
      const ask = async () => {
        const frames = lpStream(await connection.newStream(sync))
        await frames.write(new Uint8Array(60))
        await frames.read()
      }
      ask().catch(() => (refused += 1))
    }
  }
  await expect.poll(() => refused).toBe(24)
  expect(begun).toBe(8)
  answers.resolve(new Uint8Array(1))
}, 30_000)

test('the operator learns that questions cannot be answered, once for many', async () => {
  const lines: string[] = []
  const { network, address } = await startNetwork({
    logger: pino({ level: 'error' }, { write: (line: string) => void lines.push(line) }),
  })
  await network.serveSync(() => Promise.reject(new Error('the database is damaged')), 256)
  const stranger = await startStranger('asks')
  const connection = await stranger.dial(address)
  for (let i = 0; i < 5; i++) {
    const frames = lpStream(await connection.newStream(consensus.replace('consensus', 'sync')))
    await frames.write(new Uint8Array(60))
    await expect(frames.read()).rejects.toThrow()
  }
  expect(lines).toHaveLength(1)
  expect(lines[0]).toContain('the database is damaged')
}, 30_000)

/** Speaks the oldest dialect of gossip, in which every message is passed on to every subscriber. */
async function startGossiper(name: string): Promise<Libp2p<{ pubsub: GossipSub }>> {
  const node = await createLibp2p<{ identify: unknown; pubsub: GossipSub }>({
    privateKey: privateKeyFromRaw(keyOf(name)),
    transports: [tcp()],
    connectionEncrypters: [tls()],
    streamMuxers: [yamux()],
    services: {
      identify: identify(),
      pubsub: (components: Parameters<ReturnType<typeof gossipsub>>[0]) => {
        const pubsub = gossipsub({ globalSignaturePolicy: StrictNoSign })(components)
        return Object.assign(pubsub as GossipSub, { protocols: ['/floodsub/1.0.0'] })
      },
    },
  })
  running.push(node)
  return node
}

test('strangers cannot send each other their own topics through us', async () => {
  const { network, address } = await startNetwork()
  const [from, to] = [await startGossiper('from'), await startGossiper('to')]
  const heard: string[] = []
  for (const node of [from, to]) {
    node.services.pubsub.subscribe('films')
    node.services.pubsub.subscribe(network.finalTopic)
    node.services.pubsub.addEventListener('gossipsub:message', ({ detail }) => {
      if (node === to) heard.push(detail.msg.topic)
    })
    await node.dial(address)
  }
  network.onFinalHeader(() => 'accept')
  const subscribers = () => from.services.pubsub.getSubscribers(network.finalTopic)
  await expect.poll(() => subscribers().length).toBeGreaterThan(0)
  // A liar's node: it sends us what we never asked for.
  const { topics } = from.services.pubsub as unknown as { topics: Map<string, Set<string>> }
  topics.set('films', new Set([network.peerId]))
  let count = 0
  await expect
    .poll(
      async () => {
        count += 1
        await from.services.pubsub.publish('films', Uint8Array.of(1, count))
        await from.services.pubsub.publish(network.finalTopic, Uint8Array.of(2, count))
        return heard.includes(network.finalTopic)
      },
      { timeout: 10_000 },
    )
    .toBe(true)
  expect(heard).not.toContain('films')
}, 30_000)
