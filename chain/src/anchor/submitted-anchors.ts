import { bytesEqual, bytesToHex } from '../bytes/hex.ts'
import type { SideAuxPow } from '../elastos/side-aux-pow.ts'
import type { PowAnchorSighting } from '../follower/followed-block.ts'

/** Proofs held for proposers; arbiters bring one per main block. */
const SUBMITTED_MAX = 64

/**
 * Proofs that an Arbiter submitted, until their checkpoint is anchored. Bounded: the oldest gives
 * way, since anchoring a later checkpoint anchors all before it.
 */
export class SubmittedAnchors {
  readonly #proofs = new Map<string, PowAnchorSighting>()

  /** Takes a checked proof; one of the same transaction in the same main block only once. */
  add(proof: SideAuxPow): void {
    const { transaction, mainHeader } = proof
    const { payload } = transaction.transaction
    if (payload.kind !== 'side-chain-pow') return
    const key = `${bytesToHex(transaction.id)}:${bytesToHex(mainHeader.hash)}`
    this.#proofs.delete(key)
    this.#proofs.set(key, {
      id: transaction.id,
      raw: transaction.raw,
      branch: proof.branch,
      index: proof.index,
      height: mainHeader.header.height,
      headerHash: mainHeader.hash,
      checkpointHash: payload.sideBlockHash,
    })
    for (const oldest of this.#proofs.keys()) {
      if (this.#proofs.size <= SUBMITTED_MAX) break
      this.#proofs.delete(oldest)
    }
  }

  list(): readonly PowAnchorSighting[] {
    return [...this.#proofs.values()]
  }

  has(checkpointHash: Uint8Array): boolean {
    return this.list().some((proof) => bytesEqual(proof.checkpointHash, checkpointHash))
  }
}
