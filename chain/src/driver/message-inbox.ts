import type { PeerName } from '../consensus/machine-interface.ts'

/** Messages that wait while the machine is busy; more are dropped, as a network would. */
const MESSAGES_MAX = 2048
const BYTES_MAX = 32 * 1024 * 1024
const MESSAGES_PER_PEER_MAX = 512
const BYTES_PER_PEER_MAX = 8 * 1024 * 1024

interface Queue {
  readonly messages: Uint8Array[]
  bytes: number
}

export interface WaitingMessage {
  readonly peer: PeerName
  readonly bytes: Uint8Array
}

/**
 * Messages that wait, taken by turns among the peers. Where there is no room the one with the most
 * gives way: a few loud peers neither keep the others out nor make them wait for long.
 */
export class MessageInbox {
  /** In the order of their turns. */
  readonly #peers = new Map<PeerName, Queue>()
  #messages = 0
  #bytes = 0

  get size(): number {
    return this.#messages
  }

  /** False if the message is dropped. */
  put(peer: PeerName, message: Uint8Array): boolean {
    const queue = this.#peers.get(peer) ?? { messages: [], bytes: 0 }
    const { length } = message
    if (queue.messages.length >= MESSAGES_PER_PEER_MAX) return false
    if (queue.bytes + length > BYTES_PER_PEER_MAX) return false
    const after = share(queue.messages.length + 1, queue.bytes + length)
    while (this.#messages >= MESSAGES_MAX || this.#bytes + length > BYTES_MAX) {
      if (!this.#dropOfLoudest(after)) return false
    }
    queue.messages.push(message)
    this.#peers.set(peer, queue)
    this.#count(queue, 1, length)
    return true
  }

  /** What waits now, in all and of the peer that has most. */
  sizes() {
    const queues = [...this.#peers.values()]
    return {
      messages: this.#messages,
      bytes: this.#bytes,
      messagesOfPeer: Math.max(0, ...queues.map(({ messages }) => messages.length)),
      bytesOfPeer: Math.max(0, ...queues.map(({ bytes }) => bytes)),
    }
  }

  take(): WaitingMessage | undefined {
    const [next] = this.#peers
    if (!next) return undefined
    const [peer, queue] = next
    const bytes = queue.messages.shift()
    this.#peers.delete(peer)
    if (queue.messages.length > 0) this.#peers.set(peer, queue)
    if (!bytes) return undefined
    this.#count(queue, -1, -bytes.length)
    return { peer, bytes }
  }

  /** Drops the newest message of the peer with the most, if that is more than a share. */
  #dropOfLoudest(than: number): boolean {
    let loudest: [PeerName, Queue] | undefined
    let most = than
    for (const [peer, queue] of this.#peers) {
      const taken = share(queue.messages.length, queue.bytes)
      if (taken <= most) continue
      most = taken
      loudest = [peer, queue]
    }
    const dropped = loudest?.[1].messages.pop()
    if (!loudest || !dropped) return false
    this.#count(loudest[1], -1, -dropped.length)
    if (loudest[1].messages.length === 0) this.#peers.delete(loudest[0])
    return true
  }

  #count(queue: Queue, messages: number, bytes: number): void {
    queue.bytes += bytes
    this.#messages += messages
    this.#bytes += bytes
  }
}

/** How much of the room somebody takes: 1 is all of it. */
function share(messages: number, bytes: number): number {
  return Math.max(messages / MESSAGES_MAX, bytes / BYTES_MAX)
}
