import { sha256 } from '../bytes/hash.ts'
import { bytesToHex, fromHex, type Hex } from '../bytes/hex.ts'
import { RecentIds } from './recent-ids.ts'
import { decodeShortIds, encodeShortIds, SHORT_IDS_MAX, shortIdOf } from './short-ids.ts'
import { BATCH_BYTES_MAX, decodeBatch, encodeBatches } from './transaction-batch.ts'

/** How often announcements leave, and what waits is looked at. */
export const RELAY_TICK_MS = 100
/** Bodies asked for at once; one question at a time to each peer. */
const PULL_MAX = 128
/** Pause after a pulled body before its peer is asked again: 200 a second, as its budget allows. */
const MS_PER_BODY = 5
/** Ids that a peer may have announced and that were not pulled yet. */
const WANTED_PER_PEER_MAX = 4096
/** Announced ids looked at per second, on average. */
const ANNOUNCED_PER_SECOND = 1000
/** Holders tried at once for what another did not give; all are with the next tick. */
const HOLDERS_TRIED = 8
/** How long a peer that did not answer is not asked, nor listened to. */
const SILENCE_MS = 10_000
/** Bodies kept for peers that ask, and for how long. */
const BODIES_BYTES_MAX = 32 * 1024 * 1024
const BODIES_KEPT_MS = 60_000
/** Announcements that wait for one slow peer. */
const QUEUE_MAX = 10_000

/** What becomes of a transaction: announced to others; not announced; and held against the peer. */
export type GossipVerdict = 'accept' | 'ignore' | 'reject'

export interface TransactionRelayOptions {
  /** SALT_BYTES random bytes, told to peers and to nobody else. */
  readonly salt: Uint8Array
  /** Asks a peer for what it announced; rejects on time-out, disconnect or too long an answer. */
  readonly ask: (peer: string, request: Uint8Array) => Promise<Uint8Array>
  readonly judge: (peer: string, transaction: Uint8Array) => GossipVerdict
  /** A peer broke the protocol. */
  readonly onFault: (peer: string) => void
  /** A clock that only goes forward, milliseconds. */
  readonly nowMs: () => number
}

/** A way to announce to a peer: its salt, and what sends a message. */
interface Link {
  readonly salt: Uint8Array
  readonly send: (message: Uint8Array) => Promise<unknown>
}

interface Peer {
  link: Link | undefined
  /** Short ids under its salt that wait to be announced, and what each stands for. */
  queue: Hex[]
  readonly offered: Map<Hex, Hex>
  isSending: boolean
  /** What it announced and we want, under our salt, in order. */
  readonly has: Set<Hex>
  isAsked: boolean
  nextPullMs: number
  silentUntilMs: number
  /** It answered the last question with a body that was asked for. */
  hasGiven: boolean
  allowance: number
  allowanceMs: number
}

interface Wanted {
  readonly holders: Set<string>
  asked: boolean
}

/**
 * Transactions between full nodes: 8-byte ids are announced in batches, bodies are pulled from one
 * who has them, and from another where that fails. Nobody can push a body, be asked for anything it
 * did not announce, or be sent the same body twice.
 */
export class TransactionRelay {
  readonly #options: TransactionRelayOptions
  readonly #peers = new Map<string, Peer>()
  readonly #wanted = new Map<Hex, Wanted>()
  /** Ids under our salt of what was judged. */
  readonly #known: RecentIds
  /** By name, oldest first. */
  readonly #bodies = new Map<Hex, { readonly bytes: Uint8Array; readonly atMs: number }>()
  #bodyBytes = 0

  constructor(options: TransactionRelayOptions) {
    this.#options = options
    this.#known = new RecentIds(options.nowMs)
  }

  /** Under which this node wants ids. */
  get salt(): Uint8Array {
    return this.#options.salt
  }

