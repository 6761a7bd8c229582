import { simulatedKey } from './cheap-crypto.ts'
import type { Scenario } from './scenario.ts'

/** Kinds of history that drawing would never bring about: one in `every` seeds, from `first` on. */
export const RARE = {
  away: { first: 50, every: 251 },
  nonsense: { first: 150, every: 251 },
  /** Takes as long as a hundred others. */
  refused: { first: 100, every: 2_510 },
} as const

/** A quick and whole network in which nothing fails. */
const QUIET = {
  twins: new Set<number>(),
  liars: new Set<number>(),
  epochBlocks: 40,
  loss: 0,
  duplication: 0,
  delayMaxMs: 50,
  crashRate: 0,
  clusterCrashAtMs: undefined,
  partitionMs: 0,
  tooManyFaulty: false,
  coded: false,
} as const

/** The history of such a seed; undefined for all others. */
export function rareScenario(seed: number): Scenario | undefined {
  const isOf = ({ first, every }: { first: number; every: number }) => seed % every === first
  if (isOf(RARE.away)) return longAway()
  if (isOf(RARE.nonsense)) return nonsenseFarAhead()
  return isOf(RARE.refused) ? nothingPleases() : undefined
}

/** One is away while the others make more blocks than are fetched one by one (block sync). */
function longAway(): Scenario {
  const away = 3
  const members = withWeights([3, 3, 3, 1])
  const timing = { blockIntervalMs: 100 }
  return { ...QUIET, ...members, away, timing, epochBlocks: 5_000, calmFromMs: 40_000 }
}

/**
 * Every block is objected to, and so skipped at once, for more views than a standstill bundle
 * holds. Shortly before calm all crash, and then say all that their logs hold.
 */
function nothingPleases(): Scenario {
  const calmFromMs = 45_000
  const crash = { clusterCrashAtMs: calmFromMs - 100, delayMaxMs: 10 }
  return { ...QUIET, ...withWeights([1, 1, 1]), ...crash, refusing: true, calmFromMs }
}

/** A leader signs headers without a reason for all views far ahead that it leads. */
function nonsenseFarAhead(): Scenario {
  const liars = new Set([2])
  return { ...QUIET, ...withWeights([1, 1, 1, 1]), liars, farAhead: true, calmFromMs: 10_000 }
}

function withWeights(weights: readonly number[]) {
  const validators = weights.map((weight, index) => ({ publicKey: simulatedKey(index), weight }))
  const clockOffsetsMs = weights.map(() => 0)
  const timerDrifts = weights.map(() => 1)
  return { validators, sets: [validators], clockOffsetsMs, timerDrifts }
}
