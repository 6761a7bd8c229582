import type { PeerName } from '../../consensus/machine-interface.ts'
import type { ConsensusTransport } from '../consensus-transport.ts'

type Receiver = (peer: PeerName, message: Uint8Array) => void

/** Streams between nodes of one process: every message arrives, later, in the order of sending. */
export class MemoryNetwork {
  readonly #receivers = new Map<PeerName, Receiver>()
  /** Sees every message; false drops it. */
  filter: (from: PeerName, to: PeerName, message: Uint8Array) => boolean = () => true

  /** A node's end of the network; joining again under a name replaces the former end. */
  join(name: PeerName): ConsensusTransport {
    const others = () => [...this.#receivers.keys()].filter((peer) => peer !== name)
    return {
      broadcast: (message) => {
        for (const peer of others()) this.deliver(name, peer, message)
      },
      send: (peer, message) => this.deliver(name, peer, message),
      peers: others,
      onMessage: (handler) => {
        this.#receivers.set(name, handler)
      },
    }
  }

  leave(name: PeerName): void {
    this.#receivers.delete(name)
  }

  /** A message that arrives at once: what the receiver throws is thrown here. */
  receive(at: PeerName, from: PeerName, message: Uint8Array): void {
    this.#receivers.get(at)?.(from, message.slice())
  }

  deliver(from: PeerName, to: PeerName, message: Uint8Array): void {
    if (!this.filter(from, to, message)) return
    // Copied, as a socket would: nobody may rely on sharing memory with its peer.
    const copy = message.slice()
    setImmediate(() => this.#receivers.get(to)?.(from, copy))
  }
}