  /** What it keeps in memory now, in all and of the peer that has most. */
  sizes() {
    const peers = [...this.#peers.values()]
    const most = (sizeOf: (peer: Peer) => number) => Math.max(0, ...peers.map(sizeOf))
    return {
      peers: peers.length,
      wanted: this.#wanted.size,
      known: this.#known.size,
      bodies: this.#bodies.size,
      bodyBytes: this.#bodyBytes,
      announcedOfPeer: most(({ has }) => has.size),
      queueOfPeer: most(({ queue }) => queue.length),
      offeredToPeer: most(({ offered }) => offered.size),
    }
  }

  /** Bodies of the last minute by name, the SHA-256 of their bytes, oldest first. */
  get bodies(): ReadonlyMap<Hex, { readonly bytes: Uint8Array }> {
    return this.#bodies
  }

  /** From now on announcements reach this peer; it is told what was announced lately. */
  connect(peer: string, link: Link): void {
    const known = this.#peerOf(peer)
    known.link = link
    for (const name of this.#bodies.keys()) this.#offer(known, fromHex(name), name)
  }

  disconnect(peer: string): void {
    const gone = this.#peers.get(peer)
    if (!gone) return
    this.#peers.delete(peer)
    this.#forget(peer, gone)
  }

  /** Announces a transaction of our own, or one that was judged good. */
  publish(bytes: Uint8Array): void {
    const name = sha256(bytes)
    const hex = bytesToHex(name)
    const own = shortIdOf(this.#options.salt, name)
    const holders = this.#wanted.get(own)?.holders
    this.#settle(own)
    if (this.#bodies.has(hex)) return
    this.#keep(hex, bytes)
    for (const [id, peer] of this.#peers) {
      if (peer.link && !holders?.has(id)) this.#offer(peer, name, hex)
    }
  }

  /** A peer's announcement. */
  announced(id: string, message: Uint8Array): void {
    const ids = decodeShortIds(message)
    if (!ids) {
      this.#options.onFault(id)
      return
    }
    const peer = this.#peerOf(id)
    if (this.#options.nowMs() < peer.silentUntilMs) return
    this.#refill(peer)
    for (const shortId of ids) {
      if (peer.allowance < 1) break
      peer.allowance -= 1
      if (this.#known.has(shortId) || peer.has.size >= WANTED_PER_PEER_MAX) continue
      const wanted = this.#wanted.get(shortId) ?? { holders: new Set(), asked: false }
      wanted.holders.add(id)
      this.#wanted.set(shortId, wanted)
      peer.has.add(shortId)
    }
    this.#pull(id, peer)
  }

  /** Bodies announced to this peer and not given to it yet, as far as one answer holds. */
  serve(id: string, request: Uint8Array): Uint8Array {
    const offered = this.#peers.get(id)?.offered
    const bodies: Uint8Array[] = []
    let bytes = 0
    for (const shortId of decodeShortIds(request) ?? []) {
      const body = this.#bodies.get(offered?.get(shortId) ?? '')
      if (!body) continue
      bytes += body.bytes.length + 4
      if (bytes > BATCH_BYTES_MAX) break
      offered?.delete(shortId)
      bodies.push(body.bytes)
    }
    return encodeBatches(bodies)[0] ?? new Uint8Array(0)
  }

  /** Sends what waits and asks for what is due; called every RELAY_TICK_MS. */
  tick(): void {
    const oldest = this.#options.nowMs() - BODIES_KEPT_MS
    for (const [name, { atMs }] of this.#bodies) {
      if (atMs > oldest) break
      this.#drop(name)
    }
    for (const [id, peer] of this.#peers) {
      this.#flush(peer)
      this.#pull(id, peer)
    }
  }

  #flush(peer: Peer): void {
    const { link, queue } = peer
    if (!link || peer.isSending || queue.length === 0) return
    peer.isSending = true
    const message = encodeShortIds(queue.splice(0, SHORT_IDS_MAX))
    // A link that breaks is replaced by a new one, which offers everything again.
    link
      .send(message)
      .catch(() => undefined)
      .finally(() => {
        peer.isSending = false
      })
  }

  #offer(peer: Peer, name: Uint8Array, hex: Hex): void {
    const { link, queue, offered } = peer
    if (!link) return
    const shortId = shortIdOf(link.salt, name)
    offered.set(shortId, hex)
    queue.push(shortId)
    if (queue.length > QUEUE_MAX) queue.shift()
    const [first] = offered.keys()
    if (offered.size > QUEUE_MAX && first !== undefined) offered.delete(first)
  }

  #pull(id: string, peer: Peer): void {
    if (peer.isAsked || this.#options.nowMs() < peer.nextPullMs) return
    const ids: Hex[] = []
    for (const shortId of peer.has) {
      const wanted = this.#wanted.get(shortId)
      if (!wanted) peer.has.delete(shortId)
      if (!wanted || wanted.asked) continue
      wanted.asked = true
      ids.push(shortId)
      if (ids.length === PULL_MAX) break
    }
    if (ids.length === 0) return
    peer.isAsked = true
    this.#options.ask(id, encodeShortIds(ids)).then(
      (answer) => this.#answered(id, peer, ids, decodeBatch(answer)),
      () => {
        peer.silentUntilMs = this.#options.nowMs() + SILENCE_MS
        peer.nextPullMs = peer.silentUntilMs
        peer.hasGiven = false
        peer.allowance = 0
        this.#answered(id, peer, ids, [])
        this.#forget(id, peer)
      },
    )
  }

  #answered(id: string, peer: Peer, ids: readonly Hex[], bodies: readonly Uint8Array[]): void {
    const { salt, judge, nowMs, onFault } = this.#options
    peer.isAsked = false
    peer.nextPullMs = Math.max(peer.nextPullMs, nowMs() + bodies.length * MS_PER_BODY)
    const open = new Set(ids)
    for (const body of bodies) {
      const shortId = shortIdOf(salt, sha256(body))
      if (!open.delete(shortId)) {
        onFault(id)
        break
      }
      const verdict = judge(id, body)
      if (verdict === 'accept') this.publish(body)
      else this.#settle(shortId)
      if (verdict === 'reject') break
    }
    // An answer may have been full: as long as bodies come, the rest may come too.
    const hasMore = open.size < ids.length
    if (hasMore) peer.hasGiven = true
    for (const shortId of open) this.#askAnother(id, peer, shortId, hasMore)
  }

  /** What a peer did not give may be asked of the next one that has it. */
  #askAnother(id: string, peer: Peer, shortId: Hex, hasMore: boolean): void {
    const wanted = this.#wanted.get(shortId)
    if (!wanted) return
    wanted.asked = false
    if (!hasMore) {
      peer.has.delete(shortId)
      wanted.holders.delete(id)
    }
    if (wanted.holders.size === 0) this.#wanted.delete(shortId)
    const others = [...wanted.holders].filter((other) => other !== id)
    const hasGiven = (other: string) => this.#peers.get(other)?.hasGiven === true
    // A crowd that announces first and withholds costs one time-out, not one each.
    for (const other of [...others.filter(hasGiven), ...others].slice(0, HOLDERS_TRIED)) {
      const holder = this.#peers.get(other)
      if (holder) this.#pull(other, holder)
    }
  }

  #forget(id: string, peer: Peer): void {
    for (const shortId of peer.has) {
      const wanted = this.#wanted.get(shortId)
      wanted?.holders.delete(id)
      if (wanted?.holders.size === 0) this.#wanted.delete(shortId)
    }
    peer.has.clear()
  }

