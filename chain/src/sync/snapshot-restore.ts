import { assert } from '../bytes/assert.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import {
  chunkKey,
  InventoryChunkType,
  inventoryKey,
  RewardChunkType,
  recordCodecs,
  recordKey,
  rewardKey,
  SIDE_LIST_CHUNK,
  snapshotKey,
  stateTags,
  type TableName,
} from '../state/record-tables.ts'
import type { Header } from '../types/consensus-objects.ts'
import type { SyncPeers } from './sync-peers.ts'
import { ChunkFetch, type RestoreOptions, SnapshotStalledError } from './chunk-fetch.ts'
import {
  type ChunkContent,
  type ChunkPlace,
  checkChunk,
  checkManifest,
  chunkLevel,
  inventoryPlaces,
  recordPlaces,
  rewardPlaces,
} from './snapshot-format.ts'
import type { SnapshotManifest } from './snapshot-messages.ts'
import type { SnapshotShelf } from './snapshot-shelf.ts'
import {
  SnapshotsAnswerType,
  SYNC_FRAME_BYTES_MAX,
  SyncRequestKind,
  syncRequest,
} from './sync-messages.ts'

/** What peers have to offer: their newest snapshots by epoch, with who has them. */
export async function snapshotOffers(peers: SyncPeers): Promise<Map<number, string[]>> {
  const offers = new Map<number, string[]>()
  await Promise.all(
    peers.peers().map(async (peer) => {
      const answer = await askSnapshots(peers, peer, 0)
      for (const epoch of new Set(answer?.epochs)) {
        offers.set(epoch, [...(offers.get(epoch) ?? []), peer])
      }
    }),
  )
  return offers
}

/**
 * Fetches the state at a trusted checkpoint from untrusted peers, several at once, onto the shelf.
 * Each chunk is proven alone when it arrives; what an earlier try brought is proven again and
 * kept. Throws SnapshotStalledError when no peer gives what is missing.
 */
export async function fetchSnapshot(options: RestoreOptions): Promise<void> {
  const { shelf, header } = options
  const { manifest, bytes } = await manifestOf(options)
  await shelf.begin(header.epoch, bytes)
  const fetch = new ChunkFetch(options)
  const records = recordPlaces(manifest)
  await fetch.complete(records, 0)
  await fetch.complete(await sidePlaces(options, records), records.length)
  await shelf.finish(header.epoch, bytes)
}

async function manifestOf(
  options: RestoreOptions,
): Promise<{ manifest: SnapshotManifest; bytes: Uint8Array }> {
  const { peers, shelf, header, onBadPeer } = options
  const begun = await shelf.unfinished()
  if (begun?.epoch === header.epoch) {
    const checked = checkManifest(begun.manifest, header)
    if (checked.ok) return { manifest: checked.value, bytes: begun.manifest }
  }
  for (const peer of peers.peers()) {
    const answer = await askSnapshots(peers, peer, header.epoch)
    if (!answer || answer.manifest.length === 0) continue
    const checked = checkManifest(answer.manifest, header)
    if (checked.ok) return { manifest: checked.value, bytes: answer.manifest }
    onBadPeer?.(peer, checked.fault)
  }
  throw new SnapshotStalledError(`no peer offers a snapshot of epoch ${header.epoch}`)
}

async function askSnapshots(peers: SyncPeers, peer: string, epoch: number) {
  try {
    const request = syncRequest(SyncRequestKind.snapshots, { epoch })
    const bytes = await peers.ask(peer, request, SYNC_FRAME_BYTES_MAX)
    const answer = decodeCanonical(SnapshotsAnswerType, bytes, SYNC_FRAME_BYTES_MAX)
    return answer.ok ? answer.value : undefined
  } catch {
    return undefined
  }
}

