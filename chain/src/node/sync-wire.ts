import type { FullNodeNetwork } from '../net/full-node-network.ts'
import type { SyncPeers } from '../sync/sync-peers.ts'

/** Questions of block sync over the network's streams. */
export function syncPeersOf(network: FullNodeNetwork): SyncPeers {
  return {
    peers: () => network.peers(),
    ask: (...question) => network.requestSync(...question),
  }
}
