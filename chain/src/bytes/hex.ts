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

/** Bytewise equality; not constant time, for public values only. */
export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && compareBytes(a, b) === 0
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
