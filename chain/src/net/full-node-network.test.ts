import { pino } from 'pino'
import { afterEach, expect, test, vi } from 'vitest'
import { sha256 } from '../bytes/hash.ts'
import { utf8ToBytes } from '../bytes/hex.ts'
import { FullNodeNetwork, type GossipVerdict } from './full-node-network.ts'

const logger = pino({ level: 'silent' })
const chainId = sha256(utf8ToBytes('a network of three'))
const running: FullNodeNetwork[] = []

afterEach(async () => {
  await Promise.all(running.splice(0).map((network) => network.stop()))
})

async function start(name: string, peers: readonly string[] = []): Promise<FullNodeNetwork> {
  const network = await FullNodeNetwork.start({
    nodeKey: sha256(utf8ToBytes(name)),
    chainId,
    listen: ['/ip4/127.0.0.1/tcp/0'],
    peers,
    logger,
  })
  running.push(network)
  return network
}

/** Collects what arrives, as text, and answers with a verdict. */
function listen(network: FullNodeNetwork, verdict: (text: string) => GossipVerdict) {
  const heard: { peer: string; text: string }[] = []
  network.onTransactions((peer, batch) => {
    const text = new TextDecoder().decode(batch)
    heard.push({ peer, text })
    return verdict(text)
  })
  return heard
}

test('gossip is passed on only where the node in between accepts it', {
  timeout: 60_000,
}, async () => {
  const middle = await start('middle')
  const near = await start('near', middle.addresses())
  const far = await start('far', middle.addresses())
  const inMiddle = listen(middle, (text) => (text.startsWith('good') ? 'accept' : 'reject'))
  const atFar = listen(far, () => 'accept')
  await vi.waitFor(() => expect(middle.peers()).toHaveLength(2), { timeout: 20_000 })
  let sent = 0
  // The mesh takes a moment to form; what comes before is lost, as in any network.
  await vi.waitFor(
    async () => {
      await near.publishTransactions(utf8ToBytes(`bad ${sent}`))
      await near.publishTransactions(utf8ToBytes(`good ${sent++}`))
      expect(atFar.length).toBeGreaterThan(2)
    },
    { timeout: 30_000, interval: 200 },
  )
  expect(inMiddle.some(({ text }) => text.startsWith('bad'))).toBe(true)
  expect(atFar.filter(({ text }) => text.startsWith('bad'))).toEqual([])
  // Who sent it here, not who made it.
  expect(new Set(inMiddle.map(({ peer }) => peer))).toEqual(new Set([near.peerId]))
  expect(new Set(atFar.map(({ peer }) => peer))).toEqual(new Set([middle.peerId]))
  middle.disconnect(far.peerId)
  await vi.waitFor(() => expect(middle.peers()).not.toContain(far.peerId), { timeout: 10_000 })
})
