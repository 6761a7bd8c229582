import type { PeerName } from '../consensus/machine-interface.ts'

/** Messages that wait while the machine is busy; more are dropped, as a network would. */
const MESSAGES_MAX = 2048
const BYTES_MAX = 32 * 1024 * 1024
const MESSAGES_PER_PEER_MAX = 512
const BYTES_PER_PEER_MAX = 8 * 1024 * 1024

interface Load {
  messages: number
  bytes: number
}

/** Counts what waits, in all and by peer, so that one loud peer leaves room for the others. */
export class MessageInbox {
  readonly #all: Load = { messages: 0, bytes: 0 }
  readonly #peers = new Map<PeerName, Load>()

  /** True if the message may wait; the caller answers with release. */
  admit(peer: PeerName, bytes: number): boolean {
    const ofPeer = this.#peers.get(peer) ?? { messages: 0, bytes: 0 }
    const all = this.#all
    if (all.messages >= MESSAGES_MAX || all.bytes + bytes > BYTES_MAX) return false
    if (ofPeer.messages >= MESSAGES_PER_PEER_MAX) return false
    if (ofPeer.bytes + bytes > BYTES_PER_PEER_MAX) return false
    this.#peers.set(peer, ofPeer)
    for (const load of [all, ofPeer]) {
      load.messages += 1
      load.bytes += bytes
    }
    return true
  }

  release(peer: PeerName, bytes: number): void {
    const ofPeer = this.#peers.get(peer)
    if (!ofPeer) return
    for (const load of [this.#all, ofPeer]) {
      load.messages -= 1
      load.bytes -= bytes
    }
    if (ofPeer.messages === 0) this.#peers.delete(peer)
  }
}
