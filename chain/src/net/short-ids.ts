import { HASH_BYTES, sha256 } from '../bytes/hash.ts'
import { bytesToHex, type Hex } from '../bytes/hex.ts'

export const SHORT_ID_BYTES = 8
/** A receiver's own secret among its peers: nobody can prepare ids that collide at everybody. */
export const SALT_BYTES = 16
/** Ids in one message. */
export const SHORT_IDS_MAX = 1024

/** What a transaction is called between two nodes: 8 bytes under the receiver's salt, as hex. */
export function shortIdOf(salt: Uint8Array, name: Uint8Array): Hex {
  const salted = new Uint8Array(SALT_BYTES + HASH_BYTES)
  salted.set(salt)
  salted.set(name, SALT_BYTES)
  return bytesToHex(sha256(salted).subarray(0, SHORT_ID_BYTES))
}

/** Ids one after the other. */
export function encodeShortIds(ids: readonly Hex[]): Uint8Array {
  return Uint8Array.from(Buffer.from(ids.join(''), 'hex'))
}

/** Ids of a message from outside; undefined if it is none. */
export function decodeShortIds(bytes: Uint8Array): Hex[] | undefined {
  const count = bytes.length / SHORT_ID_BYTES
  if (!Number.isInteger(count) || count === 0 || count > SHORT_IDS_MAX) return undefined
  return Array.from({ length: count }, (_, i) =>
    bytesToHex(bytes.subarray(i * SHORT_ID_BYTES, (i + 1) * SHORT_ID_BYTES)),
  )
}
