import type { Subject } from './full-node/full-world.ts'

/** One rule taken away by a change of its text. */
export interface Mutant {
  readonly name: string
  readonly file: string
  readonly from: string
  readonly to: string
  /** Needs whole nodes with their ledgers, not the bare consensus machine. */
  readonly fullNode?: true
  /** What their histories must be about. */
  readonly about?: Subject
  /** Where rare histories start; default 1. */
  readonly firstSeed?: number
  /** Shows only where more weight is faulty than the protocol bears. */
  readonly faulty?: boolean
}
