import { HASH_BYTES } from '../bytes/hash.ts'
import {
  PUBLIC_KEY_BYTES,
  type Secp256k1,
  SIGNATURE_BYTES,
  type SignatureCheck,
} from '../bytes/signature.ts'

/** Bytes of one check: signature, digest, public key. */
const CHECK_BYTES = SIGNATURE_BYTES + HASH_BYTES + PUBLIC_KEY_BYTES
/** Checks that a thread takes at a time: what is done twice at most where two meet. */
const SHARE_CHECKS = 4
/** Where the two numbers of `places` stand. */
const FRONT = 0
const BACK = 1

/**
 * Signature checks in memory that several threads see. The one that executes goes through them
 * from the front, the others take shares from the back until they meet it: so nobody ever waits.
 */
export interface SignatureShares {
  readonly count: number
  readonly checks: SharedArrayBuffer
  /** One byte per check: 1 once it was found valid. */
  readonly verdicts: SharedArrayBuffer
  /** Two numbers: checks that are needed no more, and where the last share ends that is free. */
  readonly places: SharedArrayBuffer
}

/** Copies checks into shared memory; all have fields of their right length. */
export function shareChecks(checks: readonly SignatureCheck[]): SignatureShares {
  const shared = new SharedArrayBuffer(checks.length * CHECK_BYTES)
  const bytes = new Uint8Array(shared)
  let at = 0
  for (const { signature, digest, publicKey } of checks) {
    bytes.set(signature, at)
    bytes.set(digest, at + SIGNATURE_BYTES)
    bytes.set(publicKey, at + SIGNATURE_BYTES + HASH_BYTES)
    at += CHECK_BYTES
  }
  const verdicts = new SharedArrayBuffer(checks.length)
  const places = new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT)
  new Int32Array(places)[BACK] = checks.length
  return { count: checks.length, checks: shared, verdicts, places }
}

/** Checks shares from the back until those that are left are needed no more. */
export function workOff(shares: SignatureShares, secp: Secp256k1): void {
  const bytes = new Uint8Array(shares.checks)
  const verdicts = new Uint8Array(shares.verdicts)
  const places = new Int32Array(shares.places)
  for (;;) {
    const to = Atomics.sub(places, BACK, SHARE_CHECKS)
    for (let i = to - 1; i >= Math.max(0, to - SHARE_CHECKS); i--) {
      if (i < Atomics.load(places, FRONT)) return
      // Copies: the addon and the portable code are given ordinary memory.
      const check = bytes.slice(i * CHECK_BYTES, (i + 1) * CHECK_BYTES)
      const isValid = secp.verify(
        check.subarray(0, SIGNATURE_BYTES),
        check.subarray(SIGNATURE_BYTES, SIGNATURE_BYTES + HASH_BYTES),
        check.subarray(SIGNATURE_BYTES + HASH_BYTES),
      )
      if (isValid) Atomics.store(verdicts, i, 1)
    }
    if (to <= SHARE_CHECKS) return
  }
}

/** The executing thread's side of shared checks. */
export class SharedVerdicts {
  readonly #bytes: Uint8Array
  readonly #verdicts: Uint8Array
  readonly #places: Int32Array
  readonly #count: number
  /** By the signature itself, which is the same object when a rule checks it. */
  readonly #indexes = new Map<Uint8Array, number>()

  constructor(checks: readonly SignatureCheck[], shares: SignatureShares) {
    this.#bytes = new Uint8Array(shares.checks)
    this.#verdicts = new Uint8Array(shares.verdicts)
    this.#places = new Int32Array(shares.places)
    this.#count = shares.count
    let index = 0
    for (const { signature } of checks) this.#indexes.set(signature, index++)
  }

  /** Whether another thread found this very triple valid; what stands before it is done with. */
  isValid(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): boolean {
    const index = this.#indexes.get(signature)
    if (index === undefined) return false
    if (index >= (this.#places[FRONT] as number)) Atomics.store(this.#places, FRONT, index + 1)
    if (Atomics.load(this.#verdicts, index) !== 1) return false
    const at = index * CHECK_BYTES
    return (
      this.#isAt(signature, at) &&
      this.#isAt(digest, at + SIGNATURE_BYTES) &&
      this.#isAt(publicKey, at + SIGNATURE_BYTES + HASH_BYTES)
    )
  }

  /** The others need not go on. */
  end(): void {
    Atomics.store(this.#places, FRONT, this.#count)
  }

  #isAt(part: Uint8Array, at: number): boolean {
    for (let i = 0; i < part.length; i++) if (part[i] !== this.#bytes[at + i]) return false
    return true
  }
}
