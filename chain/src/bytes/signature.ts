import { hmac } from '@noble/hashes/hmac.js'
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js'
import * as secp from '@noble/secp256k1'
import { hash160, sha256 } from './hash.ts'
import { utf8ToBytes } from './hex.ts'

export const PUBLIC_KEY_BYTES = 33
export const SIGNATURE_BYTES = 64
export const ADDRESS_BYTES = 20

secp.hashes.sha256 = nobleSha256
secp.hashes.hmacSha256 = (key, message) => hmac(nobleSha256, key, message)

/**
 * secp256k1 ECDSA over a 32-byte digest: compact 64-byte signatures (r ‖ s), low-S only,
 * RFC 6979 nonces, compressed keys. Every implementation must give the same answers.
 */
export interface Secp256k1 {
  sign(digest: Uint8Array, secretKey: Uint8Array): Uint8Array
  /** False for any malformed key, malformed or high-S signature; never throws. */
  verify(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): boolean
  publicKey(secretKey: Uint8Array): Uint8Array
}

export const pureSecp256k1: Secp256k1 = {
  sign: (digest, secretKey) => secp.sign(digest, secretKey, { prehash: false, lowS: true }),
  verify(signature, digest, publicKey) {
    if (signature.length !== SIGNATURE_BYTES || publicKey.length !== PUBLIC_KEY_BYTES) return false
    try {
      return secp.verify(signature, digest, publicKey, { prehash: false, lowS: true })
    } catch {
      return false
    }
  },
  publicKey: (secretKey) => secp.getPublicKey(secretKey, true),
}

/** What a check of a signature needs. */
export interface SignatureCheck {
  readonly signature: Uint8Array
  readonly digest: Uint8Array
  readonly publicKey: Uint8Array
}

let secp256k1: Secp256k1 = pureSecp256k1

/** The shell sets the native addon once at start, where it loads. */
export function setSecp256k1(native: Secp256k1): void {
  secp256k1 = native
}

let hashOfKey: (publicKey: Uint8Array) => Uint8Array = hash160

/** The shell may set a function that remembers addresses; the answers are the same. */
export function setAddressOf(remembering: (publicKey: Uint8Array) => Uint8Array): void {
  hashOfKey = remembering
}

/** What a signature is for; part of the signed bytes, so that none can serve as another. */
export type SignaturePurpose =
  | 'tx'
  | 'vote'
  | 'voucher'
  | 'pot-voucher'
  | 'slot-grant'
  | 'repair-voucher'
  | 'possession'
  | 'memo-anchor'
  | 'channel'
  | 'offer'
  | 'genesis-entry'
  | 'presence'

const prefixes = new Map<SignaturePurpose, Uint8Array>()

/** The digest of PROTOCOL 1.2: sha256("ioex/v1/" + purpose ‖ chainId ‖ hash_tree_root). */
export function signingDigest(
  purpose: SignaturePurpose,
  chainId: Uint8Array,
  root: Uint8Array,
): Uint8Array {
  let prefix = prefixes.get(purpose)
  if (prefix === undefined) {
    prefix = utf8ToBytes(`ioex/v1/${purpose}`)
    prefixes.set(purpose, prefix)
  }
  const message = new Uint8Array(prefix.length + chainId.length + root.length)
  message.set(prefix)
  message.set(chainId, prefix.length)
  message.set(root, prefix.length + chainId.length)
  return sha256(message)
}

export function sign(digest: Uint8Array, secretKey: Uint8Array): Uint8Array {
  return secp256k1.sign(digest, secretKey)
}

export function verifySignature(
  signature: Uint8Array,
  digest: Uint8Array,
  publicKey: Uint8Array,
): boolean {
  return secp256k1.verify(signature, digest, publicKey)
}

export function publicKeyOf(secretKey: Uint8Array): Uint8Array {
  return secp256k1.publicKey(secretKey)
}

/** Address = RIPEMD160(SHA256(33-byte compressed public key)), 20 bytes. */
export function addressOf(publicKey: Uint8Array): Uint8Array {
  return hashOfKey(publicKey)
}
