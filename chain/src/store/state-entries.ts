import type { AbstractBatchPutOperation, AbstractSnapshot } from 'abstract-level'
import type { StateEntry } from '../manager/chain-store.ts'
import { stateTags } from '../state/record-tables.ts'
import type { Database } from './database.ts'
import { Prefix } from './layout.ts'

type StateWrite = AbstractBatchPutOperation<Database, Uint8Array | string, Uint8Array | string>

/**
 * Accounts are stored as text (base64url): there are a million of them where there are thousands
 * of all else, and the addon makes a string for a third of what a buffer costs.
 */
const TEXT_FROM: string = stateTags.accounts
/** Behind all keys that begin with the tag of accounts. */
const TEXT_TO = String.fromCharCode(TEXT_FROM.charCodeAt(0) + 1)

/**
 * Reads of the whole state. Keys, which are ASCII, come as text, for the same reason. One read
 * brings as many entries as fit, because every read costs a turn of another thread.
 */
const STATE_READ = { keyEncoding: 'utf8', highWaterMarkBytes: 512 * 1024 } as const
/** Entries that one read brings at most. */
const ENTRIES_PER_READ = 4096

const NONE = new Uint8Array(0)

/** Writes an entry; what is text goes to the addon as text, which saves it a copy. */
export function stateWrite(key: string, bytes: Uint8Array): StateWrite {
  const write = { type: 'put', key: Prefix.state + key, keyEncoding: 'utf8' } as const
  if (!key.startsWith(TEXT_FROM)) return { ...write, value: bytes }
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64url')
  return { ...write, value: text, valueEncoding: 'utf8' }
}

/** State entries with keys in [from, to), in order of their keys, many at a time. */
export async function* stateEntries(
  db: Database,
  snapshot: AbstractSnapshot,
  from: string,
  to: string,
): AsyncIterable<readonly StateEntry[]> {
  const read = { db, snapshot }
  yield* binaryEntries(read, from, least(to, TEXT_FROM))
  yield* textEntries(read, greatest(from, TEXT_FROM), least(to, TEXT_TO))
  yield* binaryEntries(read, greatest(from, TEXT_TO), to)
}

interface Reading {
  readonly db: Database
  readonly snapshot: AbstractSnapshot
}

async function* binaryEntries({ db, snapshot }: Reading, from: string, to: string) {
  const options = { ...rangeOf(from, to), ...STATE_READ, snapshot }
  for await (const read of reads(db.iterator<string, Uint8Array>(options), from < to)) {
    yield read.map(([key, bytes]) => ({ key: key.slice(1), bytes: unbuffered(bytes) }))
  }
}

async function* textEntries({ db, snapshot }: Reading, from: string, to: string) {
  const options = { ...rangeOf(from, to), ...STATE_READ, valueEncoding: 'utf8', snapshot } as const
  for await (const read of reads(db.iterator<string, string>(options), from < to)) {
    yield decoded(read)
  }
}

const rangeOf = (from: string, to: string) => ({ gte: Prefix.state + from, lt: Prefix.state + to })
const least = (a: string, b: string) => (a < b ? a : b)
const greatest = (a: string, b: string) => (a > b ? a : b)

interface Reader<T> {
  nextv(size: number): Promise<[string, T][]>
  close(): Promise<void>
}

async function* reads<T>(iterator: Reader<T>, hasAny: boolean): AsyncIterable<[string, T][]> {
  try {
    while (hasAny) {
      const read = await iterator.nextv(ENTRIES_PER_READ)
      if (read.length === 0) return
      yield read
    }
  } finally {
    await iterator.close()
  }
}

/** The entries of one read share their memory. */
function decoded(read: readonly [string, string][]): StateEntry[] {
  const room = read.reduce((sum, [, text]) => sum + Math.floor((text.length * 3) / 4), 0)
  const bytes = new Uint8Array(room)
  const buffer = Buffer.from(bytes.buffer)
  let at = 0
  return read.map(([key, text]) => {
    const start = at
    at += buffer.write(text, at, 'base64url')
    // Of a damaged text nothing is given, which is no account.
    const isWhole = isCanonical(text, at - start)
    return { key: key.slice(1), bytes: isWhole ? bytes.subarray(start, at) : NONE }
  })
}

/** Last characters of texts whose last byte leaves 4 and 2 bits of them unused. */
const LAST_OF_ONE = 'AQgw'
const LAST_OF_TWO = 'AEIMQUYcgkosw048'

/** Whether a text of so many bytes is the one that was written: decoding skips what is no digit. */
function isCanonical(text: string, bytes: number): boolean {
  if (text.length !== Math.ceil((bytes * 4) / 3)) return false
  const rest = bytes % 3
  if (rest === 0) return true
  return (rest === 1 ? LAST_OF_ONE : LAST_OF_TWO).includes(text.charAt(text.length - 1))
}

/** The same memory, of which slices are copies: a Buffer of the database is nobody else's. */
function unbuffered(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
}
