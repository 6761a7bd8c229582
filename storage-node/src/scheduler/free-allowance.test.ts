import type { Node } from '@ioex/chain/types'
import pino from 'pino'
import { beforeEach, describe, expect, test } from 'vitest'
import { presets } from '../../../genesis/src/presets/presets.ts'
import { type Offer, OfferKind, PLAIN_TERMS } from '../relay/offer.ts'
import { FrameKind } from '../transfer/frame-connection.ts'
import { PingAnswerType } from '../transfer/messages.ts'
import type { SecureChannel } from '../transfer/secure-channel.ts'
import type { ChannelPool, OfferBook } from './channel-pool.ts'
import { withinAllowance } from './free-allowance.ts'
import { type Candidate, orderCandidates } from './peer-choice.ts'
import { choosePeers, type Market } from './peer-market.ts'

const GIB = 2 ** 30
const params = { ...presets.ci, freeAllowanceBytes: 10 * GIB }
/** Held pay that covers a GiB, at the price of the offers below. */
const PER_GIB = 3n * params.repairFloorPrice

let next = 0
/** A peer at a host, with so much stored and so much of it covered by held pay, GiB. */
function peerAt(host: string | undefined, stored = 0, covered = 0): Candidate {
  next += 1
  const nodeKey = new Uint8Array(33)
  new DataView(nodeKey.buffer).setUint32(0, next)
  const offer: Offer = {
    ...PLAIN_TERMS,
    kind: OfferKind.storage,
    nodeKey,
    sequence: 0,
    addresses: [],
    price: 1n,
    unitPrice: 0n,
    reservationPrice: 0n,
    freeBytes: 100 * GIB,
    relays: [],
  }
  const record = { inventoryBytes: stored * GIB, held: BigInt(covered) * PER_GIB }
  const node = stored + covered === 0 ? undefined : (record as unknown as Node)
  return { offer, owner: `owner ${next}`, node, host, rttMs: 1 }
}
const allowed = (peers: readonly Candidate[], slot = 4 * GIB) =>
  withinAllowance(peers, params, slot).map((peer) => peers.indexOf(peer))

describe('the free allowance of an address prefix', () => {
  test('newcomers behind one /24 share one, other prefixes have their own', () => {
    const peers = [
      peerAt('203.0.113.1'),
      peerAt('203.0.113.2'),
      peerAt('203.0.113.250'),
      peerAt('::ffff:203.0.113.9'),
      peerAt('203.0.114.1'),
      peerAt('2001:db8:1:1::1'),
      peerAt('2001:db8:1:2::1'),
      peerAt('2001:db8:1:3::1'),
    ]
    expect(allowed(peers)).toEqual([0, 1, 4, 5, 6])
    expect(allowed(peers, 10 * GIB)).toEqual([0, 4, 5])
    expect(allowed(peers, GIB)).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
  })

  test('what the neighbours store without held pay counts, what is covered does not', () => {
    expect(allowed([peerAt('203.0.113.1'), peerAt('203.0.113.2', 7)])).toEqual([])
    expect(allowed([peerAt('203.0.113.1'), peerAt('203.0.113.2', 6)])).toEqual([0])
    expect(allowed([peerAt('203.0.113.1'), peerAt('203.0.113.2', 7, 7)])).toEqual([0, 1])
  })

  test('who has earned its bytes takes more, however full its prefix is', () => {
    const peers = [peerAt('203.0.113.1', 10), peerAt('203.0.113.2', 20, 24), peerAt('203.0.113.3')]
    expect(allowed(peers)).toEqual([1])
  })

  test('one node alone is limited by the chain, and by nothing here', () => {
    expect(allowed([peerAt('203.0.113.1', 6)])).toEqual([0])
    expect(allowed([peerAt('203.0.113.1', 16, 10)])).toEqual([0])
  })

  test('neither peers of this machine nor those without an address are limited', () => {
    const hosts = ['127.0.0.1', '127.0.0.1', '::1', '::ffff:127.0.0.1', undefined, undefined]
    expect(
      allowed(
        hosts.map((host) => peerAt(host)),
        10 * GIB,
      ),
    ).toEqual([0, 1, 2, 3, 4, 5])
  })
})

describe('placement', () => {
  test('prefixes differ as long as others are left', () => {
    const peers = ['198.51.100.1', '198.51.100.2', '198.51.100.3', '192.0.2.1', 'a.example.org']
    const hosts = orderCandidates(peers.map((host) => peerAt(host))).map(({ host }) => host)
    expect(new Set(hosts.slice(0, 3))).toEqual(
      new Set(['198.51.100.1', '192.0.2.1', 'a.example.org']),
    )
    const taken = [{ owner: undefined, host: '198.51.100.77' }]
    const [first] = orderCandidates([peerAt('198.51.100.1'), peerAt('192.0.2.1')], taken)
    expect(first?.host).toBe('192.0.2.1')
  })

  let pings: number
  beforeEach(() => {
    pings = 0
  })
  /** A channel on whose other end somebody answers pings. */
  const channel = {
    frames: {
      send: () => Promise.resolve(void (pings += 1)),
      receive: () =>
        Promise.resolve({
          kind: FrameKind.answer,
          payload: PingAnswerType.serialize({ timeMs: 1 }),
        }),
    },
  } as unknown as SecureChannel

  /** A market where each peer is reached at the address that `seen` gives for it. */
  const marketOf = (seen: (offer: Offer) => string | undefined): Market => {
    const pool = {
      acquire: (offer: Offer) => Promise.resolve({ channel, address: seen(offer) }),
      release: () => {},
    }
    return {
      chain: { params } as unknown as Market['chain'],
      offers: {} as OfferBook,
      pool: pool as unknown as ChannelPool,
      ownNodeKey: new Uint8Array(33),
      logger: pino({ level: 'silent' }),
    }
  }

  test('counts the addresses that peers are reached at, not those that they name', async () => {
    const liars = [1, 2, 3, 4, 5, 6].map((i) => peerAt(`198.51.${i}.1`))
    const market = marketOf(() => '203.0.113.5')
    const chosen = choosePeers(market, { k: 1, n: 3 }, liars, 4 * GIB)
    await expect(chosen).rejects.toMatchObject({
      code: 'PEERS_TOO_FEW',
      message: expect.stringMatching(/^2 peers .* where 3 are needed, beside 4 new ones/),
    })
    expect(pings).toBe(6)
    const two = await choosePeers(market, { k: 1, n: 2 }, liars, 4 * GIB)
    expect(two.nodes.map(({ host }) => host)).toEqual(['203.0.113.5', '203.0.113.5'])
  })

  test('a stranger cannot use up a prefix by naming it', async () => {
    const victim = peerAt('203.0.113.5', 1)
    const liars = [1, 2, 3].map((i) => peerAt(`203.0.113.${i}`, 9))
    const market = marketOf((offer) => (offer === victim.offer ? '203.0.113.5' : undefined))
    const { nodes } = await choosePeers(market, { k: 1, n: 4 }, [victim, ...liars], 4 * GIB)
    expect(nodes).toHaveLength(4)
  })

  test('eight new peers of one machine take slots as ever', async () => {
    const peers = [1, 2, 3, 4, 5, 6, 7, 8].map(() => peerAt('127.0.0.1'))
    const market = marketOf(() => '127.0.0.1')
    const { nodes, spares } = await choosePeers(market, { k: 2, n: 6 }, peers, 10 * GIB)
    expect([nodes.length, spares.length]).toEqual([6, 2])
  })
})
