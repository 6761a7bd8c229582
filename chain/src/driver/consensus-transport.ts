import type { PeerName } from '../consensus/machine-interface.ts'

/**
 * Direct streams to the other full nodes. Messages may be lost, delayed, repeated and reordered;
 * none is signed by the transport, so a peer name is only good for answering.
 */
export interface ConsensusTransport {
  /** To every connected peer. Never throws, never waits; drops the oldest to a slow peer. */
  broadcast(message: Uint8Array): void
  /** To one peer; silently nothing if it is not connected. */
  send(peer: PeerName, message: Uint8Array): void
  /** Connected peers. */
  peers(): readonly PeerName[]
  /** Sets the one receiver; frames above CONSENSUS_MESSAGE_BYTES_MAX never reach it. */
  onMessage(handler: (peer: PeerName, message: Uint8Array) => void): void
}
