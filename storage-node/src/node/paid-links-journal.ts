import { mkdir, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import writeFileAtomic from 'write-file-atomic'
import type { CountedReservation } from '../transfer/reservation-payer.ts'

/** What a peer counted on a rail that pays for a link. */
export interface JournalEntry extends CountedReservation {
  readonly rail: number
  readonly generation: number
}

/**
 * What a peer counted of its paid links, so that after a restart it goes on where it was and signs
 * for nothing that it did not see. Losing it costs at most a step: the relay shows the voucher
 * that it holds.
 */
export class PaidLinksJournal {
  readonly #path: string
  readonly #entries = new Map<string, JournalEntry>()
  #writing: Promise<void> = Promise.resolve()

  private constructor(path: string) {
    this.#path = path
  }

  static async open(path: string): Promise<PaidLinksJournal> {
    const journal = new PaidLinksJournal(path)
    try {
      const { rails } = JSON.parse(await readFile(path, 'utf8')) as { rails?: unknown }
      const entries = Array.isArray(rails) ? rails.filter(isEntry) : []
      for (const entry of entries) journal.#entries.set(nameOf(entry), entry)
    } catch {
      // First start, or a file that nobody can read.
    }
    return journal
  }

  get(rail: number, generation: number): JournalEntry | undefined {
    return this.#entries.get(nameOf({ rail, generation }))
  }

  put(entry: JournalEntry): Promise<void> {
    this.#entries.set(nameOf(entry), entry)
    return this.#write()
  }

  delete(rail: number, generation: number): Promise<void> {
    this.#entries.delete(nameOf({ rail, generation }))
    return this.#write()
  }

  #write(): Promise<void> {
    const text = JSON.stringify({ rails: [...this.#entries.values()] })
    this.#writing = this.#writing
      .catch(() => {})
      .then(async () => {
        await mkdir(dirname(this.#path), { recursive: true })
        await writeFileAtomic(this.#path, text, { mode: 0o600 })
      })
    return this.#writing
  }
}

function nameOf({ rail, generation }: { rail: number; generation: number }): string {
  return `${rail}-${generation}`
}

function isEntry(value: unknown): value is JournalEntry {
  if (typeof value !== 'object' || value === null) return false
  const { rail, generation, units, epoch } = value as Partial<JournalEntry>
  return [rail, generation, units, epoch].every((number) => Number.isSafeInteger(number))
}
