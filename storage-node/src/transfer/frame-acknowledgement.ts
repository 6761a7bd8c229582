import { createHash } from 'node:crypto'
import { ContainerType, type ValueOf } from '@chainsafe/ssz'
import { bytesEqual } from '@ioex/chain/bytes'
import { Bytes32, Count64 } from '@ioex/chain/types'

/**
 * The receiver's acknowledgement of PROTOCOL 8: bytes received since the channel opened, at a
 * multiple of 64 KiB, and the SHA-256 of all of them. Whoever pays a relay signs vouchers for
 * acknowledged bytes only, so a relay that swallows bytes is not paid for them.
 */
export const AcknowledgementType = new ContainerType({ bytes: Count64, hash: Bytes32 })
export type Acknowledgement = ValueOf<typeof AcknowledgementType>
export const ACKNOWLEDGEMENT_BYTES = 40

const MARK_BYTES = 64 * 1024
/** Always below what a voucher step leaves open, or payer and relay would wait for each other. */
const INTERVAL_BYTES_MAX = 512 * 1024

/** Running hash of a stream of bytes; reports it at every mark. */
class MarkedHash {
  readonly #hash = createHash('sha256')
  #bytes = 0

  add(bytes: Uint8Array, onMark: (mark: Acknowledgement) => void): void {
    for (let at = 0; at < bytes.length; ) {
      const take = Math.min(bytes.length - at, MARK_BYTES - (this.#bytes % MARK_BYTES))
      this.#hash.update(bytes.subarray(at, at + take))
      this.#bytes += take
      at += take
      if (this.#bytes % MARK_BYTES === 0) {
        onMark({ bytes: this.#bytes, hash: this.#hash.copy().digest() })
      }
    }
  }
}

/** Counts and hashes what arrives; says when the next acknowledgement is due. */
export class ReceivedTally {
  readonly #hash = new MarkedHash()
  #acknowledged = 0
  #interval = MARK_BYTES

  /** The acknowledgement to send now, if one is due after these bytes. */
  add(bytes: Uint8Array): Acknowledgement | undefined {
    let due: Acknowledgement | undefined
    this.#hash.add(bytes, (mark) => {
      if (mark.bytes - this.#acknowledged >= this.#interval) due = mark
    })
    if (due) {
      this.#acknowledged = due.bytes
      this.#interval = Math.min(INTERVAL_BYTES_MAX, Math.floor(this.#interval * 1.5))
    }
    return due
  }
}

/** Remembers what was sent until the other side acknowledges it. */
export class SentTally {
  readonly #hash = new MarkedHash()
  #marks: Acknowledgement[] = []
  #acknowledged = 0

  get acknowledgedBytes(): number {
    return this.#acknowledged
  }

  add(parts: readonly Uint8Array[]): void {
    for (const part of parts) this.#hash.add(part, (mark) => void this.#marks.push(mark))
  }

  /** False if the acknowledgement is not one of exactly what was sent. */
  accept(acknowledgement: Acknowledgement): boolean {
    const at = this.#marks.findIndex((mark) => mark.bytes === acknowledgement.bytes)
    const mark = this.#marks[at]
    if (mark === undefined || !bytesEqual(mark.hash, acknowledgement.hash)) return false
    this.#marks = this.#marks.slice(at + 1)
    this.#acknowledged = mark.bytes
    return true
  }
}
