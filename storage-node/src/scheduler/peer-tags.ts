import { type Offer, regionOf } from '../relay/offer.ts'

/**
 * Where the peers of a put may say that they are. Offers are believed in this alone, and only to
 * leave peers out (PROTOCOL 10): nobody is preferred for what it says of itself.
 */
export interface PeerTags {
  /** Regions of which a peer must name one, in any case of letters; undefined: any peer will do. */
  readonly regions?: readonly string[] | undefined
  /** Networks whose peers are left out; one that names no network stays. */
  readonly avoidAsns?: readonly number[] | undefined
}

/** True where the offer names a wanted region and no network to avoid. */
export function fitsTags(offer: Offer, { regions, avoidAsns = [] }: PeerTags): boolean {
  const named = regionOf(offer).toLowerCase()
  const isThere = regions?.some((region) => region.toLowerCase() === named) ?? true
  return isThere && !avoidAsns.includes(offer.asn)
}

/** What is wanted, in words. */
export function tagsText({ regions, avoidAsns = [] }: PeerTags): string {
  const parts = [
    ...(regions ? [`in region ${regions.join(' or ')}`] : []),
    ...(avoidAsns.length > 0 ? [`outside network ${avoidAsns.join(', ')}`] : []),
  ]
  return parts.join(' and ')
}
