import type { ConsensusCrypto } from '../../chain/src/consensus/machine-interface.ts'
import type { Header, Justification, Statement } from '../../chain/src/types/consensus-objects.ts'

/** Mixes words into four lanes. No cryptography: nothing in a simulation searches collisions. */
class Mixer {
  #a = 0x243f6a88
  #b = 0x85a308d3
  #c = 0x13198a2e
  #d = 0x03707344

  word(value: number): void {
    const a = Math.imul(this.#a ^ value, 0x85ebca6b)
    const b = Math.imul(this.#b + value, 0xc2b2ae35)
    this.#a = this.#b ^ (a >>> 15)
    this.#b = (this.#c + b) | 0
    this.#c = this.#d ^ ((b >>> 13) + a)
    this.#d = Math.imul(a ^ (b >>> 16), 0x27d4eb2f) + value
  }

  number(value: number): void {
    this.word(value | 0)
    this.word(Math.floor(value / 2 ** 32) | 0)
  }

  bytes(bytes: Uint8Array): void {
    const { length } = bytes
    for (let i = 0; i + 3 < length; i += 4) {
      this.word(
        (bytes[i] as number) |
          ((bytes[i + 1] as number) << 8) |
          ((bytes[i + 2] as number) << 16) |
          ((bytes[i + 3] as number) << 24),
      )
    }
    for (let i = length & ~3; i < length; i++) this.word(bytes[i] as number)
  }

  /** 16 bytes that count; the rest is padding. */
  digest(length: number): Uint8Array {
    const out = new Uint8Array(length)
    for (let i = 0; i < 16; i += 4) {
      const word = this.#next(i)
      out[i] = word
      out[i + 1] = word >>> 8
      out[i + 2] = word >>> 16
      out[i + 3] = word >>> 24
    }
    return out
  }

  matches(digest: Uint8Array): boolean {
    for (let i = 0; i < 16; i += 4) {
      const word = this.#next(i)
      if (digest[i] !== (word & 255) || digest[i + 1] !== ((word >>> 8) & 255)) return false
      if (digest[i + 2] !== ((word >>> 16) & 255) || digest[i + 3] !== word >>> 24) return false
    }
    return true
  }

  #next(i: number): number {
    this.word(i)
    return (this.#a ^ this.#d) >>> 0
  }
}

function mixStatement(mixer: Mixer, { kind, epoch, view, hash }: Statement): void {
  mixer.word(kind)
  mixer.number(epoch)
  mixer.number(view)
  mixer.bytes(hash)
}

/** A validator's key: its name in bytes. */
export function simulatedKey(validator: number): Uint8Array {
  const key = new Uint8Array(33)
  key[0] = 2
  key[1] = validator
  return key
}

/** Whose key it is. */
export function validatorOf(publicKey: Uint8Array): number {
  return publicKey[1] as number
}

export function signWith(key: Uint8Array, statement: Statement): Uint8Array {
  const mixer = new Mixer()
  mixer.word(key[1] as number)
  mixStatement(mixer, statement)
  return mixer.digest(64)
}

export function isSignedBy(
  publicKey: Uint8Array,
  statement: Statement,
  signature: Uint8Array,
): boolean {
  const mixer = new Mixer()
  mixer.word(publicKey[1] as number)
  mixStatement(mixer, statement)
  return mixer.matches(signature)
}

export function hashHeader(header: Header): Uint8Array {
  const mixer = new Mixer()
  mixer.number(header.epoch)
  mixer.number(header.view)
  mixer.number(header.height)
  mixer.number(header.timeMs)
  mixer.number(header.parentView)
  mixer.word(header.proposer)
  mixer.bytes(header.parentHash)
  mixer.bytes(header.justHash)
  mixer.bytes(header.txRoot)
  return mixer.digest(32)
}

/** Nodes hand each other the same object: what is never changed is hashed once. */
const justificationHashes = new WeakMap<Justification, Uint8Array>()

export function hashJustification(justification: Justification): Uint8Array {
  const known = justificationHashes.get(justification)
  if (known) return known
  const hash = mixJustification(justification)
  justificationHashes.set(justification, hash)
  return hash
}

function mixJustification({ parent, skips }: Justification): Uint8Array {
  const mixer = new Mixer()
  mixer.word(parent.length)
  for (const { statement, signers, signatures } of [...parent, ...skips]) {
    mixStatement(mixer, statement)
    mixer.bytes(signers)
    for (const signature of signatures) mixer.bytes(signature)
  }
  return mixer.digest(32)
}

/** What a simulated node is given instead of secp256k1 and SSZ roots. */
export function cheapCrypto(key: Uint8Array): ConsensusCrypto {
  return {
    sign: (statement) => signWith(key, statement),
    verify: (statement, publicKey, signature) => isSignedBy(publicKey, statement, signature),
    hashHeader,
    hashJustification,
  }
}

/** Rolling number over everything that happens: equal histories, equal hashes. */
export class HistoryHash {
  readonly #mixer = new Mixer()

  add(value: number): void {
    this.#mixer.word(value | 0)
  }

  addBytes(bytes: Uint8Array): void {
    this.#mixer.bytes(bytes)
  }

  hex(): string {
    return [...this.#mixer.digest(16)].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  }
}