/** The chunks that stand behind nodes and epochs, once their records are here. */
async function sidePlaces(
  { shelf, header }: Pick<RestoreOptions, 'shelf' | 'header'>,
  records: readonly ChunkPlace[],
): Promise<ChunkPlace[]> {
  const places: ChunkPlace[] = []
  const add = (more: readonly ChunkPlace[]) => {
    for (const place of more) places.push(place)
  }
  for (const [ordinal, place] of records.entries()) {
    if (place.kind !== 'records') continue
    const { table, index } = place
    if (table !== 'nodes' && table !== 'epochs') continue
    const content = await provenChunk(shelf, header.epoch, ordinal, place)
    assert(content.kind === 'records', 'a chunk holds what its place says')
    const first = index * 2 ** chunkLevel(table)
    for (const [i, bytes] of content.records.entries()) {
      if (table === 'nodes') {
        add(inventoryPlaces(first + i, recordCodecs.nodes.deserialize(bytes)))
      } else {
        add(rewardPlaces(first + i, recordCodecs.epochs.deserialize(bytes)))
      }
    }
  }
  return places
}

/** A chunk on the shelf is damaged: it was removed and must be fetched again. */
export class ShelfDamagedError extends Error {
  override name = 'ShelfDamagedError'
}

async function provenChunk(
  shelf: SnapshotShelf,
  epoch: number,
  ordinal: number,
  place: ChunkPlace,
): Promise<ChunkContent> {
  const bytes = await shelf.chunk(epoch, ordinal)
  const checked = bytes && checkChunk(place, bytes)
  if (checked?.ok) return checked.value
  await shelf.remove(epoch, ordinal)
  throw new ShelfDamagedError(`chunk ${ordinal} of the snapshot of epoch ${epoch} is damaged`)
}

interface Entry {
  readonly key: string
  readonly bytes: Uint8Array
}

/**
 * The state's entries out of a whole snapshot on the shelf, proven once more on the way. Throws
 * ShelfDamagedError where the disk gives back something else than was put there.
 */
export async function* snapshotEntries(
  shelf: SnapshotShelf,
  header: Header,
): AsyncIterable<readonly Entry[]> {
  const bytes = await shelf.manifest(header.epoch)
  const manifest = bytes && checkManifest(bytes, header)
  if (!manifest?.ok) throw new ShelfDamagedError('the manifest of the snapshot is damaged')
  const { peg, globals } = manifest.value
  yield [
    { key: stateTags.peg, bytes: peg },
    { key: stateTags.globals, bytes: globals },
  ]
  const records = recordPlaces(manifest.value)
  for (const [ordinal, place] of records.entries()) {
    const content = await provenChunk(shelf, header.epoch, ordinal, place)
    if (place.kind === 'records' && content.kind === 'records') {
      yield recordEntries(place.table, place.index, content.records)
    }
  }
  const side = await sidePlaces({ shelf, header }, records)
  let list: { key: string; entries: unknown[] } | undefined
  for (const [i, place] of side.entries()) {
    const content = await provenChunk(shelf, header.epoch, records.length + i, place)
    const key = listKey(place)
    if (list?.key !== key) {
      if (list) yield listEntries(list.key, list.entries)
      list = { key, entries: [] }
    }
    for (const entry of slice(content)) list.entries.push(entry)
  }
  if (list) yield listEntries(list.key, list.entries)
}

function recordEntries(table: TableName, index: number, records: readonly Uint8Array[]): Entry[] {
  const first = index * 2 ** chunkLevel(table)
  return records.map((bytes, i) => ({ key: recordKey(table, first + i), bytes }))
}

function listKey(place: ChunkPlace): string {
  assert(place.kind !== 'records', 'a side chunk is a slice of a list')
  if (place.kind === 'rewards') return rewardKey(place.epoch)
  const { node, epoch } = place
  return epoch === undefined ? inventoryKey(node) : snapshotKey(node, epoch)
}

function slice(content: ChunkContent): readonly unknown[] {
  assert(content.kind !== 'records', 'a side chunk is a slice of a list')
  return content.kind === 'rewards' ? content.fees : content.entries
}

/** A list as the state room stores it. */
function listEntries(key: string, entries: readonly unknown[]): Entry[] {
  const type = key.startsWith(stateTags.rewardLeaves) ? RewardChunkType : InventoryChunkType
  const stored: Entry[] = []
  for (let at = 0; at < entries.length; at += SIDE_LIST_CHUNK) {
    const part = entries.slice(at, at + SIDE_LIST_CHUNK)
    // The key's tag says which of the two entries the list holds.
    const bytes = type.serialize(part as never)
    stored.push({ key: chunkKey(key, at / SIDE_LIST_CHUNK), bytes })
  }
  return stored
}
