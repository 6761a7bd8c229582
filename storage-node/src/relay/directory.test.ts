import { type Duplex, duplexPair } from 'node:stream'
import { randomBytes } from 'node:crypto'
import { utf8ToBytes } from '@ioex/chain/bytes'
import { installNativeCrypto } from '@ioex/chain/native'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { keyOf } from '../../../chain/src/rules/testing/sample-chain.ts'
import { announceOffer, fetchOffers, OfferDirectory, serveDirectory } from './directory.ts'
import {
  isGoodOffer,
  type Offer,
  OFFER_LIFE_MS,
  OfferKind,
  PLAIN_TERMS,
  signOffer,
} from './offer.ts'

const CHAIN_ID = new Uint8Array(32).fill(7)
beforeAll(async () => {
  await installNativeCrypto()
})

function offerOf(name: string, changes: Partial<Offer> = {}) {
  const key = keyOf(name)
  const offer: Offer = {
    ...PLAIN_TERMS,
    kind: OfferKind.storage,
    nodeKey: key.publicKey,
    sequence: Date.now(),
    addresses: [utf8ToBytes('127.0.0.1:1234')],
    price: 5n,
    unitPrice: 6n,
    reservationPrice: 0n,
    freeBytes: 1000,
    relays: [],
    ...changes,
  }
  return signOffer(CHAIN_ID, offer, key.secretKey)
}

/** A directory that serves streams as the control plane would hand them over. */
function served(directory: OfferDirectory, peer: Uint8Array, isBootstrap = false) {
  const news: Uint8Array[] = []
  const open = (): Promise<Duplex> => {
    const [near, far] = duplexPair()
    near.on('error', () => {})
    far.on('error', () => {})
    const server = {
      directory,
      isBootstrap: () => isBootstrap,
      onNews: ({ offer }: { offer: Offer }) => void news.push(offer.nodeKey),
    }
    // The control plane resets a stream whose handler fails; a pair must be told on both sides.
    serveDirectory(server, far, peer).catch(() => {
      far.destroy()
      near.destroy()
    })
    return Promise.resolve(near)
  }
  return { open, news }
}

describe('offers', () => {
  test('are good only as signed, on their chain, and while they are fresh', () => {
    const now = Date.now()
    const signed = offerOf('node')
    expect(isGoodOffer(CHAIN_ID, signed, now)).toBe(true)
    expect(isGoodOffer(new Uint8Array(32), signed, now)).toBe(false)
    const cheaper = { ...signed, offer: { ...signed.offer, price: 1n } }
    expect(isGoodOffer(CHAIN_ID, cheaper, now)).toBe(false)
    const stolen = { ...signed, offer: { ...signed.offer, nodeKey: keyOf('other').publicKey } }
    expect(isGoodOffer(CHAIN_ID, stolen, now)).toBe(false)
    expect(isGoodOffer(CHAIN_ID, signed, now + OFFER_LIFE_MS + 1000)).toBe(false)
    expect(isGoodOffer(CHAIN_ID, signed, now - 10 * 60_000)).toBe(false)
  })
})

describe('directory', () => {
  test('keeps the newest offer of each node and forgets the old', () => {
    const directory = new OfferDirectory(CHAIN_ID)
    const now = Date.now()
    expect(directory.add(offerOf('a', { sequence: now - 1000 }), now)).toBe(true)
    expect(directory.add(offerOf('a', { sequence: now, price: 9n }), now)).toBe(true)
    expect(directory.add(offerOf('a', { sequence: now - 500 }), now)).toBe(false)
    expect(directory.all().map(({ offer }) => offer.price)).toEqual([9n])
    directory.expire(now + OFFER_LIFE_MS + 1)
    expect(directory.size).toBe(0)
  })

  test('takes a node’s own offer, and those of others from bootstrap nodes only', async () => {
    const directory = new OfferDirectory(CHAIN_ID)
    const own = served(directory, keyOf('a').publicKey)
    expect(await announceOffer(await own.open(), offerOf('a'))).toBe(true)
    expect(await announceOffer(await own.open(), offerOf('b'))).toBe(false)
    const bootstrap = served(directory, keyOf('boot').publicKey, true)
    expect(await announceOffer(await bootstrap.open(), offerOf('b'))).toBe(true)
    // Old news is not passed on again, so that it does not go round in circles.
    expect(await announceOffer(await bootstrap.open(), offerOf('b', { sequence: 1 }))).toBe(false)
    expect(bootstrap.news).toHaveLength(1)
  })

  test('is read in pages, whole and verified', async () => {
    const directory = new OfferDirectory(CHAIN_ID)
    const names = Array.from({ length: 600 }, (_, i) => `node-${i}`)
    for (const name of names) directory.add(offerOf(name), Date.now())
    const { open } = served(directory, keyOf('reader').publicKey)
    const found = await fetchOffers(CHAIN_ID, open)
    expect(new Set(found.map(({ offer }) => String(offer.nodeKey))).size).toBe(600)
  })

  test('garbage ends the stream and nothing else', async () => {
    const directory = new OfferDirectory(CHAIN_ID)
    const { open } = served(directory, keyOf('a').publicKey)
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
        const stream = await open()
        const closed = new Promise<void>((resolve) => stream.once('close', resolve))
        stream.resume()
        stream.end(bytes)
        await closed
      }),
      { numRuns: 50 },
    )
    const stream = await open()
    stream.write(Buffer.concat([Buffer.from([255, 255, 255, 127]), randomBytes(10)]))
    stream.resume()
    await new Promise<void>((resolve) => stream.once('close', resolve))
    expect(directory.size).toBe(0)
  })
})
