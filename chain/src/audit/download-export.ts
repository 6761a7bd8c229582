import { bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import { type Block, BlockBodyType } from '../types/block.ts'
import {
  type Certificate,
  CertificateType,
  type Header,
  HeaderType,
  JUSTIFICATION_BYTES_MAX,
  type Justification,
  JustificationType,
} from '../types/consensus-objects.ts'
import {
  type PrunedBlock,
  PrunedBlockType,
  PrunedBodyPartType,
  pruneBlock,
} from '../types/pruned-block.ts'
import { BLOCK_BODY_BYTES_MAX, type Transaction } from '../types/transactions.ts'
import type { BlockSource, ServedBlock } from './audited-node.ts'
import { blockWithoutOpenings, type ExportManifest, type ExportRecord } from './export-format.ts'
import { type ExportIdentity, ExportWriter } from './write-export.ts'

const HEADER_BYTES_MAX = 4096
const CERTIFICATE_BYTES_MAX = 8192

export interface DownloadOptions extends ExportIdentity {
  readonly node: BlockSource
  /** Asked, in this order, for openings that the node has forgotten. */
  readonly archives?: readonly BlockSource[] | undefined
  /** Last height wanted; the node's newest final block if left out. */
  readonly to?: number | undefined
  readonly onProgress?: ((height: number, to: number) => void) | undefined
}

/**
 * Brings a node's history into a folder, going on where an earlier run stopped. Nothing is
 * believed here but the form and the order of the blocks: the audit judges the rest. A block
 * whose openings nobody asked has any more is kept without them.
 */
export async function downloadExport(options: DownloadOptions): Promise<Result<ExportManifest>> {
  const { node, chainId, onProgress } = options
  const tip = await node.tip()
  if (tip.chainId !== chainId) {
    return fault(
      'NODE_OTHER_CHAIN',
      'the node serves another chain than the genesis file describes',
    )
  }
  const opened = await ExportWriter.open(options)
  if (!opened.ok) return opened
  const writer = opened.value
  const to = Math.min(options.to ?? tip.height, tip.height)
  const archives = (options.archives ?? []).map((archive) => new ArchiveReader(archive))
  while (writer.nextHeight <= to) {
    const served = await node.blocks(writer.nextHeight, to)
    if (served.length === 0) return fault('BLOCKS_MISSING', 'the node gave no more blocks')
    for (const block of served) {
      const record = decodeServed(block)
      if (!record.ok) return record
      const appended = await writer.append(await completed(record.value, archives, to))
      if (!appended.ok) return appended
    }
    onProgress?.(writer.nextHeight - 1, to)
  }
  return writer.finish()
}

function decodeServed(served: ServedBlock): Result<ExportRecord> {
  const header = decodeCanonical(HeaderType, served.header, HEADER_BYTES_MAX)
  if (!header.ok) return header
  const justification = decodeJustification(served.justification)
  if (!justification.ok) return justification
  const certificate = decodeCertificate(served.certificate)
  if (!certificate.ok) return certificate
  const proof = { justification: justification.value, certificate: certificate.value }
  if (served.isPruned) return decodePruned(header.value, served.body, proof)
  const body = decodeCanonical(BlockBodyType, served.body, BLOCK_BODY_BYTES_MAX)
  if (!body.ok) return body
  const transactions = body.value.transactions as Transaction[]
  return ok({ block: { header: header.value, body: { transactions } }, ...proof })
}

function decodePruned(
  header: Header,
  bytes: Uint8Array,
  proof: Pick<ExportRecord, 'justification' | 'certificate'>,
): Result<ExportRecord> {
  const body = decodeCanonical(PrunedBodyPartType, bytes, BLOCK_BODY_BYTES_MAX)
  if (!body.ok) return body
  const pruned = { header, ...body.value } as PrunedBlock
  const block = blockWithoutOpenings(pruned)
  return block.ok ? ok({ block: block.value, pruned, ...proof }) : block
}

/** The record with its openings, if an archive has them: only those that it commits to. */
async function completed(
  record: ExportRecord,
  archives: readonly ArchiveReader[],
  to: number,
): Promise<ExportRecord> {
  if (!record.pruned) return record
  const kept = PrunedBlockType.serialize(record.pruned)
  for (const archive of archives) {
    const whole = await archive.block(record.block.header.height, to)
    const again = whole && pruneBlock(whole)
    if (whole && again && bytesEqual(PrunedBlockType.serialize(again), kept)) {
      return { ...record, block: whole, pruned: undefined }
    }
  }
  return record
}

/** Blocks of an archive, as many as it gives at a time. */
class ArchiveReader {
  readonly #archive: BlockSource
  #kept: readonly ServedBlock[] = []
  #from = 0
  /** After it failed once nothing more is asked of it. */
  #isGone = false

  constructor(archive: BlockSource) {
    this.#archive = archive
  }

  async block(height: number, to: number): Promise<Block | undefined> {
    let served = this.#kept[height - this.#from]
    if (!served && !this.#isGone) {
      this.#from = height
      this.#kept = await this.#archive.blocks(height, to).catch(() => {
        this.#isGone = true
        return []
      })
      served = this.#kept[0]
    }
    if (!served || served.isPruned) return undefined
    const record = decodeServed(served)
    return record.ok ? record.value.block : undefined
  }
}

function decodeJustification(bytes: Uint8Array | undefined): Result<Justification> {
  if (!bytes) return ok({ parent: [], skips: [] })
  return decodeCanonical(JustificationType, bytes, JUSTIFICATION_BYTES_MAX)
}

function decodeCertificate(bytes: Uint8Array | undefined): Result<Certificate | undefined> {
  if (!bytes) return ok(undefined)
  return decodeCanonical(CertificateType, bytes, CERTIFICATE_BYTES_MAX)
}
