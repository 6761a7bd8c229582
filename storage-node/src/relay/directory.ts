import type { Duplex } from 'node:stream'
import { ContainerType, ListCompositeType, UnionType } from '@chainsafe/ssz'
import { bytesEqual, bytesToHex, compareBytes } from '@ioex/chain/bytes'
import { Bool, PublicKeyBytes, U16, ZERO_KEY } from '@ioex/chain/types'
import { readMessage, writeMessage } from '../transfer/length-prefixed.ts'
import {
  isGoodOffer,
  OFFER_LIFE_MS,
  SIGNED_OFFER_BYTES_MAX,
  type SignedOffer,
  SignedOfferType,
} from './offer.ts'

export const DIRECTORY_PROTOCOL = '/ioex/directory/1'
/** Offers that a directory keeps. */
const OFFERS_MAX = 20_000
const OFFERS_PER_ANSWER_MAX = 256
const ANSWER_MS = 10_000

/** Offers whose node key is above `after`, in order of the key: a page. */
const ListRequestType = new ContainerType({ after: PublicKeyBytes, limit: U16 })
const RequestType = new UnionType([SignedOfferType, ListRequestType])
const REQUEST_BYTES_MAX = SIGNED_OFFER_BYTES_MAX + 1
const AcceptedType = new ContainerType({ accepted: Bool })
const PageType = new ContainerType({
  offers: new ListCompositeType(SignedOfferType, OFFERS_PER_ANSWER_MAX),
})
const PAGE_BYTES_MAX = OFFERS_PER_ANSWER_MAX * (SIGNED_OFFER_BYTES_MAX + 4) + 8

/**
 * Who offers what, as bootstrap nodes know it: signed offers by node key, the newest of each,
 * until they expire.
 */
export class OfferDirectory {
  readonly #chainId: Uint8Array
  readonly #offers = new Map<string, SignedOffer>()

  constructor(chainId: Uint8Array) {
    this.#chainId = chainId
  }

  get size(): number {
    return this.#offers.size
  }

  /** Takes an offer; false if it is bad, old news, or there is no room. */
  add(signed: SignedOffer, nowMs: number): boolean {
    const key = bytesToHex(signed.offer.nodeKey)
    const known = this.#offers.get(key)
    if (known && known.offer.sequence >= signed.offer.sequence) return false
    if (!known && this.#offers.size >= OFFERS_MAX) this.expire(nowMs)
    if (!known && this.#offers.size >= OFFERS_MAX) return false
    if (!isGoodOffer(this.#chainId, signed, nowMs)) return false
    this.#offers.set(key, signed)
    return true
  }

  /** The newest offer of a node. */
  get(nodeKey: Uint8Array): SignedOffer | undefined {
    return this.#offers.get(bytesToHex(nodeKey))
  }

  expire(nowMs: number): void {
    for (const [key, { offer }] of this.#offers) {
      if (offer.sequence < nowMs - OFFER_LIFE_MS) this.#offers.delete(key)
    }
  }

  all(): SignedOffer[] {
    return [...this.#offers.values()]
  }

  page(after: Uint8Array, limit: number): SignedOffer[] {
    return this.all()
      .filter(({ offer }) => compareBytes(offer.nodeKey, after) > 0)
      .sort((a, b) => compareBytes(a.offer.nodeKey, b.offer.nodeKey))
      .slice(0, limit)
  }
}

export interface DirectoryServer {
  readonly directory: OfferDirectory
  /** Whether this node may bring offers of others: only other bootstrap nodes may. */
  isBootstrap(nodeKey: Uint8Array): boolean
  /** A new offer was taken: pass it on. */
  onNews(signed: SignedOffer, from: Uint8Array): void
}

/** Answers one request of the directory protocol. */
export async function serveDirectory(
  server: DirectoryServer,
  stream: Duplex,
  peer: Uint8Array,
): Promise<void> {
  const bounds = { bytesMax: REQUEST_BYTES_MAX, timeoutMs: ANSWER_MS }
  const request = await readMessage(stream, RequestType, bounds)
  if (request.selector === 0) {
    const signed = request.value as SignedOffer
    const mayBring = bytesEqual(signed.offer.nodeKey, peer) || server.isBootstrap(peer)
    const accepted = mayBring && server.directory.add(signed, Date.now())
    await writeMessage(stream, AcceptedType, { accepted })
    if (accepted) server.onNews(signed, peer)
  } else {
    const { after, limit } = request.value as { after: Uint8Array; limit: number }
    server.directory.expire(Date.now())
    const offers = server.directory.page(after, Math.min(limit, OFFERS_PER_ANSWER_MAX))
    await writeMessage(stream, PageType, { offers })
  }
  stream.end()
}

/** Sends an offer to a directory; false if it was not taken. Closes the stream. */
export async function announceOffer(stream: Duplex, signed: SignedOffer): Promise<boolean> {
  try {
    await writeMessage(stream, RequestType, { selector: 0, value: signed })
    const bounds = { bytesMax: AcceptedType.fixedSize ?? 1, timeoutMs: ANSWER_MS }
    return (await readMessage(stream, AcceptedType, bounds)).accepted
  } finally {
    stream.destroy()
  }
}

/** All good offers of a directory; `open` gives a fresh stream for each page. */
export async function fetchOffers(
  chainId: Uint8Array,
  open: () => Promise<Duplex>,
): Promise<SignedOffer[]> {
  const found: SignedOffer[] = []
  let after: Uint8Array = ZERO_KEY
  while (found.length < OFFERS_MAX) {
    const page = await fetchPage(await open(), after)
    const last = page[page.length - 1]
    // A directory that repeats itself would never end.
    if (!last || compareBytes(last.offer.nodeKey, after) <= 0) break
    const now = Date.now()
    found.push(...page.filter((signed) => isGoodOffer(chainId, signed, now)))
    if (page.length < OFFERS_PER_ANSWER_MAX) break
    after = last.offer.nodeKey
  }
  return found
}

async function fetchPage(stream: Duplex, after: Uint8Array): Promise<SignedOffer[]> {
  try {
    const value = { after, limit: OFFERS_PER_ANSWER_MAX }
    await writeMessage(stream, RequestType, { selector: 1, value })
    const bounds = { bytesMax: PAGE_BYTES_MAX, timeoutMs: ANSWER_MS }
    return (await readMessage(stream, PageType, bounds)).offers
  } finally {
    stream.destroy()
  }
}
