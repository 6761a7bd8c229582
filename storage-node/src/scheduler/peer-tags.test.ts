import { utf8ToBytes } from '@ioex/chain/bytes'
import pino from 'pino'
import { describe, expect, test } from 'vitest'
import { type Offer, OfferKind, PLAIN_TERMS } from '../relay/offer.ts'
import type { ChannelPool, OfferBook } from './channel-pool.ts'
import { chooseShards, type Market } from './peer-market.ts'
import type { PeerTags } from './peer-tags.ts'

let next = 1
const offerOf = (region: string, asn = 0): Offer => ({
  ...PLAIN_TERMS,
  kind: OfferKind.storage,
  nodeKey: new Uint8Array(33).fill(next++),
  sequence: 0,
  addresses: [],
  price: 1n,
  unitPrice: 1n,
  reservationPrice: 0n,
  freeBytes: 2 ** 30,
  relays: [],
  region: utf8ToBytes(region),
  asn,
})

/** A market that is asked who offers, and no more. */
function marketOf(offers: readonly Offer[]): Market {
  return {
    chain: { node: () => Promise.resolve(undefined) } as unknown as Market['chain'],
    offers: { storage: () => Promise.resolve(offers) } as unknown as OfferBook,
    pool: {} as ChannelPool,
    ownNodeKey: new Uint8Array(33),
    logger: pino({ level: 'silent' }),
  }
}

const nothing = () => 1
const places = async (offers: readonly Offer[], tags: PeerTags) => {
  const { candidates } = await chooseShards(marketOf(offers), nothing, undefined, tags)
  return candidates.map(({ offer }) => offers.indexOf(offer))
}

describe('what peers say of their place only leaves them out', () => {
  const offers = [
    offerOf('eu'),
    offerOf('EU', 64_500),
    offerOf('us'),
    offerOf('', 64_501),
    offerOf('eu'),
    offerOf('us', 64_500),
    offerOf('eu', 64_502),
  ]

  test('without wishes everybody is asked', async () => {
    expect(await places(offers, {})).toEqual([0, 1, 2, 3, 4, 5, 6])
  })

  test('regions in any case of letters; who names none is in none', async () => {
    expect(await places(offers, { regions: ['Eu'] })).toEqual([0, 1, 4, 6])
    expect(await places(offers, { regions: ['eu', 'us'] })).toEqual([0, 1, 2, 4, 5, 6])
  })

  test('networks to avoid; who names none stays', async () => {
    expect(await places(offers, { avoidAsns: [64_500, 64_501] })).toEqual([0, 2, 4, 6])
    const both = { regions: ['eu'], avoidAsns: [64_500] }
    expect(await places(offers, both)).toEqual([0, 4, 6])
  })

  test('where too few are left, the message says so and why', async () => {
    const few = chooseShards(marketOf(offers), nothing, undefined, { regions: ['us'] })
    await expect(few).rejects.toMatchObject({
      code: 'PEERS_TOO_FEW',
      message: expect.stringMatching(/^2 of 7 peers say that they are in region us, a contract/),
    })
    const tags = { regions: ['eu', 'us'], avoidAsns: [64_500] }
    const wanted = { k: 2, n: 5 }
    await expect(chooseShards(marketOf(offers), nothing, wanted, tags)).rejects.toMatchObject({
      code: 'PEERS_TOO_FEW',
      message: expect.stringMatching(
        /^4 of 7 .* in region eu or us and outside network 64500, 5 are needed/,
      ),
    })
    const enough = await chooseShards(marketOf(offers), nothing, { k: 2, n: 4 }, tags)
    expect(enough.candidates).toHaveLength(4)
  })
})
