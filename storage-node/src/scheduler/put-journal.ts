import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { bytesToHex, parseHex } from '@ioex/chain/bytes'
import writeFileAtomic from 'write-file-atomic'
import type { PutFile } from '../manifest/build-manifest.ts'
import type { SourceFile } from './put-plan.ts'

const JOURNAL_VERSION = 1

/**
 * An unfinished put: enough to send the same bytes again into the same contracts. It holds the
 * content keys, so only its owner may read it; it is deleted when the put is done.
 */
export interface PutJournal {
  readonly fingerprint: string
  readonly device: Uint8Array
  readonly sequence: number
  readonly createdMs: number
  readonly k: number
  readonly n: number
  readonly termEpochs: number
  readonly priceCap: bigint
  readonly unitPriceCap: bigint
  readonly sources: readonly SourceFile[]
  readonly files: readonly PutFile[]
  readonly remove: readonly string[]
  readonly packs: { salt: Uint8Array; contract: number | undefined; done: boolean }[]
  /** Node keys (hex) by slot, as far as chosen. */
  nodes: string[]
}

/** The unfinished puts of a client, one file each. */
export class PutJournals {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  async save(journal: PutJournal): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    const text = JSON.stringify({ version: JOURNAL_VERSION, ...journal }, toJson, 1)
    await writeFileAtomic(this.#path(journal.fingerprint), text, { mode: 0o600 })
  }

  /** The journal of these very files, if a put of them was interrupted. */
  async find(fingerprint: string): Promise<PutJournal | undefined> {
    try {
      return parse(await readFile(this.#path(fingerprint), 'utf8'))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  async all(): Promise<PutJournal[]> {
    const names = await readdir(this.#folder).catch(() => [])
    const found: PutJournal[] = []
    for (const name of names.filter((one) => one.endsWith('.json'))) {
      const journal = await this.find(name.slice(0, -'.json'.length))
      if (journal) found.push(journal)
    }
    return found
  }

  async delete(fingerprint: string): Promise<void> {
    await rm(this.#path(fingerprint), { force: true })
  }

  #path(fingerprint: string): string {
    return join(this.#folder, `${fingerprint}.json`)
  }
}

/** Bytes and big integers as tagged text: JSON has neither. */
function toJson(_key: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return `hex:${bytesToHex(value)}`
  // Buffers turn into this before the replacer sees them.
  if (isBufferJson(value)) return `hex:${bytesToHex(Uint8Array.from(value.data))}`
  return typeof value === 'bigint' ? `units:${value}` : value
}

function isBufferJson(value: unknown): value is { type: 'Buffer'; data: number[] } {
  if (typeof value !== 'object' || value === null) return false
  return 'type' in value && value.type === 'Buffer' && 'data' in value && Array.isArray(value.data)
}

function fromJson(_key: string, value: unknown): unknown {
  if (typeof value !== 'string') return value
  if (value.startsWith('units:')) return BigInt(value.slice('units:'.length))
  if (!value.startsWith('hex:')) return value
  const bytes = parseHex(value.slice('hex:'.length), 64)
  return bytes.ok ? bytes.value : value
}

/** A journal of another version is not gone on with; its put starts afresh. */
function parse(text: string): PutJournal | undefined {
  const journal = JSON.parse(text, fromJson) as PutJournal & { version: number }
  return journal.version === JOURNAL_VERSION ? journal : undefined
}
