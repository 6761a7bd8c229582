import { p256 } from '@noble/curves/nist.js'
import { assert } from '../bytes/assert.ts'
import { sha256 } from '../bytes/hash.ts'
import { concatBytes } from '../bytes/hex.ts'
import type { InternalHash } from './hash-orientation.ts'

const SCHNORR_SIGNATURE_BYTES = 64
const { Point } = p256
const { Fp, Fn } = Point

/**
 * Elastos' Schnorr check on P-256: r ‖ s, e = SHA-256(r ‖ compressed key ‖ message) mod n, and
 * R = sG - eP must have x = r and a y that is a quadratic residue. The message is the double
 * hash of the unsigned transaction. False for anything malformed; never throws.
 */
export function verifySchnorr(
  signature: Uint8Array,
  message: InternalHash,
  publicKey: Uint8Array,
): boolean {
  if (signature.length !== SCHNORR_SIGNATURE_BYTES || publicKey.length !== 33) return false
  const r = signature.subarray(0, 32)
  try {
    const key = Point.fromBytes(publicKey)
    const x = numberOf(r)
    const s = numberOf(signature.subarray(32))
    if (x >= Fp.ORDER || s >= Fn.ORDER) return false
    const e = Fn.create(numberOf(sha256(concatBytes(r, publicKey, message))))
    const point = Point.BASE.multiplyUnsafe(s).subtract(key.multiplyUnsafe(e))
    if (point.is0()) return false
    const affine = point.toAffine()
    return affine.x === x && isSquare(affine.y)
  } catch {
    return false
  }
}

/** The key of an aggregate signature: the sum of the signers' keys, compressed. */
export function aggregatePublicKeys(publicKeys: readonly Uint8Array[]): Uint8Array | undefined {
  assert(publicKeys.length > 0, 'an aggregate has a signer')
  try {
    const sum = publicKeys
      .map((key) => Point.fromBytes(key))
      .reduce((total, key) => total.add(key), Point.ZERO)
    return sum.is0() ? undefined : sum.toBytes(true)
  } catch {
    return undefined
  }
}

/** Euler's criterion; zero is no residue for the reference node's Jacobi symbol. */
function isSquare(y: bigint): boolean {
  return Fp.eql(Fp.pow(y, (Fp.ORDER - 1n) / 2n), Fp.ONE)
}

function numberOf(bytes: Uint8Array): bigint {
  let value = 0n
  for (const byte of bytes) value = (value << 8n) | BigInt(byte)
  return value
}
