import { bytesToHex } from '@ioex/chain/bytes'
import {
  asInternalHash,
  formatEla,
  formatElaAddress,
  toDisplayHash,
  toInternalHex,
} from '@ioex/chain/elastos'

/** Fields that hold plain bytes whatever their length is. */
const RAW_FIELDS: ReadonlySet<string> = new Set([
  'content',
  'data',
  'targetData',
  'signature',
  'secondSignature',
  'councilSignature',
  'script',
  'parameter',
  'code',
  'raw',
  'unsigned',
  'flags',
  'bytes',
  'ip',
  'payload',
  'draft',
  'merkleProof',
  'mainTransaction',
])
/** Fields that hold an amount of ELA. */
const AMOUNT_FIELDS: ReadonlySet<string> = new Set(['value', 'amount', 'targetAmount', 'votes'])
const HASH_BYTES = 32
const PROGRAM_HASH_BYTES = 21

/**
 * A decoded object as JSON: hashes in both orientations, owners with their address, amounts in
 * sela (as text) with the ELA beside them, other bytes as hex.
 */
export function plainJson(value: unknown, field = ''): unknown {
  if (value instanceof Uint8Array) return bytesJson(value, field)
  if (typeof value === 'bigint') {
    const sela = value.toString()
    return AMOUNT_FIELDS.has(field) ? { sela, ela: formatEla(value) } : sela
  }
  if (Array.isArray(value)) return value.map((item) => plainJson(item, field))
  if (typeof value !== 'object' || value === null) return value ?? null
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, plainJson(item, name)]),
  )
}

function bytesJson(bytes: Uint8Array, field: string): unknown {
  if (RAW_FIELDS.has(field)) return bytesToHex(bytes)
  if (bytes.length === HASH_BYTES) return hashJson(bytes)
  if (bytes.length === PROGRAM_HASH_BYTES) {
    return { programHash: bytesToHex(bytes), address: formatElaAddress(bytes) }
  }
  return bytesToHex(bytes)
}

/** Both orientations of a hash: internal as in the bytes, display as in explorers. */
export function hashJson(bytes: Uint8Array): { internal: string; display: string } {
  const hash = asInternalHash(bytes)
  return { internal: toInternalHex(hash), display: toDisplayHash(hash) }
}

/** Compact bits as number and as RPC text. */
export function bitsJson(bits: number): { number: number; hex: string } {
  return { number: bits, hex: bits.toString(16).padStart(8, '0') }
}
