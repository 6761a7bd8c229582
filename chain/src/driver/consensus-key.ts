import { bytesToHex, type Hex } from '../bytes/hex.ts'
import { publicKeyOf } from '../bytes/signature.ts'
import type { EpochValidator } from '../consensus/machine-interface.ts'
import type { SignerLease } from './signer-lease.ts'

/** Where the key comes from that is to follow a validator's consensus key. */
export interface KeySuccession {
  /** The 32-byte secret, undefined while there is none. Asked only when the set may name it. */
  next(): Promise<Uint8Array | undefined>
  /** It is the validator's key now: keep it as such. Durable once this resolves. */
  taken(): Promise<void>
}

const NONE: KeySuccession = {
  next: () => Promise.resolve(undefined),
  taken: () => Promise.resolve(),
}

/**
 * The key that a validator votes with. Its owner may replace it on the chain; from the first epoch
 * whose set names the next key on, that one signs (PROTOCOL 3), without a restart.
 */
export class ConsensusKey {
  readonly #succession: KeySuccession
  #secretKey: Uint8Array
  #publicKey: Uint8Array

  /** `secretKey`: 32 bytes on secp256k1. */
  constructor(secretKey: Uint8Array, succession = NONE) {
    this.#succession = succession
    this.#secretKey = secretKey
    this.#publicKey = publicKeyOf(secretKey)
  }

  get secretKey(): Uint8Array {
    return this.#secretKey
  }

  /** 33 bytes, compressed. */
  get publicKey(): Uint8Array {
    return this.#publicKey
  }

  indexIn(validators: readonly EpochValidator[]): number | undefined {
    const own = bytesToHex(this.#publicKey)
    const index = validators.findIndex(({ publicKey }) => bytesToHex(publicKey) === own)
    return index < 0 ? undefined : index
  }

  /** The lease may be of the next key already: a crash came between the two. */
  async followLease(publicKey: Hex): Promise<void> {
    if (publicKey === bytesToHex(this.#publicKey)) return
    const next = await this.#succession.next()
    if (next && bytesToHex(publicKeyOf(next)) === publicKey) await this.#take(next)
  }

  /**
   * Index in a set, with the next key where that stands there in the place of ours. The lease
   * passes over first: whatever the old key signed was of earlier epochs, so what the lease
   * forbids the new key is right.
   */
  async claimIndex(
    validators: readonly EpochValidator[],
    lease: SignerLease | undefined,
  ): Promise<number | undefined> {
    const index = this.indexIn(validators)
    if (index !== undefined || !lease) return index
    const next = await this.#succession.next()
    const named = next && new ConsensusKey(next).indexIn(validators)
    if (!next || named === undefined) return undefined
    await lease.passTo(publicKeyOf(next))
    await this.#take(next)
    return named
  }

  async #take(next: Uint8Array): Promise<void> {
    await this.#succession.taken()
    this.#secretKey = next
    this.#publicKey = publicKeyOf(next)
  }
}
