import { assert, bytesToHex, compareBytes } from '@ioex/chain/bytes'
import { decodePath } from './file-path.ts'
import type { FileEntry, Manifest } from './manifest.ts'

/** A manifest and where its pack is stored. */
export interface StoredManifest<Contract> {
  readonly manifest: Manifest
  readonly contract: Contract
}

/** One version of a file, from one put. */
export interface FileVersion<Contract> {
  readonly device: Uint8Array
  readonly sequence: number
  readonly createdMs: number
  /** All parts in order; a version with a missing part is incomplete and comes last. */
  readonly parts: readonly { readonly entry: FileEntry; readonly contract: Contract }[]
  readonly complete: boolean
}

export interface IndexedFile<Contract> {
  /** The last writer removed it; its versions can still be read while their contracts last. */
  readonly removed: boolean
  /** Newest first. */
  readonly versions: readonly FileVersion<Contract>[]
}

type Writer = Pick<Manifest, 'device' | 'sequence'>

/**
 * Order of two puts: by sequence, which every device sets above all it has seen (a Lamport
 * clock), then by device; the same on every device (PROTOCOL 5.5).
 */
export function compareWriters(a: Writer, b: Writer): number {
  return a.sequence - b.sequence || compareBytes(a.device, b.device)
}

/**
 * The owner's files by path, rebuilt from manifests in any order: the last writer wins, the
 * others stay as versions. There is no index object; this is what the local one is a cache of.
 */
export function indexFiles<Contract>(
  stored: readonly StoredManifest<Contract>[],
): Map<string, IndexedFile<Contract>> {
  const versions = new Map<string, FileVersion<Contract>[]>()
  const removals = new Map<string, Writer>()
  for (const put of putsOf(stored)) {
    for (const [path, version] of versionsOf(put)) {
      append(versions, path, version)
    }
    for (const { manifest } of put) {
      for (const path of manifest.tombstones) noteRemoval(removals, textOf(path), manifest)
    }
  }
  return new Map(
    [...versions].map(([path, found]) => {
      const byWriter = found.toSorted(
        (a, b) => Number(b.complete) - Number(a.complete) || compareWriters(b, a),
      )
      const removal = removals.get(path)
      const newest = byWriter[0] as FileVersion<Contract>
      const removed = removal !== undefined && compareWriters(removal, newest) > 0
      return [path, { removed, versions: byWriter }]
    }),
  )
}

/** Packs of the same put together, each pack once. */
function putsOf<Contract>(stored: readonly StoredManifest<Contract>[]) {
  const puts = new Map<string, Map<number, StoredManifest<Contract>>>()
  for (const item of stored) {
    const { device, sequence, pack } = item.manifest
    const name = `${bytesToHex(device)}:${sequence}`
    const packs = puts.get(name) ?? new Map<number, StoredManifest<Contract>>()
    packs.set(pack, item)
    puts.set(name, packs)
  }
  return [...puts.values()].map((packs) => [...packs.values()])
}

function versionsOf<Contract>(
  put: readonly StoredManifest<Contract>[],
): Map<string, FileVersion<Contract>> {
  const found = new Map<string, { entry: FileEntry; contract: Contract }[]>()
  for (const { manifest, contract } of put) {
    for (const entry of manifest.files) {
      append(found, textOf(entry.path), { entry, contract })
    }
  }
  const [first] = put
  assert(first, 'a put has a pack')
  const { device, sequence, createdMs } = first.manifest
  return new Map(
    [...found].map(([path, unsorted]) => {
      const parts = unsorted.toSorted((a, b) => a.entry.part - b.entry.part)
      const complete = isComplete(parts.map(({ entry }) => entry))
      return [path, { device, sequence, createdMs, parts, complete }]
    }),
  )
}

/** Parts follow one another from the first to the last byte of the file. */
function isComplete(parts: readonly FileEntry[]): boolean {
  let end = 0
  for (const [index, { part, partOffset, partBytes }] of parts.entries()) {
    if (part !== index || partOffset !== end) return false
    end += partBytes
  }
  const [first] = parts
  return first !== undefined && parts.length === first.parts && end === first.size
}

function append<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const list = lists.get(key)
  if (list) list.push(item)
  else lists.set(key, [item])
}

function noteRemoval(removals: Map<string, Writer>, path: string, writer: Writer): void {
  const known = removals.get(path)
  if (!known || compareWriters(writer, known) > 0) removals.set(path, writer)
}

function textOf(path: Uint8Array): string {
  const text = decodePath(path)
  assert(text.ok, 'paths of a decoded manifest are valid')
  return text.value
}
