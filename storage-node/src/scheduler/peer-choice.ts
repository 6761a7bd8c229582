import { addressOf, bytesEqual, bytesToHex } from '@ioex/chain/bytes'
import type { Node } from '@ioex/chain/types'
import type { ChainClient } from '../node/chain-client.ts'
import { addressesOf, type Offer } from '../relay/offer.ts'
import { isQuietAt } from '../transfer/service-limits.ts'
import { prefixOf } from './network-prefix.ts'

/** A peer that could take a slot. */
export interface Candidate {
  readonly offer: Offer
  /** Owner's address (hex) where the chain knows the node. */
  readonly owner: string | undefined
  /** Its record where the chain knows it. */
  readonly node: Node | undefined
  /**
   * Host it advertises, once it was reached the IP address that it was reached at; undefined where
   * nobody can dial it.
   */
  readonly host: string | undefined
  /** Measured round trip, milliseconds. */
  readonly rttMs: number
}

export interface CandidateWishes {
  readonly slotBytes: number
  /** This client's own node, which must not keep its own backup. */
  readonly ownNodeKey: Uint8Array
}

/** Offers with room for the slots, with what the chain knows of their owners. */
export async function candidatesOf(
  chain: ChainClient,
  offers: readonly Offer[],
  wishes: CandidateWishes,
  nowMs = Date.now(),
): Promise<Candidate[]> {
  const candidates: Candidate[] = []
  for (const offer of offers) {
    if (offer.freeBytes < wishes.slotBytes || isResting(offer, nowMs)) continue
    if (bytesEqual(offer.nodeKey, wishes.ownNodeKey)) continue
    const node = await chain.node(addressOf(offer.nodeKey))
    if (node?.record.evicted) continue
    candidates.push({
      offer,
      owner: node && bytesToHex(node.record.owner),
      node: node?.record,
      host: hostOf(offer),
      rttMs: Number.POSITIVE_INFINITY,
    })
  }
  return candidates
}

/** Host of the first address that an offer names. */
export function hostOf(offer: Offer): string | undefined {
  return addressesOf(offer)[0]?.replace(/:\d+$/, '')
}

/** True in the quiet hours that an offer names. */
export function isResting(offer: Offer, nowMs: number): boolean {
  return isQuietAt({ fromMinute: offer.quietFrom, toMinute: offer.quietTo }, nowMs)
}

/**
 * Orders candidates: cheap before dear, near before far; then takes them so that owners and
 * address prefixes differ as long as others are left (PROTOCOL 10: placement trusts what is
 * observed), from those in `taken` too.
 */
export function orderCandidates(
  candidates: readonly Candidate[],
  taken: readonly Pick<Candidate, 'owner' | 'host'>[] = [],
): Candidate[] {
  const sorted = [...candidates].sort(
    (a, b) => compare(a.offer.price, b.offer.price) || compare(a.rttMs, b.rttMs),
  )
  const order: Candidate[] = []
  const owners = new Map<string, number>()
  const prefixes = new Map<string, number>()
  for (const { owner, host } of taken) {
    count(owners, owner)
    count(prefixes, host && prefixOf(host))
  }
  while (sorted.length > 0) {
    let best = 0
    for (let i = 1; i < sorted.length; i++) {
      if (crowding(sorted[i], owners, prefixes) < crowding(sorted[best], owners, prefixes)) best = i
    }
    const [next] = sorted.splice(best, 1)
    if (!next) break
    order.push(next)
    count(owners, next.owner)
    count(prefixes, next.host && prefixOf(next.host))
  }
  return order
}

function compare<T extends number | bigint>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** How many peers of its owner, then of its address prefix, are taken already. */
function crowding(
  candidate: Candidate | undefined,
  owners: ReadonlyMap<string, number>,
  prefixes: ReadonlyMap<string, number>,
): number {
  const ofOwner = candidate?.owner === undefined ? 0 : (owners.get(candidate.owner) ?? 0)
  const ofPrefix = candidate?.host ? (prefixes.get(prefixOf(candidate.host)) ?? 0) : 0
  return ofOwner * 1000 + ofPrefix
}

function count(counts: Map<string, number>, key: string | undefined): void {
  if (key !== undefined) counts.set(key, (counts.get(key) ?? 0) + 1)
}
