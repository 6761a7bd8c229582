import { ContainerType, ListCompositeType, UnionType } from '@chainsafe/ssz'
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
import {
  hasOpenings,
  type PrunedBlock,
  PrunedBlockType,
  transactionsOf,
} from '../types/pruned-block.ts'

/**
 * An exported history is one folder, whose every byte is checked by an audit:
 *
 * genesis.json                    the genesis file, word for word
 * manifest.json                   which heights the export holds, of which chain
 * blocks/00000000-00000063.bin    64 blocks each: u32 length (little-endian) ‖ record, in order
 *
 * A record is an SSZ ExportRecord: the block whole, or without the openings that nobody asked had
 * any more (types/pruned-block.ts). Main-chain headers with their AuxPow and the anchors stand in
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
    block: new UnionType([BlockType, PrunedBlockType]),
    justification: JustificationType,
    /** Finality certificate; empty for genesis and where a later block's certificate covers it. */
    certificate: new ListCompositeType(CertificateType, 1),
  },
  { typeName: 'ExportRecord' },
)

/** A final block with what proves it. */
export interface ExportRecord {
  /** Where the openings are gone, transactions that had some have none, and keep their ids. */
  readonly block: Block
  /** What is left of a block whose openings are gone. */
  readonly pruned?: PrunedBlock | undefined
  readonly justification: Justification
  readonly certificate: Certificate | undefined
}

/** Selectors of a record's block. */
const WHOLE = 0
const PRUNED = 1

export function encodeRecord(record: ExportRecord): Uint8Array {
  const { block, pruned, justification, certificate } = record
  return ExportRecordType.serialize({
    block: pruned ? { selector: PRUNED, value: pruned } : { selector: WHOLE, value: block },
    justification,
    certificate: certificate ? [certificate] : [],
  })
}

/**
 * Decodes untrusted bytes of one record: bounded and canonical. Faults with PRUNED_FOR_NOTHING
 * where a block is given without openings that never had any.
 */
export function decodeRecord(bytes: Uint8Array): Result<ExportRecord> {
  const decoded = decodeCanonical(ExportRecordType, bytes, RECORD_BYTES_MAX)
  if (!decoded.ok) return decoded
  const { block, justification, certificate } = decoded.value
  const proof = { justification, certificate: certificate[0] }
  if (block.selector === WHOLE) return ok({ block: block.value as Block, ...proof })
  const pruned = block.value as PrunedBlock
  const known = blockWithoutOpenings(pruned)
  return known.ok ? ok({ block: known.value, pruned, ...proof }) : known
}

/** A pruned block in the shape of a whole one. Faults with PRUNED_FOR_NOTHING. */
export function blockWithoutOpenings(pruned: PrunedBlock): Result<Block> {
  const transactions = transactionsOf(pruned)
  return transactions.some(hasOpenings)
    ? ok({ header: pruned.header, body: { transactions } })
    : fault('PRUNED_FOR_NOTHING', 'a block without openings is given as if it had lost some')
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

const FORMAT = 'ioex-export/2'
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
