import { p256 } from '@noble/curves/nist.js'

export const P256_PUBLIC_KEY_BYTES = 33
const P256_SECRET_KEY_BYTES = 32
export const P256_SIGNATURE_BYTES = 64

// Elastos has no low-s rule; the signature digest is one SHA-256 of the message.
const OPTIONS = { prehash: true, lowS: false } as const

/** ECDSA on NIST P-256 over SHA-256(message): r ‖ s, 64 bytes, deterministic (RFC 6979). */
export function signP256(message: Uint8Array, secretKey: Uint8Array): Uint8Array {
  return p256.sign(message, secretKey, OPTIONS)
}

/** False for a malformed key or signature too; never throws. High s is taken, as Elastos does. */
export function verifyP256(
  signature: Uint8Array,
  message: Uint8Array,
  publicKey: Uint8Array,
): boolean {
  if (signature.length !== P256_SIGNATURE_BYTES) return false
  if (publicKey.length !== P256_PUBLIC_KEY_BYTES) return false
  try {
    return p256.verify(signature, message, publicKey, OPTIONS)
  } catch {
    return false
  }
}

/** The compressed public key, 33 bytes. */
export function p256PublicKey(secretKey: Uint8Array): Uint8Array {
  return p256.getPublicKey(secretKey, true)
}

/** Whether the bytes are a usable P-256 secret key. */
export function isP256SecretKey(bytes: Uint8Array): boolean {
  return bytes.length === P256_SECRET_KEY_BYTES && p256.utils.isValidSecretKey(bytes)
}
