import { addressOf, bytesEqual, bytesToHex, LEAF_BYTES } from '@ioex/chain/bytes'
import type { Contract } from '@ioex/chain/types'
import { withinAllowance } from '../scheduler/free-allowance.ts'
import { type Candidate, candidatesOf, hostOf, orderCandidates } from '../scheduler/peer-choice.ts'
import { type Market, probePeer } from '../scheduler/peer-market.ts'
import type { ContractWatch } from './watch-contract.ts'

/** Peers probed beside those needed. */
const SPARES = 2

export interface ReplacementWishes {
  /** Slots to be taken. */
  readonly wanted: number
  /** Node keys (hex) of an interrupted repair: first, where they still answer. */
  readonly before: readonly string[]
  /** Node keys (hex) that failed just now. */
  readonly avoid: ReadonlySet<string>
}

/**
 * Peers that can take open slots, best first: none that has, or had, a slot of this
 * contract (one loss must not cost two slots), none above the contract's price caps, and owners
 * and hosts unlike those that hold the other slots as long as there are such.
 */
export async function chooseReplacements(
  market: Market,
  watch: ContractWatch,
  { wanted, before, avoid }: ReplacementWishes,
): Promise<Candidate[]> {
  const { record } = watch
  const slotBytes = (record.leaves || record.maxLeaves) * LEAF_BYTES
  const holders = watch.slots.flatMap(({ node }) => (node ? [node.record] : []))
  const formers = await formerNodes(market, watch)
  const offers = await market.offers.storage()
  const wishes = { slotBytes, ownNodeKey: market.ownNodeKey }
  const candidates = (await candidatesOf(market.chain, offers, wishes)).filter(
    ({ offer }) =>
      fitsCaps(offer, record) &&
      !avoid.has(bytesToHex(offer.nodeKey)) &&
      !holders.some(({ nodeKey }) => bytesEqual(nodeKey, offer.nodeKey)) &&
      !formers.has(bytesToHex(addressOf(offer.nodeKey))),
  )
  const liveKeys = watch.slots.flatMap(({ node, vacancy }) =>
    node && !vacancy ? [{ node: node.record }] : [],
  )
  const taken = liveKeys.map(({ node }) => {
    const offer = offers.find(({ nodeKey }) => bytesEqual(nodeKey, node.nodeKey))
    return { owner: bytesToHex(node.owner), host: offer && hostOf(offer) }
  })
  const wasChosen = ({ offer }: Candidate) => before.includes(bytesToHex(offer.nodeKey))
  const order = orderCandidates(candidates, taken)
  const ordered = [...order.filter(wasChosen), ...order.filter((one) => !wasChosen(one))]
  const found: Candidate[] = []
  for (let at = 0; at < ordered.length && found.length < wanted + SPARES; ) {
    const group = ordered.slice(at, at + wanted + SPARES - found.length)
    at += group.length
    const probed = await Promise.all(group.map((one) => probePeer(market, one, slotBytes)))
    found.push(...probed.flatMap((one) => (one ? [one] : [])))
  }
  return withinAllowance(found, market.chain.params, slotBytes)
}

function fitsCaps(
  { price, unitPrice }: { price: bigint; unitPrice: bigint },
  { priceCap, unitPriceCap }: Contract,
): boolean {
  return price <= priceCap && unitPrice <= unitPriceCap
}

/** Addresses (hex) of nodes whose rails a refill replaced and that are not closed yet. */
async function formerNodes({ chain }: Market, watch: ContractWatch): Promise<Set<string>> {
  const addresses = new Set<string>()
  if (watch.record.detached === 0) return addresses
  for (const { record } of await chain.railsOfPayer(watch.record.payer)) {
    if (record.contract !== watch.contract) continue
    const node = await chain.nodeAt(record.node)
    if (node) addresses.add(bytesToHex(addressOf(node.nodeKey)))
  }
  return addresses
}
