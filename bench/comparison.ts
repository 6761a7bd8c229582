/** How much work a run of the benchmarks is given. */
export interface Scale {
  /** Tiny sizes: the benchmarks run through, their figures mean nothing. */
  readonly smoke: boolean
  /** The largest sizes, which take minutes to set up. */
  readonly full: boolean
}

/** The size for a scale; without a `full` one the usual size stands for it. */
export function sized(scale: Scale, smoke: number, usual: number, full = usual): number {
  if (scale.smoke) return smoke
  return scale.full ? full : usual
}

/** Prepares one run, untimed; what it returns is timed. */
export type Workload = () => () => unknown

/** A workload that needs no preparation. */
export function repeated(run: () => unknown): Workload {
  return () => run
}

/**
 * Our code beside the least that the same work can cost (limit), or beside another way to do it
 * (peer). Both sides do the whole work in every run.
 */
export interface Comparison {
  /** `room::operation/key=value`. */
  readonly name: string
  /** What is counted, in the plural. */
  readonly unit: string
  /** Units that one run of either side does. */
  readonly work: number
  /**
   * What is counted: processor time of all threads (default), or of the main thread alone, for work
   * of which other threads take a part and on which it never waits for them. While the machine is
   * busy the others get less time and the main thread has to do more. Or a clock that counts other
   * processes too, nanoseconds.
   */
  readonly clock?: 'processor' | 'mainThread' | (() => number)
  /** Turns that both sides take, odd; default 5. */
  readonly rounds?: number
  readonly subject: Workload
  readonly against: { readonly name: string; readonly workload: Workload }
  /** Bytes that follow from what the subject computed, the same in every run. */
  readonly result: Uint8Array
  /** Sizes and counts that explain the figure. */
  readonly facts?: Readonly<Record<string, number>>
}

/** A comparison for which this machine lacks something. */
export interface Unmeasured {
  readonly name: string
  /** What is missing. */
  readonly unmeasured: string
}

/** One subject: `npm run bench -- NAME`. */
export interface Bench {
  readonly name: string
  readonly about: string
  /** Each comparison is measured before the next is asked for, so that one at a time is held. */
  comparisons(
    scale: Scale,
  ): AsyncIterable<Comparison | Unmeasured> | Iterable<Comparison | Unmeasured>
}
