import type { Type } from '@chainsafe/ssz'
import { sha256 } from '../bytes/hash.ts'
import { bytesEqual, bytesToHex, concatBytes, fromHex, type Hex } from '../bytes/hex.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import type { ConsensusMessage, PeerName } from '../consensus/machine-interface.ts'
import {
  type CompactProposal,
  CompactProposalType,
  joinBody,
  PiecesRequestType,
  PiecesType,
  placesOf,
  shortIdIn,
  splitBody,
} from './compact-codec.ts'
import { BLOCK_BODY_BYTES_MAX } from '../types/transactions.ts'
import type { ConsensusTransport } from './consensus-transport.ts'
import { CONSENSUS_FRAME_BYTES_MAX, decodeMessage, encodeMessage } from './message-codec.ts'

/** Kind bytes beside those of message-codec.ts. */
const Kind = { compact: 16, piecesRequest: 17, pieces: 18 } as const

/** A smaller body goes out whole: one round less where somebody lacks a transaction. */
const COMPACT_ABOVE_BYTES = 8 * 1024
/** Own proposals whose pieces can be asked for. */
const SENT_KEPT = 4
/** For what is missing, and for everything where ids turn out to be ambiguous. */
const ANSWERS_PER_PEER = 2
/** Proposals of one peer that wait for pieces, and compact ones looked at in a second. */
const WAITING_PER_PEER = 2
const COMPACT_PER_SECOND = 8
/** Proposals of all peers that are compared with what is known, in a second; names are free. */
const COMPARED_PER_SECOND = 8
/** What peers brought with proposals that wait for pieces, in all; the oldest give way. */
const WAITING_BYTES_MAX = 64 * 1024 * 1024
/** Known transactions compared with a proposal's ids, newest first: 20 ms of hashing. */
const KNOWN_COMPARED_MAX = 32_768

type Proposal = Extract<ConsensusMessage, { type: 'proposal' }>['proposal']

export interface CompactOptions {
  readonly transport: ConsensusTransport
  /** Serialized transactions that went from node to node of late, by SHA-256, oldest first. */
  readonly known: () => ReadonlyMap<Hex, { readonly bytes: Uint8Array }>
  /** 16 random bytes. */
  readonly newSalt: () => Uint8Array
  /** A clock that only goes forward, ms. */
  readonly nowMs: () => number
}

interface Sent {
  readonly transactions: readonly Uint8Array[]
  /** How often each peer was given pieces. */
  readonly answered: Map<PeerName, number>
}

interface Waiting {
  readonly peer: PeerName
  /** Of the message that brought it. */
  readonly bytes: number
  readonly proposal: Proposal
  readonly digest: Uint8Array
  /** By place; a hole is asked for. */
  readonly transactions: (Uint8Array | undefined)[]
  readonly missing: readonly number[]
}

/**
 * A transport on which proposals travel without the transactions that their receivers have: a MiB
 * of transfers as 40 kB. The receiver puts the message together again, byte for byte, and asks the
 * proposer for what it lacks. Above it nobody notices: consensus sends and gets whole messages.
 */
export class CompactProposals implements ConsensusTransport {
  readonly #options: CompactOptions
  readonly #sent = new Map<Hex, Sent>()
  /** By peer and digest, oldest first. */
  readonly #waiting = new Map<string, Waiting>()
  #waitingBytes = 0
  #looked = new Map<PeerName, number>()
  #compared = 0
  #secondMs = 0
  #handler: (peer: PeerName, message: Uint8Array) => void = () => undefined

