import { assert } from '../bytes/assert.ts'
import { ACCOUNT_BYTES, ADDRESS_BYTES } from './record-tables.ts'

/** The rows of all accounts, one after the other; an account's address stands first in its row. */
export interface AccountRows {
  readonly rows: Uint8Array
}

/** Two accounts of a table have the same address. */
export class AddressTwiceError extends Error {
  override name = 'AddressTwiceError'
}

/** Entries in order of their addresses: the first four bytes of each, and its account. */
interface Run {
  readonly prefixes: Uint32Array
  readonly accounts: Uint32Array
  length: number
}

const RUN_MAX = 1024
/** Entries of a run of an index made at once, which leaves room for those to come. */
const RUN_FILLED = 768
/** Which half of a 64-bit word is the low one in memory. */
const LOW = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1 ? 0 : 1

/**
 * Accounts of the committed state in order of their addresses, which themselves stand only in
 * their rows: eight bytes an account and some room. A search costs O(log n) comparisons whatever
 * addresses somebody grinds, an insertion O(sqrt n) moved words.
 */
export class AccountOrder {
  readonly #table: AccountRows
  readonly #runs: Run[] = []

  private constructor(table: AccountRows) {
    this.#table = table
  }

  /** Of the first `count` rows. Throws AddressTwiceError. */
  static of(table: AccountRows, count: number): AccountOrder {
    const made = new AccountOrder(table)
    const words = made.#sorted(count)
    for (let from = 0; from < count; from += RUN_FILLED) {
      const run = emptyRun()
      run.length = Math.min(RUN_FILLED, count - from)
      for (let i = 0; i < run.length; i++) {
        run.accounts[i] = words[2 * (from + i) + LOW] as number
        run.prefixes[i] = words[2 * (from + i) + 1 - LOW] as number
      }
      made.#runs.push(run)
    }
    return made
  }

  /** The account with this address. */
  get(address: Uint8Array): number | undefined {
    const prefix = prefixAt(address, 0)
    const run = this.#runs[this.#runOf(address, prefix)]
    if (run === undefined) return undefined
    const at = this.#firstNotBelow(run, address, prefix)
    const isFound = at < run.length && this.#compare(run, at, address, prefix) === 0
    return isFound ? run.accounts[at] : undefined
  }

  /** Puts in a new account, whose row stands already. */
  add(address: Uint8Array, account: number): void {
    const prefix = prefixAt(address, 0)
    if (this.#runs.length === 0) this.#runs.push(emptyRun())
    const index = this.#runOf(address, prefix)
    let run = this.#runs[index] as Run
    let at = this.#firstNotBelow(run, address, prefix)
    const isNew = at === run.length || this.#compare(run, at, address, prefix) !== 0
    assert(isNew, 'an address has one account')
    if (run.length === RUN_MAX) {
      const upper = splitRun(run)
      this.#runs.splice(index + 1, 0, upper)
      if (at > run.length) {
        at -= run.length
        run = upper
      }
    }
    run.prefixes.copyWithin(at + 1, at, run.length)
    run.accounts.copyWithin(at + 1, at, run.length)
    run.prefixes[at] = prefix
    run.accounts[at] = account
    run.length++
  }

  /** The account with the greatest address below `address`. */
  below(address: Uint8Array): number | undefined {
    const prefix = prefixAt(address, 0)
    const index = this.#runOf(address, prefix)
    const run = this.#runs[index]
    if (run === undefined) return undefined
    const at = this.#firstNotBelow(run, address, prefix)
    return at > 0 ? run.accounts[at - 1] : lastOf(this.#runs[index - 1])
  }

  /** The account with the greatest address. */
  greatest(): number | undefined {
    return lastOf(this.#runs.at(-1))
  }

  /** The last run that begins at or below an address; the first where none does. */
  #runOf(address: Uint8Array, prefix: number): number {
    let low = 0
    let high = this.#runs.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#compare(this.#runs[middle] as Run, 0, address, prefix) > 0) high = middle
      else low = middle + 1
    }
    return Math.max(0, low - 1)
  }

  #firstNotBelow(run: Run, address: Uint8Array, prefix: number): number {
    let low = 0
    let high = run.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#compare(run, middle, address, prefix) >= 0) high = middle
      else low = middle + 1
    }
    return low
  }

  /** The order of an entry and an address. */
  #compare(run: Run, at: number, address: Uint8Array, prefix: number): number {
    const own = run.prefixes[at] as number
    if (own !== prefix) return own - prefix
    const { rows } = this.#table
    return compareAddresses(rows, (run.accounts[at] as number) * ACCOUNT_BYTES, address, 0)
  }

  /** Prefix (high) and account (low) of the first `count` rows in 64-bit words, in order. */
  #sorted(count: number): Uint32Array {
    const { rows } = this.#table
    const entries = new BigUint64Array(count)
    const words = new Uint32Array(entries.buffer)
    for (let account = 0; account < count; account++) {
      words[2 * account + LOW] = account
      words[2 * account + 1 - LOW] = prefixAt(rows, account * ACCOUNT_BYTES)
    }
    // Numbers sort natively; where prefixes are equal, the rest of the addresses decides.
    entries.sort()
    for (let from = 0; from < count; ) {
      let to = from + 1
      while (to < count && words[2 * to + 1 - LOW] === words[2 * from + 1 - LOW]) to++
      if (to - from > 1) sortEqualPrefixes(rows, words, from, to)
      from = to
    }
    return words
  }
}

/** Sorts accounts with the same prefix. */
function sortEqualPrefixes(rows: Uint8Array, words: Uint32Array, from: number, to: number): void {
  const order = (a: number, b: number) =>
    compareAddresses(rows, a * ACCOUNT_BYTES, rows, b * ACCOUNT_BYTES)
  const accounts: number[] = []
  for (let at = from; at < to; at++) accounts.push(words[2 * at + LOW] as number)
  accounts.sort(order)
  for (const [i, account] of accounts.entries()) {
    if (i > 0 && order(accounts[i - 1] as number, account) === 0) throw new AddressTwiceError()
    words[2 * (from + i) + LOW] = account
  }
}

function emptyRun(): Run {
  return { prefixes: new Uint32Array(RUN_MAX), accounts: new Uint32Array(RUN_MAX), length: 0 }
}

/** Takes the upper half out of a full run. */
function splitRun(run: Run): Run {
  const upper = emptyRun()
  const half = RUN_MAX / 2
  upper.prefixes.set(run.prefixes.subarray(half))
  upper.accounts.set(run.accounts.subarray(half))
  upper.length = RUN_MAX - half
  run.length = half
  return upper
}

function lastOf(run: Run | undefined): number | undefined {
  return run?.accounts[run.length - 1]
}

/** The first four bytes of an address as a number that sorts as they do. */
function prefixAt(bytes: Uint8Array, at: number): number {
  const high = (bytes[at] as number) * 2 ** 24
  return high + (((bytes[at + 1] as number) << 16) | byte16(bytes, at + 2))
}

function byte16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
}

function compareAddresses(a: Uint8Array, atA: number, b: Uint8Array, atB: number): number {
  for (let i = 0; i < ADDRESS_BYTES; i++) {
    const difference = (a[atA + i] as number) - (b[atB + i] as number)
    if (difference !== 0) return difference
  }
  return 0
}
