import { hash160 } from '../bytes/hash.ts'
import { PUBLIC_KEY_BYTES } from '../bytes/signature.ts'

/** Keys of one of the two generations: some 5 MB when both are full. */
const KEYS_MAX = 8_192

/** What a library of points does for one check. */
export interface PointCheck {
  /** A point of 33 bytes as 65, which spares others its square root; undefined if it is none. */
  expand(publicKey: Uint8Array): Uint8Array | undefined
  /** Over a point of 65 bytes that `expand` gave; false for whatever is malformed. */
  verify(signature: Uint8Array, digest: Uint8Array, point: Uint8Array): boolean
}

interface KnownKey {
  readonly point: Uint8Array
  address: Uint8Array | undefined
}

/**
 * Public keys that made a valid signature, with what each use of them would compute again: the
 * whole point (a square root, an eighth of a check) and the address. Strangers' invalid signatures
 * drive none out. Two generations stand for the order of last use: when the young one is full, the
 * old one is dropped.
 */
export class KnownKeys {
  readonly #check: PointCheck
  readonly #keysMax: number
  #young = new Map<string, KnownKey>()
  #old = new Map<string, KnownKey>()

  constructor(check: PointCheck, keysMax = KEYS_MAX) {
    this.#check = check
    this.#keysMax = keysMax
  }

  get size(): number {
    return this.#young.size + this.#old.size
  }

  /** The answer of the library for the key as it is. */
  verify(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): boolean {
    if (publicKey.length !== PUBLIC_KEY_BYTES) return false
    const name = nameOf(publicKey)
    const known = this.#find(name)
    if (known) return this.#check.verify(signature, digest, known.point)
    const point = this.#check.expand(publicKey)
    if (!point || !this.#check.verify(signature, digest, point)) return false
    this.#keep(name, { point, address: undefined })
    return true
  }

  /** RIPEMD160(SHA256(key)); a new array for each caller. */
  addressOf(publicKey: Uint8Array): Uint8Array {
    const known = this.#find(nameOf(publicKey))
    if (!known) return hash160(publicKey)
    known.address ??= hash160(publicKey)
    return known.address.slice()
  }

  #find(name: string): KnownKey | undefined {
    const young = this.#young.get(name)
    if (young) return young
    const old = this.#old.get(name)
    if (old) {
      this.#old.delete(name)
      this.#keep(name, old)
    }
    return old
  }

  #keep(name: string, key: KnownKey): void {
    if (this.#young.size >= this.#keysMax) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(name, key)
  }
}

/** The bytes as a string of as many characters: what a Map can look up. */
function nameOf(bytes: Uint8Array): string {
  return Buffer.prototype.latin1Slice.call(bytes)
}
