import type { Fault } from '../bytes/result.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import type { Header } from '../types/consensus-objects.ts'
import type { SyncPeers } from './sync-peers.ts'
import { checkChunk, type ChunkPlace } from './snapshot-format.ts'
import type { SnapshotShelf } from './snapshot-shelf.ts'
import {
  ChunksAnswerType,
  SYNC_CHUNKS_MAX,
  SYNC_FRAME_BYTES_MAX,
  SyncRequestKind,
  syncRequest,
} from './sync-messages.ts'

/** No peer gives the rest of the snapshot; what was fetched is kept for another try. */
export class SnapshotStalledError extends Error {
  override name = 'SnapshotStalledError'
}

export interface RestoreOptions {
  readonly peers: SyncPeers
  readonly shelf: SnapshotShelf
  /** Of the checkpoint whose state is wanted; trusted. */
  readonly header: Header
  /** Chunks that are here and proven, and how many are known of so far. */
  readonly onProgress?: (done: number, known: number) => void
  /** This peer gave bytes that prove it wrong. */
  readonly onBadPeer?: (peer: string, fault: Fault) => void
}

const REQUESTS_PER_PEER = 4
/** Chunks of records are up to a MiB, so that an answer holds about four. */
const RECORD_CHUNKS_PER_REQUEST = 4
/** Failures to answer after which a peer is left alone. */
const FAILURES_MAX = 3
/** One chunk that proves wrong is enough: no accident makes one. */
const BAD_CHUNK_PENALTY = FAILURES_MAX

/** Brings the chunks of one snapshot onto the shelf, from all peers at once. */
export class ChunkFetch {
  readonly #options: RestoreOptions
  /** Failures by peer. */
  readonly #failures = new Map<string, number>()
  #done = 0
  #known = 0

  constructor(options: RestoreOptions) {
    this.#options = options
  }

  /** Fetches those chunks at ordinals from `first` on that are not on the shelf yet. */
  async complete(places: readonly ChunkPlace[], first: number): Promise<void> {
    this.#known += places.length
    const missing = await this.#missing(places, first)
    this.#done += places.length - missing.length
    this.#report()
    while (missing.length > 0) {
      const willing = this.#willing()
      if (willing.length === 0) {
        throw new SnapshotStalledError(`${missing.length} chunks are offered by no peer any more`)
      }
      // Peer by peer before the second request of any, so that few chunks come from many.
      const loops = Array.from({ length: REQUESTS_PER_PEER }, () =>
        willing.map((peer) => this.#drain(peer, missing, places, first)),
      ).flat()
      await Promise.all(loops)
    }
  }

  #willing(): string[] {
    const failures = (peer: string) => this.#failures.get(peer) ?? 0
    return this.#options.peers.peers().filter((peer) => failures(peer) < FAILURES_MAX)
  }

  /** Ordinals in order; chunks of an interrupted try count only if they still prove right. */
  async #missing(places: readonly ChunkPlace[], first: number): Promise<number[]> {
    const { shelf, header } = this.#options
    const missing: number[] = []
    for (const [i, place] of places.entries()) {
      const bytes = await shelf.chunk(header.epoch, first + i)
      if (!bytes || !checkChunk(place, bytes).ok) missing.push(first + i)
    }
    return missing
  }

  async #drain(
    peer: string,
    missing: number[],
    places: readonly ChunkPlace[],
    first: number,
  ): Promise<void> {
    while (missing.length > 0 && (this.#failures.get(peer) ?? 0) < FAILURES_MAX) {
      const next = places[(missing[0] as number) - first]
      const most = next?.kind === 'records' ? RECORD_CHUNKS_PER_REQUEST : SYNC_CHUNKS_MAX
      const taken = takeRun(missing, most)
      const arrived = await this.#ask(peer, taken, places, first)
      this.#done += arrived
      for (const ordinal of taken.slice(arrived)) missing.push(ordinal)
      missing.sort((a, b) => a - b)
      this.#report()
    }
  }

  /** How many of the asked chunks arrived and are proven: always the first ones. */
  async #ask(
    peer: string,
    ordinals: readonly number[],
    places: readonly ChunkPlace[],
    first: number,
  ): Promise<number> {
    const { shelf, header, onBadPeer } = this.#options
    const from = ordinals[0] as number
    let arrived = 0
    for (const chunk of await this.#answer(peer, from, ordinals.length)) {
      const checked = checkChunk(places[from + arrived - first] as ChunkPlace, chunk)
      if (!checked.ok) {
        this.#blame(peer, BAD_CHUNK_PENALTY)
        onBadPeer?.(peer, checked.fault)
        return arrived
      }
      await shelf.put(header.epoch, from + arrived, chunk)
      arrived += 1
    }
    if (arrived === 0) this.#blame(peer, 1)
    return arrived
  }

  /** Nothing on a time-out, disconnect or nonsense. */
  async #answer(peer: string, from: number, count: number): Promise<readonly Uint8Array[]> {
    const { peers, header } = this.#options
    const request = syncRequest(SyncRequestKind.chunks, { epoch: header.epoch, from, count })
    try {
      const bytes = await peers.ask(peer, request, SYNC_FRAME_BYTES_MAX)
      const answer = decodeCanonical(ChunksAnswerType, bytes, SYNC_FRAME_BYTES_MAX)
      return answer.ok ? answer.value.chunks.slice(0, count) : []
    } catch {
      return []
    }
  }

  #blame(peer: string, penalty: number): void {
    this.#failures.set(peer, (this.#failures.get(peer) ?? 0) + penalty)
  }

  #report(): void {
    this.#options.onProgress?.(this.#done, this.#known)
  }
}

/** Takes ordinals in a row from the front. */
function takeRun(ordinals: number[], max: number): number[] {
  let length = 1
  while (length < max && ordinals[length] === (ordinals[0] as number) + length) length++
  return ordinals.splice(0, length)
}
