import { randomBytes } from 'node:crypto'
import type { Libp2p } from '@libp2p/interface'
import { pino } from 'pino'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { sha256 } from '../bytes/hash.ts'
import { bytesToHex, utf8ToBytes } from '../bytes/hex.ts'
import { FullNodeNetwork } from './full-node-network.ts'
import { decodeShortIds, encodeShortIds, SHORT_IDS_MAX, shortIdOf } from './short-ids.ts'
import { CountingProxy, startRawPeer } from './testing/raw-peer.ts'
import { encodeBatches } from './transaction-batch.ts'
import type { GossipVerdict } from './transaction-relay.ts'

const logger = pino({ level: 'silent' })
const chainId = sha256(utf8ToBytes('a network of three'))
const keyOf = (name: string) => sha256(utf8ToBytes(name))
const running: FullNodeNetwork[] = []
const raw: Libp2p[] = []
const proxies: CountingProxy[] = []

afterEach(async () => {
  for (const node of raw.splice(0)) await node.stop()
  await Promise.all(running.splice(0).map((network) => network.stop()))
  for (const proxy of proxies.splice(0)) proxy.close()
})

async function start(name: string, peers: readonly string[] = []): Promise<FullNodeNetwork> {
  const network = await FullNodeNetwork.start({
    nodeKey: keyOf(name),
    chainId,
    listen: ['/ip4/127.0.0.1/tcp/0'],
    peers,
    logger,
  })
  running.push(network)
  return network
}

