import type { PutRequest } from './storage-interfaces.ts'
import type { TransferProgress } from './transfer-progress.ts'

/** Turns what happens into progress calls. */
export class PutProgress {
  readonly #report: ((progress: TransferProgress) => void) | undefined
  #phase: TransferProgress['phase'] = 'reading'
  #bytes = 0
  #peers = 0
  #lost = 0
  bytesTotal = 0

  constructor({ onProgress }: PutRequest) {
    this.#report = onProgress
  }

  total(bytes: number): void {
    this.bytesTotal = bytes
  }

  phase(phase: TransferProgress['phase']): void {
    // Reading and sending both go over all bytes.
    const hasRead = this.#phase === 'reading' || this.#phase === 'opening'
    if (phase === 'sending' && hasRead) this.#bytes = 0
    this.#phase = phase
    this.#tell()
  }

  peers(count: number): void {
    this.#peers = count
  }

  lost(): void {
    this.#lost += 1
  }

  read(bytes: number): void {
    this.#bytes += bytes
    this.#tell()
  }

  sent(bytes: number): void {
    this.#bytes = Math.min(this.bytesTotal, this.#bytes + bytes)
    // Everything is sent; what remains is to see the fills on the chain.
    if (this.#bytes === this.bytesTotal) this.#phase = 'confirming'
    this.#tell()
  }

  done(): void {
    this.#phase = 'done'
    this.#bytes = this.bytesTotal
    this.#tell()
  }

  #tell(): void {
    this.#report?.({
      phase: this.#phase,
      bytes: this.#bytes,
      bytesTotal: this.bytesTotal,
      peers: this.#peers,
      peersLost: this.#lost,
    })
  }
}
