import { ContainerType, ListCompositeType } from '@chainsafe/ssz'
import { fault, ok, type Result } from '../bytes/result.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import { BLOCK_BYTES_MAX, BlockType, type Block } from '../types/block.ts'
import {
  type Certificate,
  CertificateType,
  type Justification,
  JUSTIFICATION_BYTES_MAX,
  JustificationType,
} from '../types/consensus-objects.ts'

/**
 * An exported history is one folder, whose every byte is checked by an audit:
 *
 * genesis.json                    the genesis file, word for word
 * manifest.json                   which heights the export holds, of which chain
 * blocks/00000000-00000063.bin    64 blocks each: u32 length (little-endian) ‖ record, in order
 *
 * A record is an SSZ ExportRecord. Main-chain headers with their AuxPow and the anchors stand in
 * the blocks' transactions; nothing else is needed to recompute everything.
 */
export const GENESIS_FILE = 'genesis.json'
export const MANIFEST_FILE = 'manifest.json'
/** The manifest of an export that is still being written; renamed when it is whole. */
export const PARTIAL_MANIFEST_FILE = 'manifest.partial.json'
export const BLOCKS_FOLDER = 'blocks'

export const BLOCKS_PER_FILE = 64
export const LENGTH_BYTES = 4
export const MANIFEST_BYTES_MAX = 1024
const CERTIFICATE_BYTES_MAX = 8192
export const RECORD_BYTES_MAX = BLOCK_BYTES_MAX + JUSTIFICATION_BYTES_MAX + CERTIFICATE_BYTES_MAX

export const ExportRecordType = new ContainerType(
  {
    block: BlockType,
    justification: JustificationType,
    /** Finality certificate; empty for genesis and where a later block's certificate covers it. */
    certificate: new ListCompositeType(CertificateType, 1),
  },
  { typeName: 'ExportRecord' },
)

/** A final block with what proves it. */
export interface ExportRecord {
  readonly block: Block
  readonly justification: Justification
  readonly certificate: Certificate | undefined
}

export function encodeRecord({ block, justification, certificate }: ExportRecord): Uint8Array {
  return ExportRecordType.serialize({
    block: { ...block },
    justification,
    certificate: certificate ? [certificate] : [],
  })
}

/** Decodes untrusted bytes of one record: bounded and canonical. */
export function decodeRecord(bytes: Uint8Array): Result<ExportRecord> {
  const decoded = decodeCanonical(ExportRecordType, bytes, RECORD_BYTES_MAX)
  if (!decoded.ok) return decoded
  const { block, justification, certificate } = decoded.value
  return ok({ block: block as Block, justification, certificate: certificate[0] })
}

/** What an export says of itself. */
export interface ExportManifest {
  /** Lower-case hex. */
  readonly chainId: string
  /** The first height is 0. */
  readonly lastHeight: number
  /** Hash of the last block, hex. */
  readonly lastHash: string
}

const FORMAT = 'ioex-export/1'
/** File names have eight digits of height. */
const HEIGHT_MAX = 99_999_999

/** The one text of a manifest. */
export function manifestText({ chainId, lastHeight, lastHash }: ExportManifest): string {
  const file = { format: FORMAT, chainId, firstHeight: 0, lastHeight, lastHash }
  return `${JSON.stringify(file, null, 2)}\n`
}

/** Reads a manifest from a stranger; only the one text that manifestText gives is accepted. */
export function parseManifest(text: string): Result<ExportManifest> {
  const { chainId, lastHeight, lastHash } = parseFields(text)
  if (
    !isHash(chainId) ||
    !isHash(lastHash) ||
    typeof lastHeight !== 'number' ||
    !Number.isInteger(lastHeight) ||
    lastHeight < 0 ||
    lastHeight > HEIGHT_MAX
  ) {
    return fault('MANIFEST_MALFORMED', 'the manifest does not name a chain and its last block')
  }
  const manifest = { chainId, lastHeight, lastHash }
  if (manifestText(manifest) !== text) {
    return fault('MANIFEST_MALFORMED', `the manifest is not written as ${FORMAT} demands`)
  }
  return ok(manifest)
}

function parseFields(text: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(text)
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : {}
  } catch {
    return {}
  }
}

function isHash(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)
}

/** Lowest height of the file that holds a height. */
export function fileStart(height: number): number {
  return height - (height % BLOCKS_PER_FILE)
}

/** Path of the file that holds a height, relative to the export's folder. */
export function blockFile(height: number): string {
  const start = fileStart(height)
  const name = [start, start + BLOCKS_PER_FILE - 1].map((at) => String(at).padStart(8, '0'))
  return `${BLOCKS_FOLDER}/${name.join('-')}.bin`
}

/** A record as it stands in a file: its length, then its bytes. */
export function frameRecord(record: Uint8Array): Uint8Array {
  const framed = new Uint8Array(LENGTH_BYTES + record.length)
  new DataView(framed.buffer).setUint32(0, record.length, true)
  framed.set(record, LENGTH_BYTES)
  return framed
}
