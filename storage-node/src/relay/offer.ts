import { ContainerType, ListCompositeType, type ValueOf } from '@chainsafe/ssz'
import { publicKeyOf, sign, signingDigest, verifySignature } from '@ioex/chain/bytes'
import {
  byteList,
  Bytes20,
  Count64,
  PublicKeyBytes,
  SignatureBytes,
  U16,
  U32,
  U8,
  Units64,
  ZERO_ADDRESS,
} from '@ioex/chain/types'

/** What a node offers: disk space, or relaying. */
export const OfferKind = { storage: 1, relay: 2 } as const

const ADDRESS_BYTES_MAX = 128
const ADDRESSES_MAX = 4
export const REGION_BYTES_MAX = 16

export const OfferType = new ContainerType(
  {
    kind: U8,
    nodeKey: PublicKeyBytes,
    /** Milliseconds since 1970 when it was signed: a newer offer replaces an older one. */
    sequence: Count64,
    /**
     * Text. Storage: "host:port" of the data plane, none where nobody can dial the node. Relay:
     * multiaddrs with /p2p/.
     */
    addresses: new ListCompositeType(byteList(ADDRESS_BYTES_MAX), ADDRESSES_MAX),
    /** Units per GiB-epoch; 0 for a relay. */
    price: Units64,
    /** Units per GiB moved. */
    unitPrice: Units64,
    /** Units per reservation-hour; 0 for storage. */
    reservationPrice: Units64,
    /** Free bytes; 0 for a relay, and for a node that takes no transfers just now. */
    freeBytes: Count64,
    /** Bytes that it gives in all, and that it moves in a day; 0: not said, no limit. */
    capacityBytes: Count64,
    bytesPerDay: Count64,
    /** Minutes of the day, UTC, between which it serves no transfers; equal: none. */
    quietFrom: U16,
    quietTo: U16,
    /** Self-declared, so they may only narrow a choice: region as text, and network number. */
    region: byteList(REGION_BYTES_MAX),
    asn: U32,
    /** Where its pay goes; zero for what the chain's record says. */
    payout: Bytes20,
    /** Bootstrap nodes over which the node can be reached. */
    relays: new ListCompositeType(PublicKeyBytes, ADDRESSES_MAX),
  },
  { typeName: 'Offer' },
)
export type Offer = ValueOf<typeof OfferType>

/** What an offer says about limits where its node has none. */
export const PLAIN_TERMS = {
  capacityBytes: 0,
  bytesPerDay: 0,
  quietFrom: 0,
  quietTo: 0,
  region: new Uint8Array(0),
  asn: 0,
  payout: ZERO_ADDRESS,
} satisfies Partial<Offer>

export const SignedOfferType = new ContainerType({ offer: OfferType, signature: SignatureBytes })
export type SignedOffer = ValueOf<typeof SignedOfferType>
export const SIGNED_OFFER_BYTES_MAX = 1024

/** After this long without a newer one an offer is forgotten; nodes repeat theirs well before. */
export const OFFER_LIFE_MS = 10 * 60_000
export const OFFER_REPEAT_MS = 60_000
const CLOCK_AHEAD_MS = 2 * 60_000

export function signOffer(chainId: Uint8Array, offer: Offer, nodeKey: Uint8Array): SignedOffer {
  const signed = { ...offer, nodeKey: publicKeyOf(nodeKey) }
  return { offer: signed, signature: sign(digestOf(chainId, signed), nodeKey) }
}

/** True iff the node it names signed it and it is neither too old nor of the future. */
export function isGoodOffer(chainId: Uint8Array, signed: SignedOffer, nowMs: number): boolean {
  const { offer, signature } = signed
  if (offer.kind !== OfferKind.storage && offer.kind !== OfferKind.relay) return false
  if (offer.sequence > nowMs + CLOCK_AHEAD_MS || offer.sequence < nowMs - OFFER_LIFE_MS) {
    return false
  }
  return verifySignature(signature, digestOf(chainId, offer), offer.nodeKey)
}

function digestOf(chainId: Uint8Array, offer: Offer): Uint8Array {
  return signingDigest('offer', chainId, OfferType.hashTreeRoot(offer))
}

const decoder = new TextDecoder('utf-8', { fatal: false })

/** Addresses of an offer as text; whatever is not text becomes an address that no dial takes. */
export function addressesOf(offer: Offer): string[] {
  return offer.addresses.map((address) => decoder.decode(address))
}

/** The region that an offer names; empty where it names none. */
export function regionOf(offer: Offer): string {
  return decoder.decode(offer.region)
}
