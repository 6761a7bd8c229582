import { assert, bytesToHex, sha256 } from '@ioex/chain/bytes'
import { measure as sampled } from 'mitata'
import type { Bench, Comparison, Scale, Unmeasured, Workload } from './comparison.ts'

/** What was measured of one comparison. Rates are per second of processor time. */
export interface Measurement {
  readonly name: string
  readonly unit: string
  readonly rate: number
  readonly microsecondsPerUnit: number
  readonly against: { readonly name: string; readonly rate: number }
  /** Our rate in parts of the other one, of the median round; beside it the extreme rounds. */
  readonly ratio: number
  readonly ratioRange: readonly [least: number, most: number]
  /** First 8 bytes of the SHA-256 of the result, hex: equal work, equal hash. */
  readonly hash: string
  readonly facts: Readonly<Record<string, number>>
}

interface Effort {
  /** Odd, so that one round is the median. */
  readonly rounds: number
  readonly warmUp: boolean
  readonly samplesMin: number
  readonly nanosecondsMin: number
}

const USUAL: Effort = { rounds: 5, warmUp: true, samplesMin: 1, nanosecondsMin: 80e6 }
const SMOKE: Effort = { rounds: 1, warmUp: false, samplesMin: 1, nanosecondsMin: 0 }

/** Measures a benchmark's comparisons one after the other. */
export async function* runBench(
  bench: Bench,
  scale: Scale,
): AsyncGenerator<Measurement | Unmeasured> {
  for await (const comparison of bench.comparisons(scale)) {
    if ('unmeasured' in comparison) {
      yield comparison
      continue
    }
    const usual = { ...USUAL, rounds: comparison.rounds ?? USUAL.rounds }
    yield await measure(comparison, scale.smoke ? SMOKE : usual)
  }
}

/**
 * Both sides take turns, so that whatever else the machine does falls on both; the round with
 * the median ratio stands for all.
 */
async function measure(comparison: Comparison, effort: Effort): Promise<Measurement> {
  const { name, unit, work, subject, against, result, clock = 'processor', facts = {} } = comparison
  const now = typeof clock === 'function' ? clock : clocks[clock]
  const timed = (workload: Workload) => nanosecondsOf(workload, effort, now)
  if (effort.warmUp) {
    await timed(subject)
    await timed(against.workload)
  }
  const rounds: { own: number; other: number }[] = []
  for (let round = 0; round < effort.rounds; round++) {
    const own = await timed(subject)
    const other = await timed(against.workload)
    rounds.push({ own, other })
  }
  rounds.sort((a, b) => a.other / a.own - b.other / b.own)
  const ratios = rounds.map(({ own, other }) => other / own)
  const median = rounds[(rounds.length - 1) / 2]
  assert(median, 'the number of rounds is odd')
  const rate = (nanoseconds: number) => figures((work * 1e9) / nanoseconds)
  return {
    name,
    unit,
    rate: rate(median.own),
    microsecondsPerUnit: figures(median.own / 1000 / work),
    against: { name: against.name, rate: rate(median.other) },
    ratio: figures(median.other / median.own),
    ratioRange: [figures(ratios[0] as number), figures(ratios.at(-1) as number)],
    hash: bytesToHex(sha256(result).subarray(0, 8)),
    facts,
  }
}

/** Average time of one run. */
async function nanosecondsOf(
  workload: Workload,
  effort: Effort,
  now: () => number,
): Promise<number> {
  const stats = await sampled(
    function* () {
      yield { 0: workload, bench: (run: () => unknown) => run() }
    },
    {
      now,
      // Without --expose-gc it would allocate a gibibyte to provoke a collection.
      gc: false,
      min_samples: effort.samplesMin,
      min_cpu_time: effort.nanosecondsMin,
      // Every run is long enough to be timed alone.
      batch_threshold: -1,
    },
  )
  // The clock counts microseconds: a run of a smoke test can fall between two of them.
  return Math.max(stats.avg, 1000)
}

/**
 * Processor time of this process, with all its threads. Unlike wall time it does not count what
 * other processes do meanwhile.
 */
function processorNanoseconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) * 1000
}

/** Processor time of the thread that asks, which is the main one. */
function mainThreadNanoseconds(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) * 1000
}

const clocks = {
  processor: processorNanoseconds,
  mainThread: mainThreadNanoseconds,
} as const

function figures(value: number): number {
  return Number(value.toPrecision(4))
}
