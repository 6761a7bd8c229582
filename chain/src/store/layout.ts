import { concatBytes, fromHex, utf8ToBytes } from '../bytes/hex.ts'

/**
 * Every key of the database in one table. A key is a one-letter prefix and fixed-width
 * big-endian fields, so that ranges iterate in order.
 *
 *   b height            block (SSZ Block)
 *   q height            block without openings (SSZ PrunedBlock), in the place of the whole one
 *   j height            justification
 *   c height            finality certificate, where one exists
 *   p height            re-proposals of an epoch's last block, where there were any
 *   d height            CRC-32 of the four above
 *   h hash              height of a block
 *   o height            hash of a block
 *   e epoch             epoch proof
 *   g height            terms of the supply after the block
 *   t id                height and index of a transaction
 *   r height index      receipt
 *   i id                height and index of a receipt
 *   n address height index      receipts of a node
 *   l rail height index         receipts of a rail
 *   k contract height index     receipts of a contract
 *   s key               state entry of the state room; an account as base64url text
 *   m name              meta: format version, tip, first (below it only genesis is kept), pruned
 *                       (up to it no openings are kept)
 */
export const Prefix = {
  block: 'b',
  prunedBlock: 'q',
  justification: 'j',
  certificate: 'c',
  reproposals: 'p',
  checksum: 'd',
  hash: 'h',
  hashAt: 'o',
  epochProof: 'e',
  supply: 'g',
  transaction: 't',
  receipt: 'r',
  receiptId: 'i',
  byNode: 'n',
  byRail: 'l',
  byContract: 'k',
  state: 's',
  meta: 'm',
} as const

export const FORMAT_VERSION = 2
export const metaKey = (name: 'format' | 'tip' | 'first' | 'pruned') =>
  utf8ToBytes(`${Prefix.meta}${name}`)

export function u64Key(value: number): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value))
  return bytes
}

export function u32Key(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value)
  return bytes
}

export function readU64(bytes: Uint8Array, offset = 0): number {
  return Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(offset))
}

export function readU32(bytes: Uint8Array, offset = 0): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(offset)
}

export const heightKey = (prefix: string, height: number) =>
  concatBytes(utf8ToBytes(prefix), u64Key(height))

export const hashKey = (prefix: string, hash: string) =>
  concatBytes(utf8ToBytes(prefix), fromHex(hash))

export const stateKey = (key: string) => utf8ToBytes(Prefix.state + key)

/** height (8) then index (4): the value of position entries and the tail of receipt keys. */
export const position = (height: number, index: number) =>
  concatBytes(u64Key(height), u32Key(index))

export const readPosition = (bytes: Uint8Array) => ({
  height: readU64(bytes, 0),
  index: readU32(bytes, 8),
})

export const receiptKey = (height: number, index: number) =>
  concatBytes(utf8ToBytes(Prefix.receipt), position(height, index))

/** A receipt index: prefix, subject, position. */
export const indexKey = (prefix: string, subject: Uint8Array, height: number, index: number) =>
  concatBytes(utf8ToBytes(prefix), subject, position(height, index))
