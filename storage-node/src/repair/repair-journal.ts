import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import writeFileAtomic from 'write-file-atomic'

/** Which peer was chosen for which refill of a slot. */
export interface ChosenPeer {
  readonly slot: number
  /** Number of the refill; 0 for a first fill. */
  readonly refill: number
  /** Node key, hex. */
  readonly node: string
}

/**
 * Remembers the peers that an unfinished repair chose: they may hold part of the bytes already,
 * so the same repair goes to them again. Losing it loses no money: what was paid stands in the
 * vouchers that the serving peers show.
 */
export class RepairJournal {
  readonly #folder: string
  readonly #path: string

  /** `name` tells contracts apart, also when an index is used again. */
  constructor(folder: string, name: string) {
    this.#folder = folder
    this.#path = join(folder, `${name}.json`)
  }

  async save(chosen: readonly ChosenPeer[]): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    await writeFileAtomic(this.#path, JSON.stringify({ chosen }), { mode: 0o600 })
  }

  /** Nothing where there is none, or one that is not ours: the repair then chooses anew. */
  async load(): Promise<ChosenPeer[]> {
    try {
      const { chosen } = JSON.parse(await readFile(this.#path, 'utf8')) as { chosen?: unknown }
      return Array.isArray(chosen) ? chosen.filter(isChosen) : []
    } catch {
      return []
    }
  }

  async delete(): Promise<void> {
    await rm(this.#path, { force: true })
  }
}

function isChosen(value: unknown): value is ChosenPeer {
  if (typeof value !== 'object' || value === null) return false
  const { slot, refill, node } = value as Partial<ChosenPeer>
  return Number.isInteger(slot) && Number.isInteger(refill) && typeof node === 'string'
}
