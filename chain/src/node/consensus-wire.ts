import { randomBytes } from 'node:crypto'
import { CompactProposals } from '../driver/compact-proposals.ts'
import type { ConsensusTransport } from '../driver/consensus-transport.ts'
import type { FullNodeNetwork } from '../net/full-node-network.ts'

/** Consensus messages over the network's streams; none is heard while the node is held. */
export function consensusTransport(
  network: FullNodeNetwork,
  isHeld: () => boolean,
): ConsensusTransport {
  const transport: ConsensusTransport = {
    broadcast: (message) => network.broadcastConsensus(message),
    send: (peer, message) => network.sendConsensus(peer, message),
    peers: () => network.peers(),
    onMessage: (handler) =>
      network.onConsensusMessage((peer, message) => {
        if (!isHeld()) handler(peer, message)
      }),
  }
  return new CompactProposals({
    transport,
    known: () => network.recentTransactions,
    newSalt: () => new Uint8Array(randomBytes(16)),
    nowMs: () => performance.now(),
  })
}
