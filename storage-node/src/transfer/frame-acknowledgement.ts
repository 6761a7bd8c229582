import { createHash, type Hash } from 'node:crypto'
import { bytesEqual } from '@ioex/chain/bytes'
import { Bytes32, Count64 } from '@ioex/chain/types'
import { ContainerType, type ValueOf } from '@chainsafe/ssz'

/**
 * The receiver's acknowledgement of PROTOCOL 8: bytes of frames received since the channel
 * opened, and the SHA-256 of all of them. Whoever pays a relay signs vouchers for acknowledged
 * bytes only, so a relay that swallows bytes is not paid for them.
 */
export const AcknowledgementType = new ContainerType({ bytes: Count64, hash: Bytes32 })
export type Acknowledgement = ValueOf<typeof AcknowledgementType>
export const ACKNOWLEDGEMENT_BYTES = 40

const INTERVAL_BYTES_FIRST = 32 * 1024
const INTERVAL_BYTES_MAX = 1024 * 1024

/** Counts and hashes what arrives; says when the next acknowledgement is due. */
export class ReceivedTally {
  readonly #hash: Hash = createHash('sha256')
  #bytes = 0
  #acknowledged = 0
  #interval = INTERVAL_BYTES_FIRST

  /** The acknowledgement to send now, if one is due after these bytes. */
  add(parts: readonly Uint8Array[]): Acknowledgement | undefined {
    for (const part of parts) {
      this.#hash.update(part)
      this.#bytes += part.length
    }
    if (this.#bytes - this.#acknowledged < this.#interval) return undefined
    this.#acknowledged = this.#bytes
    this.#interval = Math.min(INTERVAL_BYTES_MAX, Math.floor(this.#interval * 1.5))
    return { bytes: this.#bytes, hash: this.#hash.copy().digest() }
  }
}

/** Remembers what was sent until the other side acknowledges it. */
export class SentTally {
  readonly #hash: Hash = createHash('sha256')
  readonly #marks: { bytes: number; hash: Uint8Array }[] = []
  #bytes = 0
  #acknowledged = 0

  get acknowledgedBytes(): number {
    return this.#acknowledged
  }

  add(parts: readonly Uint8Array[]): void {
    for (const part of parts) {
      this.#hash.update(part)
      this.#bytes += part.length
    }
    this.#marks.push({ bytes: this.#bytes, hash: this.#hash.copy().digest() })
  }

  /** False if the acknowledgement is not one of exactly what was sent. */
  accept(acknowledgement: Acknowledgement): boolean {
    const at = this.#marks.findIndex((mark) => mark.bytes === acknowledgement.bytes)
    const mark = this.#marks[at]
    if (mark === undefined || !bytesEqual(mark.hash, acknowledgement.hash)) return false
    this.#marks.splice(0, at + 1)
    this.#acknowledged = mark.bytes
    return true
  }
}
