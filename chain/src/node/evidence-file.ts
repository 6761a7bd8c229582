import { closeSync, fsyncSync, openSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import writeFileAtomic from 'write-file-atomic'
import { concatBytes } from '../bytes/hex.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import { type Evidence, EvidenceType } from '../types/transactions.ts'

const EVIDENCE_BYTES = EvidenceType.minSize

/**
 * Where evidence waits for a block across restarts: records of one size, one after the other. Each
 * proves itself by two signatures, so that a damaged one is lost alone and no checksum is needed.
 */
export class EvidenceFile {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  /** At most `max`; what is no evidence is left out. The signatures are not checked here. */
  read(max: number): Evidence[] {
    const read: Evidence[] = []
    const bytes = this.#bytes()
    for (let at = 0; at + EVIDENCE_BYTES <= bytes.length && read.length < max; ) {
      const record = bytes.slice(at, at + EVIDENCE_BYTES)
      const evidence = decodeCanonical(EvidenceType, record, EVIDENCE_BYTES)
      if (evidence.ok) read.push(evidence.value)
      at += EVIDENCE_BYTES
    }
    return read
  }

  /** Instead of what it held: after a crash it holds the old records or these. */
  replace(all: readonly Evidence[]): void {
    const bytes = concatBytes(...all.map((evidence) => EvidenceType.serialize(evidence)))
    writeFileAtomic.sync(this.#path, Buffer.from(bytes), { mode: 0o600 })
    const directory = openSync(dirname(this.#path), 'r')
    try {
      fsyncSync(directory)
    } finally {
      closeSync(directory)
    }
  }

  #bytes(): Uint8Array {
    try {
      return Uint8Array.from(readFileSync(this.#path))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Uint8Array(0)
      throw error
    }
  }
}
