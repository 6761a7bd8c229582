import { assert } from '../bytes/assert.ts'
import { HASH_BYTES, sha256d } from '../bytes/hash.ts'
import { bytesToHex, fromHex, parseHex, reversed } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'

declare const internalHashBrand: unique symbol
declare const displayHashBrand: unique symbol
declare const internalHexBrand: unique symbol

/** 32 bytes as the hash function gave them: the order inside every Elastos object. */
export type InternalHash = Uint8Array & { readonly [internalHashBrand]: true }

/** 64 hex digits of the turned-round bytes: `txid` and `hash` in most RPC answers, explorers. */
export type DisplayHash = string & { readonly [displayHashBrand]: true }

/**
 * 64 hex digits of the internal bytes as they stand: what `createauxblock`,
 * `submitsideauxblock`, `sendrechargetransaction` and the deposit lists of an Arbiter carry.
 */
export type InternalHex = string & { readonly [internalHexBrand]: true }

export const ZERO_INTERNAL_HASH = new Uint8Array(HASH_BYTES) as InternalHash

/** States that bytes of our own making are a hash in internal order. */
export function asInternalHash(bytes: Uint8Array): InternalHash {
  assert(bytes.length === HASH_BYTES, 'a hash has 32 bytes')
  return bytes as InternalHash
}

/** Elastos' and Bitcoin's block and transaction hash. */
export function doubleHash(bytes: Uint8Array): InternalHash {
  return sha256d(bytes) as InternalHash
}

export function toDisplayHash(hash: InternalHash): DisplayHash {
  return bytesToHex(reversed(hash)) as DisplayHash
}

export function fromDisplayHash(text: DisplayHash): InternalHash {
  return fromHex(text).reverse() as InternalHash
}

export function toInternalHex(hash: InternalHash): InternalHex {
  return bytesToHex(hash) as InternalHex
}

/** Takes untrusted text as a hash in display order; the caller knows that it is in that order. */
export function parseDisplayHash(text: string): Result<DisplayHash> {
  const bytes = parseHash(text)
  return bytes.ok ? ok(bytesToHex(bytes.value) as DisplayHash) : bytes
}

/** Takes untrusted text in display order as the hash that it shows. */
export function readDisplayHash(text: string): Result<InternalHash> {
  const bytes = parseHash(text)
  return bytes.ok ? ok(reversed(bytes.value) as InternalHash) : bytes
}

/** Takes untrusted text in internal order as the hash that it shows. */
export function readInternalHash(text: string): Result<InternalHash> {
  const bytes = parseHash(text)
  return bytes.ok ? ok(bytes.value as InternalHash) : bytes
}

function parseHash(text: string): Result<Uint8Array> {
  const bytes = parseHex(text, HASH_BYTES)
  if (!bytes.ok) return bytes
  if (bytes.value.length !== HASH_BYTES) {
    return fault('MAIN_HASH_MALFORMED', 'a hash is 64 hex digits')
  }
  return bytes
}