  constructor(options: CompactOptions) {
    this.#options = options
    options.transport.onMessage((peer, message) => this.#receive(peer, message))
  }

  broadcast(message: Uint8Array): void {
    this.#options.transport.broadcast(this.#compacted(message) ?? message)
  }

  send(peer: PeerName, message: Uint8Array): void {
    this.#options.transport.send(peer, message)
  }

  peers(): readonly PeerName[] {
    return this.#options.transport.peers()
  }

  onMessage(handler: (peer: PeerName, message: Uint8Array) => void): void {
    this.#handler = handler
  }

  /** Undefined where the message is no proposal with a body worth it. */
  #compacted(message: Uint8Array): Uint8Array | undefined {
    if (message.length < COMPACT_ABOVE_BYTES) return undefined
    const wire = decodeMessage(message)
    if (!wire.ok || wire.value.type !== 'consensus') return undefined
    const { message: said, body } = wire.value
    if (said.type !== 'proposal' || body.length < COMPACT_ABOVE_BYTES) return undefined
    const transactions = splitBody(body)
    if (!transactions) return undefined
    const salt = this.#options.newSalt()
    const known = this.#options.known()
    const ids: Uint8Array[] = []
    const whole: CompactProposal['whole'] = []
    for (const [index, transaction] of transactions.entries()) {
      const name = sha256(transaction)
      if (known.has(bytesToHex(name))) ids.push(shortIdIn(salt, name))
      else whole.push({ index, transaction })
    }
    const digest = sha256(message)
    this.#sent.set(bytesToHex(digest), { transactions, answered: new Map() })
    keepNewest(this.#sent, SENT_KEPT)
    return frame(Kind.compact, CompactProposalType, { digest, salt, ...said.proposal, ids, whole })
  }

  #receive(peer: PeerName, message: Uint8Array): void {
    switch (message[0]) {
      case Kind.compact:
        return this.#expand(peer, message)
      case Kind.piecesRequest:
        return this.#answer(peer, message)
      case Kind.pieces:
        return this.#complete(peer, message)
      default:
        return this.#handler(peer, message)
    }
  }

  #expand(peer: PeerName, message: Uint8Array): void {
    if (!this.#mayLook(peer)) return
    const compact = decoded(CompactProposalType, message)
    const places = compact && placesOf(compact)
    if (!compact || !places) return
    const { header, justification, leaderVote, digest, salt } = compact
    const ids = places.filter((place) => typeof place === 'string')
    // Above the budget everything is asked for, as if nothing were known: nobody is shut out.
    const found = this.#mayCompare() ? this.#find(salt, new Set(ids)) : new Map<Hex, Uint8Array>()
    const transactions = places.map((place) =>
      typeof place === 'string' ? found.get(place) : place,
    )
    const missing = [...transactions.keys()].filter((index) => !transactions[index])
    const proposal = { header, justification, leaderVote }
    const bytes = message.length
    const waiting = { peer, bytes, proposal, digest, transactions, missing }
    if (missing.length === 0 && this.#deliver(peer, waiting)) return
    // Nothing is missing and yet it does not come out: two transactions have the same id.
    this.#ask(peer, missing.length > 0 ? waiting : { ...waiting, missing: [...places.keys()] })
  }

  #find(salt: Uint8Array, wanted: ReadonlySet<Hex>): ReadonlyMap<Hex, Uint8Array> {
    const found = new Map<Hex, Uint8Array>()
    const newest = [...this.#options.known()].slice(-KNOWN_COMPARED_MAX)
    for (const [name, { bytes }] of newest) {
      const id = bytesToHex(shortIdIn(salt, fromHex(name)))
      if (wanted.has(id)) found.set(id, bytes)
      if (found.size === wanted.size) break
    }
    return found
  }

  #ask(peer: PeerName, waiting: Waiting): void {
    this.#keep(waiting)
    const request = { digest: waiting.digest, indexes: [...waiting.missing] }
    this.send(peer, frame(Kind.piecesRequest, PiecesRequestType, request))
  }

  #keep(waiting: Waiting): void {
    const { peer, digest, bytes } = waiting
    this.#take(peer, digest)
    this.#waiting.set(waitingKey(peer, digest), waiting)
    this.#waitingBytes += bytes
    const connected = new Set(this.peers())
    let ofPeer = 0
    for (const each of [...this.#waiting.values()].reverse()) {
      if (each.peer === peer) ofPeer += 1
      const isTooMany = each.peer === peer && ofPeer > WAITING_PER_PEER
      if (isTooMany || !connected.has(each.peer)) this.#take(each.peer, each.digest)
    }
    for (const oldest of this.#waiting.values()) {
      if (this.#waitingBytes <= WAITING_BYTES_MAX) return
      this.#take(oldest.peer, oldest.digest)
    }
  }

  #take(peer: PeerName, digest: Uint8Array): Waiting | undefined {
    const key = waitingKey(peer, digest)
    const waiting = this.#waiting.get(key)
    this.#waitingBytes -= waiting?.bytes ?? 0
    this.#waiting.delete(key)
    return waiting
  }

