import type { Hex } from '../bytes/hex.ts'

/** Bodies of next epoch's proposals kept until it starts, in all and of one validator. */
const EARLY_BODIES_MAX = 16
const EARLY_BODIES_PER_SIGNER_MAX = 2

/** A proposal of the next epoch waits in the relay; its body waits here. */
export class EarlyBodies {
  #bodies = new Map<Hex, { readonly signer: number; readonly body: Uint8Array }>()

  /**
   * False where it is not kept. `signer` is the validator that signed the proposal, by its place in
   * the set. `isBody` costs work and is asked only where there is room.
   */
  keep(signer: number, hash: Hex, body: Uint8Array, isBody: () => boolean): boolean {
    if (this.#bodies.has(hash)) return true
    const ofSigner = [...this.#bodies.values()].filter((each) => each.signer === signer)
    if (ofSigner.length >= EARLY_BODIES_PER_SIGNER_MAX) return false
    if (this.#bodies.size >= EARLY_BODIES_MAX || !isBody()) return false
    this.#bodies.set(hash, { signer, body })
    return true
  }

  /** How many are kept, in all and of the validator that signed most. */
  sizes() {
    const counts = new Map<number, number>()
    for (const { signer } of this.#bodies.values()) {
      counts.set(signer, (counts.get(signer) ?? 0) + 1)
    }
    return { bodies: this.#bodies.size, bodiesOfSigner: Math.max(0, ...counts.values()) }
  }

  /** All of them, by block; none is left. */
  take(): [Hex, Uint8Array][] {
    const taken = [...this.#bodies].map(([hash, { body }]): [Hex, Uint8Array] => [hash, body])
    this.#bodies.clear()
    return taken
  }
}
