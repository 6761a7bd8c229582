import { fault, ok, type Result } from '../bytes/result.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import { BlockBodyType } from '../types/block.ts'
import {
  type Certificate,
  CertificateType,
  HeaderType,
  JUSTIFICATION_BYTES_MAX,
  type Justification,
  JustificationType,
} from '../types/consensus-objects.ts'
import { BLOCK_BODY_BYTES_MAX, type Transaction } from '../types/transactions.ts'
import type { BlockSource, ServedBlock } from './audited-node.ts'
import type { ExportManifest, ExportRecord } from './export-format.ts'
import { type ExportIdentity, ExportWriter } from './write-export.ts'

const HEADER_BYTES_MAX = 4096
const CERTIFICATE_BYTES_MAX = 8192

export interface DownloadOptions extends ExportIdentity {
  readonly node: BlockSource
  /** Last height wanted; the node's newest final block if left out. */
  readonly to?: number | undefined
  readonly onProgress?: ((height: number, to: number) => void) | undefined
}

/**
 * Brings a node's history into a folder, going on where an earlier run stopped. Nothing is
 * believed here but the form and the order of the blocks: the audit judges the rest.
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
  while (writer.nextHeight <= to) {
    const served = await node.blocks(writer.nextHeight, to)
    if (served.length === 0) return fault('BLOCKS_MISSING', 'the node gave no more blocks')
    for (const block of served) {
      const record = decodeServed(block)
      if (!record.ok) return record
      const appended = await writer.append(record.value)
      if (!appended.ok) return appended
    }
    onProgress?.(writer.nextHeight - 1, to)
  }
  return writer.finish()
}

function decodeServed(served: ServedBlock): Result<ExportRecord> {
  const header = decodeCanonical(HeaderType, served.header, HEADER_BYTES_MAX)
  if (!header.ok) return header
  const body = decodeCanonical(BlockBodyType, served.body, BLOCK_BODY_BYTES_MAX)
  if (!body.ok) return body
  const justification = decodeJustification(served.justification)
  if (!justification.ok) return justification
  const certificate = decodeCertificate(served.certificate)
  if (!certificate.ok) return certificate
  const transactions = body.value.transactions as Transaction[]
  return ok({
    block: { header: header.value, body: { transactions } },
    justification: justification.value,
    certificate: certificate.value,
  })
}

function decodeJustification(bytes: Uint8Array | undefined): Result<Justification> {
  if (!bytes) return ok({ parent: [], skips: [] })
  return decodeCanonical(JustificationType, bytes, JUSTIFICATION_BYTES_MAX)
}

function decodeCertificate(bytes: Uint8Array | undefined): Result<Certificate | undefined> {
  if (!bytes) return ok(undefined)
  return decodeCanonical(CertificateType, bytes, CERTIFICATE_BYTES_MAX)
}