  /** Proposals that wait for pieces, and the bytes that came with them. */
  sizes() {
    return { waiting: this.#waiting.size, bytes: this.#waitingBytes }
  }

  #answer(peer: PeerName, message: Uint8Array): void {
    const request = decoded(PiecesRequestType, message)
    const sent = request && this.#sent.get(bytesToHex(request.digest))
    const answered = sent?.answered.get(peer) ?? 0
    // No place twice: an answer is never longer than the proposal was.
    const isRepeated = request && new Set(request.indexes).size !== request.indexes.length
    if (!sent || isRepeated || answered >= ANSWERS_PER_PEER) return
    sent.answered.set(peer, answered + 1)
    const transactions = request.indexes.flatMap((index) => sent.transactions[index] ?? [])
    const { digest } = request
    this.send(peer, frame(Kind.pieces, PiecesType, { digest, transactions }))
  }

  #complete(peer: PeerName, message: Uint8Array): void {
    const pieces = decoded(PiecesType, message)
    const expected = pieces && this.#waiting.get(waitingKey(peer, pieces.digest))
    if (!expected || pieces.transactions.length !== expected.missing.length) return
    const waiting = this.#take(peer, pieces.digest) ?? expected
    for (const [i, index] of waiting.missing.entries()) {
      waiting.transactions[index] = pieces.transactions[i]
    }
    if (this.#deliver(peer, waiting)) return
    const all = [...waiting.transactions.keys()]
    if (waiting.missing.length < all.length) this.#ask(peer, { ...waiting, missing: all })
  }

  /** False where the message is not the one that the proposer sent. */
  #deliver(peer: PeerName, { proposal, digest, transactions }: Waiting): boolean {
    // An id can be named many times and stand for a large transaction.
    const bytes = transactions.reduce((sum, each) => sum + (each?.length ?? 0), 0)
    if (bytes > BLOCK_BODY_BYTES_MAX) return false
    const body = joinBody(transactions as Uint8Array[])
    if (body.length > BLOCK_BODY_BYTES_MAX) return false
    const said: ConsensusMessage = { type: 'proposal', proposal }
    const message = encodeMessage({ type: 'consensus', message: said, body })
    if (!bytesEqual(sha256(message), digest)) return false
    this.#handler(peer, message)
    return true
  }

  #mayCompare(): boolean {
    this.#compared += 1
    return this.#compared <= COMPARED_PER_SECOND
  }

  #mayLook(peer: PeerName): boolean {
    const nowMs = this.#options.nowMs()
    if (nowMs - this.#secondMs >= 1000) {
      this.#secondMs = nowMs
      this.#looked = new Map()
      this.#compared = 0
    }
    const looked = (this.#looked.get(peer) ?? 0) + 1
    this.#looked.set(peer, looked)
    return looked <= COMPACT_PER_SECOND
  }
}

function frame<T>(kind: number, type: Type<T>, value: T): Uint8Array {
  return concatBytes(Uint8Array.of(kind), type.serialize(value))
}

function decoded<T>(type: Type<T>, message: Uint8Array): T | undefined {
  const value = decodeCanonical(type, message.subarray(1), CONSENSUS_FRAME_BYTES_MAX)
  return value.ok ? value.value : undefined
}

function waitingKey(peer: PeerName, digest: Uint8Array): string {
  return `${peer}/${bytesToHex(digest)}`
}

function keepNewest(map: Map<Hex, unknown>, count: number): void {
  for (const oldest of map.keys()) {
    if (map.size <= count) return
    map.delete(oldest)
  }
}
