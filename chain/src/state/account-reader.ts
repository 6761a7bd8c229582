import { ACCOUNT_BYTES, indexOfRecordKey } from './record-tables.ts'

const ROWS_MIN = 1024

/** Collects stored accounts into one flat buffer of rows. */
export class AccountReader {
  #rows = new Uint8Array(ROWS_MIN * ACCOUNT_BYTES)
  #count = 0
  /** Those that came before an account with a lower index; a key alone claims no memory. */
  readonly #early = new Map<number, Uint8Array>()

  /** False where the entry is no account. Copies the bytes. */
  add(key: string, bytes: Uint8Array): boolean {
    const index = indexOfRecordKey(key)
    if (index === undefined || bytes.length !== ACCOUNT_BYTES) return false
    if (index > this.#count) this.#early.set(index, Uint8Array.from(bytes))
    else this.#put(index, bytes)
    return true
  }

  /** Rows of all accounts; undefined where one before the last is missing. */
  finish(): Uint8Array | undefined {
    for (let next = this.#early.get(this.#count); next; next = this.#early.get(this.#count)) {
      this.#early.delete(this.#count)
      this.#put(this.#count, next)
    }
    const bytes = this.#count * ACCOUNT_BYTES
    return this.#early.size === 0 ? this.#rows.slice(0, bytes) : undefined
  }

  #put(index: number, bytes: Uint8Array): void {
    const at = index * ACCOUNT_BYTES
    if (at === this.#rows.length) {
      const grown = new Uint8Array(2 * this.#rows.length)
      grown.set(this.#rows)
      this.#rows = grown
    }
    this.#rows.set(bytes, at)
    if (index === this.#count) this.#count++
  }
}
