import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { fault, ok, type Result } from './result.ts'

export { bytesToHex, concatBytes, utf8ToBytes }

/** Lower-case hex of bytes, the form in which hashes are map keys and JSON values. */
export type Hex = string

/** Decodes untrusted hex (an optional 0x in front); faults instead of throwing. */
export function parseHex(text: string, maxBytes: number): Result<Uint8Array> {
  const digits = text.startsWith('0x') ? text.slice(2) : text
  if (digits.length > maxBytes * 2) {
    return fault('HEX_TOO_LONG', `hex text is longer than ${maxBytes} bytes`)
  }
  if (digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits)) {
    return fault('HEX_MALFORMED', 'not hex text: give pairs of the digits 0-9 and a-f')
  }
  return ok(hexToBytes(digits))
}

/** Decodes hex that our own code or a constant wrote; throws on anything else. */
export function fromHex(text: string): Uint8Array {
  return hexToBytes(text)
}

/** From here on it pays to look at four bytes at a time. */
const LONG_BYTES = 256

/** Bytewise equality; not constant time, for public values only. */
export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  const isAligned = a.byteOffset % 4 === 0 && b.byteOffset % 4 === 0
  if (a.length < LONG_BYTES || !isAligned) return compareBytes(a, b) === 0
  const words = a.length >>> 2
  const ofA = new Int32Array(a.buffer, a.byteOffset, words)
  const ofB = new Int32Array(b.buffer, b.byteOffset, words)
  for (let i = 0; i < words; i++) if (ofA[i] !== ofB[i]) return false
  return compareBytes(a.subarray(4 * words), b.subarray(4 * words)) === 0
}

/** Lexicographic order of byte strings: negative, zero or positive. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) - (b[i] as number)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

/** A copy with the byte order turned round: Elastos' display form of a hash. */
export function reversed(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(bytes).reverse()
}
