import type { Hex } from '../bytes/hex.ts'
import type { PeerName } from '../consensus/machine-interface.ts'

/** Bodies of next epoch's proposals kept until it starts, in all and from one peer. */
const EARLY_BODIES_MAX = 16
const EARLY_BODIES_PER_PEER_MAX = 2

/** A proposal of the next epoch waits in the relay; its body waits here. */
export class EarlyBodies {
  #bodies = new Map<Hex, { readonly peer: PeerName; readonly body: Uint8Array }>()

  /** False where it is not kept. `isBody` costs work and is asked only where there is room. */
  keep(peer: PeerName, hash: Hex, body: Uint8Array, isBody: () => boolean): boolean {
    if (this.#bodies.has(hash)) return true
    const ofPeer = [...this.#bodies.values()].filter((each) => each.peer === peer)
    if (ofPeer.length >= EARLY_BODIES_PER_PEER_MAX) return false
    if (this.#bodies.size >= EARLY_BODIES_MAX || !isBody()) return false
    this.#bodies.set(hash, { peer, body })
    return true
  }

  /** How many are kept, in all and of the peer that sent most. */
  sizes() {
    const ofPeer = new Map<PeerName, number>()
    for (const { peer } of this.#bodies.values()) ofPeer.set(peer, (ofPeer.get(peer) ?? 0) + 1)
    return { bodies: this.#bodies.size, bodiesOfPeer: Math.max(0, ...ofPeer.values()) }
  }

  /** All of them, by block; none is left. */
  take(): [Hex, Uint8Array][] {
    const taken = [...this.#bodies].map(([hash, { body }]): [Hex, Uint8Array] => [hash, body])
    this.#bodies.clear()
    return taken
  }
}
