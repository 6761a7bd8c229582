import type { Logger } from 'pino'
import type { ChainClient } from '../node/chain-client.ts'
import { chooseRedundancy, type Redundancy } from '../slicing/redundancy.ts'
import type { Offer } from '../relay/offer.ts'
import { ping } from '../transfer/provider-client.ts'
import { reasonOf } from '../transfer/transfer-error.ts'
import type { ChannelPool, OfferBook } from './channel-pool.ts'
import { withinAllowance } from './free-allowance.ts'
import { type Candidate, candidatesOf, orderCandidates } from './peer-choice.ts'
import { fitsTags, type PeerTags, tagsText } from './peer-tags.ts'
import { StorageError } from './storage-interfaces.ts'

/** Peers that are probed beside those needed, as spares. */
const SPARES = 4

export interface Market {
  readonly chain: ChainClient
  readonly offers: OfferBook
  readonly pool: ChannelPool
  readonly ownNodeKey: Uint8Array
  readonly logger: Logger
}

export interface Placement extends Redundancy {
  /** Peers by slot. */
  readonly nodes: Candidate[]
  /** Peers that can step in, best first. */
  readonly spares: Candidate[]
}

/**
 * How many shards the peers that offer space now allow, unless the user says so. `bytesOf` gives
 * the bytes that each peer must have free for so many data shards. Throws PEERS_TOO_FEW.
 */
export async function chooseShards(
  market: Market,
  bytesOf: (k: number) => number,
  wanted: Redundancy | undefined,
  tags: PeerTags = {},
): Promise<{ redundancy: Redundancy; candidates: Candidate[] }> {
  const offers = taggedOffers(await market.offers.storage(), wanted, tags)
  const withRoom = (k: number) =>
    candidatesOf(market.chain, offers, { slotBytes: bytesOf(k), ownNodeKey: market.ownNodeKey })
  if (wanted) return { redundancy: wanted, candidates: await withRoom(wanted.k) }
  let redundancy = redundancyFor(offers.length)
  // Fewer peers mean larger slots, which again fewer peers have room for.
  for (;;) {
    const candidates = await withRoom(redundancy.k)
    const allowed = redundancyFor(candidates.length)
    if (allowed.n >= redundancy.n) return { redundancy, candidates }
    redundancy = allowed
  }
}

/** The offers that fit the tags. Throws PEERS_TOO_FEW where the tags leave too few of them. */
function taggedOffers(
  offers: readonly Offer[],
  wanted: Redundancy | undefined,
  tags: PeerTags,
): Offer[] {
  const left = offers.filter((offer) => fitsTags(offer, tags))
  const isEnough = wanted ? left.length >= wanted.n : chooseRedundancy(left.length).ok
  if (isEnough || left.length === offers.length) return left
  const message = `${left.length} of ${offers.length} peers say that they are ${tagsText(tags)}`
  const need = wanted ? `, ${wanted.n} are needed` : ', a contract needs at least 3'
  throw new StorageError('PEERS_TOO_FEW', `${message}${need}: allow more of them`)
}

function redundancyFor(peers: number): Redundancy {
  const chosen = chooseRedundancy(peers)
  if (chosen.ok) return chosen.value
  throw new StorageError('PEERS_TOO_FEW', `${chosen.fault.message}; try again when more are on`)
}

/**
 * Picks the peers of a put: connects to more than are needed, measures them, and takes those that
 * answer, with distinct owners and address prefixes first. Throws PEERS_TOO_FEW.
 */
export async function choosePeers(
  market: Market,
  redundancy: Redundancy,
  candidates: readonly Candidate[],
  slotBytes: number,
): Promise<Placement> {
  const { k, n } = redundancy
  const ordered = orderCandidates(candidates)
  const reachable: Candidate[] = []
  let allowed: Candidate[] = []
  for (let at = 0; at < ordered.length && allowed.length < n + SPARES / 2; ) {
    const group = ordered.slice(at, at + n + SPARES - allowed.length)
    at += group.length
    const probed = await Promise.all(group.map((one) => probePeer(market, one, slotBytes)))
    reachable.push(...probed.flatMap((one) => (one ? [one] : [])))
    allowed = withinAllowance(orderCandidates(reachable), market.chain.params, slotBytes)
  }
  if (allowed.length < n) {
    const held = reachable.length - allowed.length
    const crowded = held > 0 ? `, beside ${held} new ones behind the same addresses as others` : ''
    const message = `${allowed.length} peers with room answer where ${n} are needed${crowded}`
    throw new StorageError('PEERS_TOO_FEW', `${message}: use fewer shards or try again later`)
  }
  const best = orderCandidates(allowed)
  return { k, n, nodes: best.slice(0, n), spares: best.slice(n) }
}

/** The candidate with its measured round trip and address; undefined where it does not answer. */
export async function probePeer(
  { pool, logger }: Market,
  candidate: Candidate,
  slotBytes: number,
): Promise<Candidate | undefined> {
  try {
    const channel = await pool.acquire(candidate.offer, slotBytes * 1.03)
    try {
      const rttMs = await ping(channel.channel)
      pool.release(candidate.offer, channel)
      return { ...candidate, rttMs, host: channel.address }
    } catch (error) {
      pool.discard(channel)
      throw error
    }
  } catch (error) {
    logger.debug({ reason: reasonOf(error) }, 'peer does not answer')
    return undefined
  }
}