/** The same address behind a proxy. */
async function proxied(network: FullNodeNetwork): Promise<string> {
  const address = network.addresses()[0] as string
  const port = Number(/\/tcp\/(\d+)\//.exec(address)?.[1])
  const proxy = new CountingProxy(port)
  proxies.push(proxy)
  return address.replace(`/tcp/${port}/`, `/tcp/${await proxy.listen()}/`)
}

const wireBytes = () => proxies.reduce((sum, { bytes }) => sum + bytes, 0)

/** Collects what arrives and answers with a verdict. */
function listen(
  network: FullNodeNetwork,
  verdict: (text: string) => GossipVerdict = () => 'accept',
) {
  const heard: { peer: string; text: string }[] = []
  network.onTransaction((peer, transaction) => {
    const text = new TextDecoder('latin1').decode(transaction)
    heard.push({ peer, text })
    return verdict(text)
  })
  return heard
}

const bodies = (count: number, size: number) =>
  Array.from({ length: count }, () => new Uint8Array(randomBytes(size)))
const idsUnder = (salt: Uint8Array, transactions: readonly Uint8Array[]) =>
  transactions.map((each) => shortIdOf(salt, sha256(each)))

describe('transactions between full nodes', () => {
  test('are passed on only where the node in between accepts them', async () => {
    const middle = await start('middle')
    const near = await start('near', middle.addresses())
    const far = await start('far', middle.addresses())
    const inMiddle = listen(middle, (text) => (text.startsWith('good') ? 'accept' : 'ignore'))
    const atFar = listen(far)
    // What was published before anybody was there is told to whoever comes.
    for (const text of ['bad 1', 'good 1', 'bad 2', 'good 2']) {
      near.publishTransaction(utf8ToBytes(text))
    }
    await vi.waitFor(() => expect(atFar).toHaveLength(2), { timeout: 30_000 })
    expect(inMiddle.map(({ text }) => text).sort()).toEqual(['bad 1', 'bad 2', 'good 1', 'good 2'])
    expect(atFar.map(({ text }) => text).sort()).toEqual(['good 1', 'good 2'])
    // Who sent it here, not who made it.
    expect(new Set(inMiddle.map(({ peer }) => peer))).toEqual(new Set([near.peerId]))
    expect(new Set(atFar.map(({ peer }) => peer))).toEqual(new Set([middle.peerId]))
    middle.disconnect(far.peerId)
    await vi.waitFor(() => expect(middle.peers()).not.toContain(far.peerId), { timeout: 10_000 })
  }, 60_000)

  test('cross the wire once to each node, not once over each link', async () => {
    const nodes = [await start('mesh 0')]
    for (const name of ['mesh 1', 'mesh 2', 'mesh 3']) {
      nodes.push(await start(name, await Promise.all(nodes.map(proxied))))
    }
    const heard = nodes.map((node) => listen(node))
    await vi.waitFor(() => expect(nodes.map((node) => node.peers().length)).toEqual([3, 3, 3, 3]), {
      timeout: 20_000,
    })
    const [count, size] = [100, 10_000]
    const before = wireBytes()
    for (const body of bodies(count, size)) nodes[0]?.publishTransaction(body)
    await vi.waitFor(
      () => expect(heard.map(({ length }) => length)).toEqual([0, count, count, count]),
      { timeout: 30_000 },
    )
    const sent = wireBytes() - before
    const once = 3 * count * size
    expect(sent).toBeGreaterThan(once)
    // Six links: whoever floods sends each body five or six times.
    expect(sent).toBeLessThan(1.2 * once)
  }, 60_000)

  test('a peer that announces and withholds delays them, and no more', async () => {
    const victim = await start('victim')
    const heard = listen(victim)
    const honest = await start('honest', victim.addresses())
    await vi.waitFor(() => expect(victim.peers()).toHaveLength(1), { timeout: 20_000 })
    const many = bodies(20, 200)
    let asked = 0
    const withholder = await startRawPeer(
      keyOf('w'),
      chainId,
      victim.addresses()[0] as string,
      () => {
        asked++
      },
    )
    raw.push(withholder.node)
    await withholder.announce(encodeShortIds(idsUnder(withholder.salt, many)))
    await vi.waitFor(() => expect(asked).toBe(1), { timeout: 10_000 })
    for (const body of many) honest.publishTransaction(body)
    await vi.waitFor(() => expect(heard).toHaveLength(20), { timeout: 20_000 })
    expect(new Set(heard.map(({ peer }) => peer))).toEqual(new Set([honest.peerId]))
    // It is not asked again for a while, whatever it announces.
    await withholder.announce(encodeShortIds(idsUnder(withholder.salt, bodies(5, 100))))
    honest.publishTransaction(utf8ToBytes('the last'))
    await vi.waitFor(() => expect(heard).toHaveLength(21), { timeout: 10_000 })
    expect(asked).toBe(1)
  }, 60_000)

  test('a flood of ids costs bounded questions; broken rules end the connection', async () => {
    const victim = await start('victim')
    const heard = listen(victim)
    const honest = await start('honest', victim.addresses())
    const asked: number[] = []
    const flooder = await startRawPeer(
      keyOf('f'),
      chainId,
      victim.addresses()[0] as string,
      (request, answer) => {
        asked.push(decodeShortIds(request)?.length ?? 0)
        return answer(new Uint8Array(0))
      },
    )
    raw.push(flooder.node)
    for (let i = 0; i < 40; i++) {
      await flooder.announce(new Uint8Array(randomBytes(8 * SHORT_IDS_MAX)))
    }
    honest.publishTransaction(utf8ToBytes('through the flood'))
    await vi.waitFor(() => expect(heard).toHaveLength(1), { timeout: 20_000 })
    // 40,960 were announced; looked at are those of its allowance.
    expect(asked.reduce((sum, each) => sum + each, 0)).toBeLessThan(20_000)
    expect(Math.max(...asked)).toBeLessThanOrEqual(128)
    await flooder.announce(Uint8Array.of(1, 2, 3))
    await vi.waitFor(() => expect(victim.peers()).toEqual([honest.peerId]), { timeout: 10_000 })
  }, 60_000)

  test('a body that was not asked for ends the connection and reaches nobody', async () => {
    const victim = await start('victim')
    const heard = listen(victim)
    const [wanted, other] = bodies(2, 100) as [Uint8Array, Uint8Array]
    const pusher = await startRawPeer(
      keyOf('p'),
      chainId,
      victim.addresses()[0] as string,
      (_request, answer) => answer(encodeBatches([wanted, other])[0] as Uint8Array),
    )
    raw.push(pusher.node)
    await pusher.announce(encodeShortIds(idsUnder(pusher.salt, [wanted])))
    await vi.waitFor(() => expect(pusher.node.getConnections()).toEqual([]), { timeout: 10_000 })
    expect(heard.map(({ text }) => text)).toEqual([new TextDecoder('latin1').decode(wanted)])
  }, 60_000)
})

test('short ids are salted: what collides at one node does not at another', () => {
  const name = sha256(utf8ToBytes('a transaction'))
  const [a, b] = [new Uint8Array(16), new Uint8Array(16).fill(1)]
  expect(shortIdOf(a, name)).not.toBe(shortIdOf(b, name))
  expect(shortIdOf(a, name)).toBe(bytesToHex(sha256(a, name).subarray(0, 8)))
  const ids = [shortIdOf(a, name), shortIdOf(b, name)]
  expect(decodeShortIds(encodeShortIds(ids))).toEqual(ids)
  for (const length of [0, 7, 12, 8 * SHORT_IDS_MAX + 8]) {
    expect(decodeShortIds(new Uint8Array(length))).toBeUndefined()
  }
})

test('final headers pass only through nodes that accept them', { timeout: 60_000 }, async () => {
  const middle = await start('middle')
  const near = await start('near', middle.addresses())
  const far = await start('far', middle.addresses())
  const heard: { peer: string; text: string }[] = []
  const textOf = (message: Uint8Array) => new TextDecoder().decode(message)
  middle.onFinalHeader((_, message) => (textOf(message).startsWith('good') ? 'accept' : 'ignore'))
  far.onFinalHeader((peer, message) => {
    heard.push({ peer, text: textOf(message) })
    return 'accept'
  })
  await vi.waitFor(() => expect(middle.peers()).toHaveLength(2), { timeout: 20_000 })
  let sent = 0
  // The mesh takes a moment to form; what comes before is lost, as in any network.
  await vi.waitFor(
    () => {
      near.publishFinalHeader(utf8ToBytes(`bad ${sent}`))
      near.publishFinalHeader(utf8ToBytes(`good ${sent++}`))
      expect(heard.length).toBeGreaterThan(2)
    },
    { timeout: 30_000, interval: 200 },
  )
  expect(heard.filter(({ text }) => text.startsWith('bad'))).toEqual([])
  // Who sent it here, not who made it.
  expect(new Set(heard.map(({ peer }) => peer))).toEqual(new Set([middle.peerId]))
})
