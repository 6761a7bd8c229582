import type { Hex } from '../bytes/hex.ts'
import type { ReplayTotals } from './chain-replay.ts'
import type { RecomputedContract } from './recomputed-contract.ts'
import type { RecomputedStatement } from './recomputed-statements.ts'
import type { UncheckedOpenings } from './unchecked-openings.ts'

/** The first thing found that is not as it is said to be. */
export interface Falsehood {
  /** File of the export, or the node that gave a false answer. */
  readonly file: string
  /** Height at which it shows; undefined for the manifest and files that belong to none. */
  readonly height: number | undefined
  readonly code: string
  /** What is false, in words. */
  readonly what: string
}

/** What was recomputed about the node, epoch or contract that was asked for. */
export interface AskedFindings {
  /** Receipts that the question is about. */
  readonly receipts: number
  readonly statements: readonly RecomputedStatement[]
  readonly contract: RecomputedContract | undefined
}

export interface AuditReport extends ReplayTotals {
  readonly network: string
  /** Human-readable part of its addresses. */
  readonly addressPrefix: string
  readonly chainId: Hex
  /** Heights audited, inclusive; `to` is -1 where not even genesis held. */
  readonly from: number
  readonly to: number
  readonly seconds: number
  readonly blocksPerSecond: number
  /** What was checked and found true, one sentence each; empty after a falsehood. */
  readonly checked: readonly string[]
  /** Openings that are gone everywhere; empty where everything was checked. */
  readonly unchecked: readonly UncheckedOpenings[]
  readonly falsehood: Falsehood | undefined
  readonly asked: AskedFindings
}
