import {
  PUBLIC_KEY_BYTES,
  type Secp256k1,
  SIGNATURE_BYTES,
  type SignatureCheck,
} from '../bytes/signature.ts'
import { HASH_BYTES } from '../bytes/hash.ts'

/** Bytes of one check: signature, digest, public key. */
const CHECK_BYTES = SIGNATURE_BYTES + HASH_BYTES + PUBLIC_KEY_BYTES
/** Checks that a thread takes at a time: about a millisecond of work. */
const SHARE_CHECKS = 16

/**
 * Signature checks in memory that several threads see. Each takes the next share until none is
 * left, so that a thread that is held up delays nobody.
 */
export interface SignatureShares {
  readonly count: number
  readonly checks: SharedArrayBuffer
  /** One byte per check: 1 if the signature is valid. */
  readonly verdicts: SharedArrayBuffer
  /** One number: where the next share begins. */
  readonly next: SharedArrayBuffer
}

/** Copies checks into shared memory; all have fields of their right length. */
export function shareChecks(checks: readonly SignatureCheck[]): SignatureShares {
  const shared = new SharedArrayBuffer(checks.length * CHECK_BYTES)
  const bytes = new Uint8Array(shared)
  for (const [i, { signature, digest, publicKey }] of checks.entries()) {
    const at = i * CHECK_BYTES
    bytes.set(signature, at)
    bytes.set(digest, at + SIGNATURE_BYTES)
    bytes.set(publicKey, at + SIGNATURE_BYTES + HASH_BYTES)
  }
  const verdicts = new SharedArrayBuffer(checks.length)
  const next = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)
  return { count: checks.length, checks: shared, verdicts, next }
}

/** Checks share after share until none is left. */
export function workOff(shares: SignatureShares, secp: Secp256k1): void {
  const { count, checks, verdicts, next } = shares
  const bytes = new Uint8Array(checks)
  const valid = new Uint8Array(verdicts)
  const cursor = new Int32Array(next)
  for (;;) {
    const from = Atomics.add(cursor, 0, SHARE_CHECKS)
    if (from >= count) return
    const to = Math.min(from + SHARE_CHECKS, count)
    for (let i = from; i < to; i++) {
      // Copies: the addon and the portable code are given ordinary memory.
      const check = bytes.slice(i * CHECK_BYTES, (i + 1) * CHECK_BYTES)
      const isValid = secp.verify(
        check.subarray(0, SIGNATURE_BYTES),
        check.subarray(SIGNATURE_BYTES, SIGNATURE_BYTES + HASH_BYTES),
        check.subarray(SIGNATURE_BYTES + HASH_BYTES),
      )
      valid[i] = isValid ? 1 : 0
    }
  }
}
