import { ripemd160 } from '@noble/hashes/legacy.js'
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js'
import { concatBytes } from './hex.ts'

export const HASH_BYTES = 32

type HashFunction = (data: Uint8Array) => Uint8Array

let sha256Function: HashFunction = nobleSha256
let ripemd160Function: HashFunction = ripemd160

/** The shell sets a native SHA-256 once at start; the answers are the same, only faster. */
export function setSha256(native: HashFunction): void {
  sha256Function = native
}

/** The same for RIPEMD-160. */
export function setRipemd160(native: HashFunction): void {
  ripemd160Function = native
}

export function sha256(...parts: Uint8Array[]): Uint8Array {
  const [first] = parts
  return sha256Function(parts.length === 1 && first ? first : concatBytes(...parts))
}

/** Bitcoin's and Elastos' double SHA-256. */
export function sha256d(...parts: Uint8Array[]): Uint8Array {
  return sha256Function(sha256(...parts))
}

/** RIPEMD160(SHA256(data)), 20 bytes: what addresses are made of. */
export function hash160(data: Uint8Array): Uint8Array {
  return ripemd160Function(sha256Function(data))
}
