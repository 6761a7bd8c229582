import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bytesToHex } from '@ioex/chain/bytes'
import { NONE } from '@ioex/chain/types'
import type { Logger } from 'pino'
import { writeSynced } from '../blobs/slot-files.ts'
import { indexFiles, type IndexedFile, type StoredManifest } from '../manifest/file-index.ts'
import { reasonOf } from '../transfer/transfer-error.ts'
import { type OwnPack, packName } from './own-packs.ts'
import { openPackManifest, readSealedManifest } from './pack-reader.ts'
import type { StoredFile } from './storage-interfaces.ts'
import type { StripeReaderOptions } from './stripe-reader.ts'

/** Manifests read at once. */
const PARALLEL = 4

export type Catalog = Map<string, IndexedFile<OwnPack>>

export interface CatalogOptions extends StripeReaderOptions {
  readonly master: Uint8Array
  /** Folder of sealed manifests read before: a cache, deleted at will. */
  readonly cacheDir: string
  readonly logger: Logger
}

/** The owner's files from manifests; a pack whose manifest cannot be read now is left out. */
export async function readCatalog(
  options: CatalogOptions,
  packs: readonly OwnPack[],
): Promise<Catalog> {
  return indexFiles(await readManifests(options, packs))
}

/** Manifests of the packs that are kept and can be read now. */
export async function readManifests(
  options: CatalogOptions,
  packs: readonly OwnPack[],
): Promise<StoredManifest<OwnPack>[]> {
  const stored: StoredManifest<OwnPack>[] = []
  const queue = packs.filter(isReadable)
  const work = async () => {
    for (let pack = queue.shift(); pack; pack = queue.shift()) {
      try {
        const sealed = await sealedManifest(options, pack)
        stored.push({ manifest: openPackManifest(options.master, pack, sealed), contract: pack })
      } catch (error) {
        const { contract } = pack
        options.logger.warn({ contract, reason: reasonOf(error) }, 'manifest not read')
      }
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, work))
  return stored
}

/**
 * False for a pack whose upload is under way or was given up, so that too few slots are filled,
 * and for one whose contract its owner is closing: what it held was removed.
 */
export function isReadable({ record, geometry }: OwnPack): boolean {
  if (record.askEpoch !== NONE) return false
  return record.rails.filter(({ rail }) => rail !== NONE).length >= geometry.k
}

/** From the cache if it is there and whole: its seal is checked like any other's. */
async function sealedManifest(options: CatalogOptions, pack: OwnPack): Promise<Uint8Array> {
  const path = join(options.cacheDir, packName(pack))
  try {
    const cached = new Uint8Array(await readFile(path))
    openPackManifest(options.master, pack, cached)
    return cached
  } catch {
    // Missing, torn or of another program version: the network has it.
  }
  const sealed = await readSealedManifest(options, pack)
  await mkdir(options.cacheDir, { recursive: true, mode: 0o700 })
  await writeSynced(path, sealed)
  return sealed
}

/** The catalog as users see it, removed files left out, by path. */
export function storedFiles(catalog: Catalog): StoredFile[] {
  const files: StoredFile[] = []
  for (const [path, { removed, versions }] of catalog) {
    const newest = versions[0]
    const first = newest?.parts[0]
    if (removed || !newest || !first) continue
    const { size, mtimeMs, sha256 } = first.entry
    const { k, n } = first.contract.geometry
    files.push({
      path,
      size,
      mtimeMs,
      sha256: bytesToHex(sha256),
      contracts: [...new Set(newest.parts.map(({ contract }) => contract.contract))],
      k,
      n,
      complete: newest.complete,
      createdMs: newest.createdMs,
    })
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1))
}