  #settle(shortId: Hex): void {
    this.#known.add(shortId)
    this.#wanted.delete(shortId)
  }

  #keep(name: Hex, bytes: Uint8Array): void {
    this.#bodies.set(name, { bytes, atMs: this.#options.nowMs() })
    this.#bodyBytes += bytes.length
    for (const oldest of this.#bodies.keys()) {
      if (this.#bodyBytes <= BODIES_BYTES_MAX) break
      this.#drop(oldest)
    }
  }

  #drop(name: Hex): void {
    this.#bodyBytes -= this.#bodies.get(name)?.bytes.length ?? 0
    this.#bodies.delete(name)
  }

  #refill(peer: Peer): void {
    const now = this.#options.nowMs()
    const more = (Math.max(0, now - peer.allowanceMs) / 1000) * ANNOUNCED_PER_SECOND
    peer.allowance = Math.min(WANTED_PER_PEER_MAX, peer.allowance + more)
    peer.allowanceMs = now
  }

  #peerOf(id: string): Peer {
    const known = this.#peers.get(id)
    if (known) return known
    const peer: Peer = {
      link: undefined,
      queue: [],
      offered: new Map(),
      isSending: false,
      has: new Set(),
      isAsked: false,
      nextPullMs: 0,
      silentUntilMs: 0,
      hasGiven: false,
      allowance: WANTED_PER_PEER_MAX,
      allowanceMs: this.#options.nowMs(),
    }
    this.#peers.set(id, peer)
    return peer
  }
}
