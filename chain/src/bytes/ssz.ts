import type { Type } from '@chainsafe/ssz'
import { bytesEqual } from './hex.ts'
import { fault, ok, type Result } from './result.ts'

/**
 * Decodes untrusted SSZ bytes. Refuses more than `maxBytes`, anything the type refuses, and
 * any bytes that do not re-encode to themselves, so that one value has one encoding.
 */
export function decodeCanonical<T>(type: Type<T>, bytes: Uint8Array, maxBytes: number): Result<T> {
  if (bytes.length > maxBytes) {
    return fault('BYTES_TOO_LONG', `${bytes.length} bytes where at most ${maxBytes} are allowed`)
  }
  try {
    // SSZ slices its input, and a slice of a Buffer is a view: a value decoded from a socket's or a
    // database's Buffer would change when that is used again.
    const value = type.deserialize(isPlain(bytes) ? bytes : Uint8Array.from(bytes))
    if (!bytesEqual(type.serialize(value), bytes)) {
      return fault('NOT_CANONICAL', 'the bytes do not re-encode to themselves')
    }
    return ok(value)
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'decoder refused'
    return fault('MALFORMED', `malformed bytes: ${reason}`)
  }
}

function isPlain(bytes: Uint8Array): boolean {
  return Object.getPrototypeOf(bytes) === Uint8Array.prototype
}
