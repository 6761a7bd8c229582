import type { LightChainClient } from '@ioex/rpc/client'
import type { BootstrapNode, PeerNode } from '@ioex/storage-node/node'
import type { NodeHealth } from '../operate/health-server.ts'
import { counter, gauge, type Metric } from '../operate/metrics.ts'

/** Without a new head for so long, the full nodes that were named are of no use. */
const STALE_MS = 60_000

type Head = Awaited<ReturnType<LightChainClient['head']>>

/** What peers and bootstrap nodes have in common: a certified head that others feed them. */
function thinHealth(
  chain: LightChainClient,
  own: {
    hindrances(): Promise<readonly string[]> | readonly string[]
    facts(): Promise<object> | object
    metrics(): Promise<readonly Metric[]> | readonly Metric[]
  },
): NodeHealth {
  let newest: { readonly head: Head; readonly seenMs: number } | undefined
  const take = (head: Head) => {
    newest = { head, seenMs: Date.now() }
  }
  chain.onHead(take)
  void chain.head().then(take, () => undefined)
  const isStale = () => newest === undefined || Date.now() - newest.seenMs > STALE_MS
  return {
    isSyncing: () => newest === undefined,
    async hindrances() {
      const stale = isStale() ? ['no full node gives a new certified head'] : []
      const alarm = chain.alarm ? ['two certified histories exist: ask the operators'] : []
      return [...alarm, ...stale, ...(await own.hindrances())]
    },
    facts: async () => ({
      height: newest?.head.height,
      epoch: newest?.head.epoch,
      ...(await own.facts()),
    }),
    async metrics() {
      const lagMs = newest ? Math.max(0, Date.now() - newest.head.timeMs) : 0
      return [
        gauge('chain_height', 'Height of the newest certified head', newest?.head.height ?? 0),
        gauge('chain_epoch', 'Epoch of the newest certified head', newest?.head.epoch ?? 0),
        gauge('finality_lag_seconds', 'Age of the newest certified head', lagMs / 1000),
        ...(await own.metrics()),
      ]
    },
  }
}

export function bootstrapHealth(chain: LightChainClient, node: BootstrapNode): NodeHealth {
  return thinHealth(chain, {
    hindrances: () => [],
    facts: () => node.status(),
    metrics() {
      const { connections, offers, relay, reservations, redeems } = node.status()
      return [
        gauge('bootstrap_connections', 'Linked peers and bootstrap nodes', connections),
        gauge('bootstrap_offers', 'Offers in the directory', offers),
        gauge('relay_sessions', 'Relayed sessions now', relay.sessions),
        counter('relay_sessions_total', 'Relayed sessions', relay.sessionsTotal),
        counter('relay_bytes_total', 'Bytes relayed', relay.bytesTotal),
        counter('relay_cut_total', 'Sessions cut because nobody paid', relay.cutTotal),
        gauge('relay_paid_links', 'Links that peers pay for', reservations.links),
        counter('relay_link_epochs_total', 'Epochs of paid links', reservations.unitsTotal),
        counter('relay_links_cut_total', 'Paid links cut unpaid', reservations.cutTotal),
        counter('redeems_total', 'Redeem transactions sent', redeems.sent),
      ]
    },
  })
}

export function peerHealth(chain: LightChainClient, node: PeerNode): NodeHealth {
  return thinHealth(chain, {
    async hindrances() {
      const { bootstrap, slots } = await node.status()
      return [
        ...(bootstrap === undefined ? ['no bootstrap node is linked'] : []),
        ...(slots.damaged > 0 ? [`${slots.damaged} damaged slots`] : []),
      ]
    },
    facts: () => node.status(),
    async metrics() {
      const { slots, proofs, redeems, bytesIn, bytesOut, bootstrap, paidLinks } =
        await node.status()
      return [
        gauge('peer_bootstrap_linked', '1 if a bootstrap node is linked', bootstrap ? 1 : 0),
        gauge('peer_paid_links', 'Links to relays that the owner pays for', paidLinks.length),
        gauge('peer_slots', 'Slots stored', slots.stored),
        gauge('peer_slots_damaged', 'Slots whose bytes are damaged', slots.damaged),
        gauge('peer_stored_bytes', 'Bytes of slots', slots.bytes),
        gauge('peer_capacity_bytes', 'Bytes that slots may take', slots.capacityBytes),
        counter('peer_received_bytes_total', 'Bytes taken in', bytesIn),
        counter('peer_sent_bytes_total', 'Bytes given out', bytesOut),
        counter('proofs_total', 'Proofs sent', proofs.sent),
        counter('proofs_refused_total', 'Proofs refused by the chain', proofs.refused),
        counter('redeems_total', 'Redeem transactions sent', redeems.sent),
      ]
    },
  })
}
