import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import writeFileAtomic from 'write-file-atomic'
import { assert } from '../bytes/assert.ts'
import { bytesToHex } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { blockHash } from '../types/block.ts'
import {
  BLOCKS_FOLDER,
  blockFile,
  encodeRecord,
  type ExportManifest,
  type ExportRecord,
  fileStart,
  frameRecord,
  GENESIS_FILE,
  MANIFEST_FILE,
  manifestText,
  PARTIAL_MANIFEST_FILE,
} from './export-format.ts'
import { notThere, readBlocks, readManifest } from './read-export.ts'

/** Of whom an export is. */
export interface ExportIdentity {
  readonly folder: string
  /** Lower-case hex. */
  readonly chainId: string
  /** What genesis.json of the export says. */
  readonly genesisText: string
}

/** Files that a crash of ours can have left: the next run writes them anew. */
const OWN_REMAINS = /^(manifest(\.partial)?\.json|genesis\.json|\d{8}-\d{8}\.bin)(\.\d+)?$/

/**
 * Writes an export, or goes on with one that was interrupted or has grown old. Files are written
 * whole and atomically; the manifest of what is safe follows each of them, so that after a crash
 * at any place the next run goes on from the last whole file.
 */
export class ExportWriter {
  readonly #identity: ExportIdentity
  /** Framed records of the file in work. */
  #framed: Uint8Array[] = []
  #last: ExportManifest | undefined
  #isCertified = false

  private constructor(identity: ExportIdentity) {
    this.#identity = identity
  }

  /**
   * Faults with EXPORT_OTHER_CHAIN, EXPORT_DAMAGED, or EXPORT_FOLDER_IN_USE where the folder holds
   * something else.
   */
  static async open(identity: ExportIdentity): Promise<Result<ExportWriter>> {
    const { folder } = identity
    await mkdir(join(folder, BLOCKS_FOLDER), { recursive: true })
    const foreign = await foreignEntry(folder)
    if (foreign !== undefined) {
      return fault(
        'EXPORT_FOLDER_IN_USE',
        `${folder} holds ${foreign}, which is no part of an export: name an empty folder`,
      )
    }
    const begun = await beginManifest(identity)
    if (!begun.ok) return begun
    const writer = new ExportWriter(identity)
    if (begun.value) {
      const resumed = await writer.#resume(begun.value)
      if (!resumed.ok) return resumed
    }
    await removeAbove(folder, writer.#last?.lastHeight ?? -1)
    await writeFileAtomic(join(folder, GENESIS_FILE), identity.genesisText)
    return ok(writer)
  }

  /** Height of the next block to append. */
  get nextHeight(): number {
    return this.#last ? this.#last.lastHeight + 1 : 0
  }

  /** Appends the next block. Faults with EXPORT_ORDER where it does not follow the last one. */
  async append(record: ExportRecord): Promise<Result<undefined>> {
    const { header } = record.block
    const parent = this.#last?.lastHash
    const height = this.nextHeight
    if (header.height !== height || (parent && bytesToHex(header.parentHash) !== parent)) {
      return fault('EXPORT_ORDER', `the block given does not follow the one before ${height}`, {
        height: header.height,
      })
    }
    this.#framed.push(frameRecord(encodeRecord(record)))
    this.#isCertified = record.certificate !== undefined
    const { chainId } = this.#identity
    this.#last = { chainId, lastHeight: height, lastHash: bytesToHex(blockHash(header)) }
    if (fileStart(height + 1) !== height + 1) return ok()
    await this.#writeFile(this.#last)
    this.#framed = []
    return ok()
  }

  /** Declares the export whole. Faults with EXPORT_UNCERTIFIED where its end is not proven. */
  async finish(): Promise<Result<ExportManifest>> {
    const last = this.#last
    if (!last) return fault('EXPORT_EMPTY', 'the export has no block')
    if (last.lastHeight > 0 && !this.#isCertified) {
      return fault(
        'EXPORT_UNCERTIFIED',
        'the newest block has no certificate: ask again or elsewhere',
      )
    }
    if (this.#framed.length > 0) await this.#writeFile(last)
    const { folder } = this.#identity
    await rename(join(folder, PARTIAL_MANIFEST_FILE), join(folder, MANIFEST_FILE))
    return ok(last)
  }

  async #writeFile(last: ExportManifest): Promise<void> {
    const { folder } = this.#identity
    const path = join(folder, blockFile(last.lastHeight))
    await writeFileAtomic(path, Buffer.concat(this.#framed))
    await writeFileAtomic(join(folder, PARTIAL_MANIFEST_FILE), manifestText(last))
  }

  /** Takes up the file in which the manifest's last block stands. */
  async #resume(manifest: ExportManifest): Promise<Result<undefined>> {
    const { folder } = this.#identity
    const { lastHeight, lastHash } = manifest
    const damaged = fault(
      'EXPORT_DAMAGED',
      `the export in ${folder} is damaged: delete the folder and export again`,
    )
    let hash = ''
    for await (const { record } of readBlocks(folder, lastHeight, fileStart(lastHeight))) {
      // Whatever follows the last safe block is written again.
      if (!record.ok && record.fault.code === 'TRAILING_BYTES') break
      if (!record.ok) return damaged
      this.#framed.push(frameRecord(encodeRecord(record.value)))
      this.#isCertified = record.value.certificate !== undefined
      hash = bytesToHex(blockHash(record.value.block.header))
    }
    if (hash !== lastHash) return damaged
    this.#last = manifest
    if (fileStart(lastHeight + 1) === lastHeight + 1) this.#framed = []
    return ok()
  }
}

/** From now on the export is not whole. Gives what is there already. */
async function beginManifest({
  folder,
  chainId,
}: ExportIdentity): Promise<Result<ExportManifest | undefined>> {
  const whole = await readManifest(folder)
  const known = whole.ok && whole.value ? whole : await readManifest(folder, PARTIAL_MANIFEST_FILE)
  if (!whole.ok || !known.ok) {
    return fault('EXPORT_DAMAGED', `the manifest in ${folder} is damaged: delete the folder`)
  }
  if (known.value && known.value.chainId !== chainId) {
    return fault('EXPORT_OTHER_CHAIN', `${folder} holds an export of another chain`)
  }
  if (whole.value) await rename(join(folder, MANIFEST_FILE), join(folder, PARTIAL_MANIFEST_FILE))
  return known
}

async function foreignEntry(folder: string): Promise<string | undefined> {
  const top = (await readdir(folder)).filter((name) => name !== BLOCKS_FOLDER)
  const blocks = (await readdir(join(folder, BLOCKS_FOLDER)).catch(notThere)) ?? []
  return [...top, ...blocks].find((name) => !OWN_REMAINS.test(name))
}

/** Removes block files above a height, and what a crash left of files half written. */
async function removeAbove(folder: string, lastHeight: number): Promise<void> {
  assert(lastHeight >= -1, 'heights count from 0')
  for (const name of await readdir(join(folder, BLOCKS_FOLDER))) {
    const isSafe = name.endsWith('.bin') && Number(name.slice(0, 8)) <= lastHeight
    if (!isSafe) await rm(join(folder, BLOCKS_FOLDER, name))
  }
  for (const name of await readdir(folder)) {
    const isKnown = [BLOCKS_FOLDER, PARTIAL_MANIFEST_FILE, GENESIS_FILE].includes(name)
    if (!isKnown) await rm(join(folder, name))
  }
}
