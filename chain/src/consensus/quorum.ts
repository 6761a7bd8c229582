import { assert } from '../bytes/assert.ts'
import type { EpochValidator } from './machine-interface.ts'

/** Thresholds of a validator set, in weight. */
export interface Quorum {
  readonly total: number
  /** q = floor(2W/3) + 1: two quorums share more than a third. */
  readonly quorum: number
  /** b = W - q + 1: without it nobody reaches a quorum, so it holds an honest validator. */
  readonly blocking: number
}

export function quorumOf(validators: readonly EpochValidator[]): Quorum {
  let total = 0
  for (const { weight } of validators) {
    assert(Number.isInteger(weight) && weight >= 1 && weight < 2 ** 32, 'a weight is a u32 above 0')
    total += weight
  }
  const quorum = Math.floor((2 * total) / 3) + 1
  return { total, quorum, blocking: total - quorum + 1 }
}
