import type { ConsensusTiming } from '../../chain/src/consensus/machine-interface.ts'
import { simulatedKey } from './cheap-crypto.ts'
import type { Scenario } from './scenario.ts'
import { type Outcome, World } from './world.ts'

/**
 * Twins (arXiv 2004.10617): validators that run twice with one key, and in each of the first
 * views every way to split all instances into two halves, systematically.
 */
const VALIDATORS = 4
/** Three messages of a view need about this long when it is whole. */
const VIEW_MS = 400

const TIMING: ConsensusTiming = {
  blockIntervalMs: 50,
  skipTimeoutMs: 250,
  skipTimeoutGrowthPercent: 150,
  skipTimeoutCapMs: 4_000,
  rebroadcastMs: 500,
  clockAheadMs: 1_000,
  clockBehindMs: 10_000,
}

export interface TwinsPlan {
  /** Views whose splits are scripted. */
  readonly views: number
  readonly twins: readonly number[]
}

/** The first instance is always on side 0: mirrored splits are one. */
function splitsOf({ twins }: TwinsPlan): number {
  return 2 ** (VALIDATORS + twins.length - 1)
}

export function twinsScenarioCount(plan: TwinsPlan): number {
  return splitsOf(plan) ** plan.views
}

/** One scripted history: the digits of `number` name the split of each view. */
export function runTwins(plan: TwinsPlan, number: number, trace?: (line: string) => void): Outcome {
  const splits = splitsOf(plan)
  const sidesByView = Array.from(
    { length: plan.views },
    (_, view) => (Math.floor(number / splits ** view) % splits) * 2,
  )
  const validators = Array.from({ length: VALIDATORS }, (_, index) => ({
    publicKey: simulatedKey(index),
    weight: 1,
  }))
  const scenario: Scenario = {
    validators,
    sets: [validators],
    twins: new Set(plan.twins),
    liars: new Set(),
    epochBlocks: 40,
    calmFromMs: plan.views * VIEW_MS + 2_000,
    loss: 0,
    duplication: 0,
    delayMaxMs: 20,
    crashRate: 0,
    clusterCrashAtMs: undefined,
    partitionMs: 0,
    clockOffsetsMs: Array.from({ length: VALIDATORS }, () => 0),
    timerDrifts: Array.from({ length: VALIDATORS }, () => 1),
    tooManyFaulty: false,
    coded: false,
    sidesByView,
    timing: TIMING,
  }
  return new World(number, { trace, scenario }).run(number)
}
