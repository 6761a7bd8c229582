import { assert } from '../bytes/assert.ts'
import { NONE, type Rail, type Resolution, RESOLUTIONS_MAX } from '../types/records.ts'

/**
 * A node's resolution log and what it says of one rail (PROTOCOL 6.6). The values of an entry are
 * those after its resolution: A, the epoch resolved up to, and P, the epochs proven in all.
 */
export type ResolutionLog = readonly Readonly<Resolution>[]

/** Entries at which a full log is searched for what no rail needs any more. */
const PRUNE_LENGTH_MIN = 64

/**
 * The log with one more resolution. In a run of passes that no change of the inventory falls into,
 * only the first and the last entry are kept: what lies between them is a straight line, so no
 * question about any rail has another answer (held against the whole log by test), and the
 * record of a node that does its work stays small.
 * @param event epoch of the newest change of the node's inventory (fill, loss, clearing, removal)
 */
export function appendResolution(
  log: ResolutionLog,
  resolution: Resolution,
  event: number,
): Resolution[] {
  const last = log.at(-1)
  const before = log.at(-2)
  if (last && before && event < before.epoch && continues(last, resolution)) {
    return [...log.slice(0, -1), resolution]
  }
  return [...log, resolution]
}

/** Both passed, and nothing unproven lies between them. */
function continues(last: Readonly<Resolution>, next: Resolution): boolean {
  return last.passed && next.passed && next.P - last.P === next.A - last.A
}

/** True where a log has doubled, or is full: then it is searched for entries nobody needs. */
export function isPruneDue(lengthBefore: number, length: number): boolean {
  if (length < PRUNE_LENGTH_MIN || length <= lengthBefore) return false
  return length >= RESOLUTIONS_MAX || Math.clz32(length) !== Math.clz32(lengthBefore)
}

/**
 * Drops entries below the oldest that a rail still needs, one more being kept so that the first
 * interval has a beginning. A log still full then loses its older half: a rail whose base is
 * stored loses nothing by that, one that its node did not redeem through all this time is paid
 * less, never more.
 * @param needed index of the oldest entry that some rail needs
 */
export function pruneLog(log: ResolutionLog, needed: number): Resolution[] {
  const pruned = log.slice(Math.max(0, needed - 1))
  return pruned.length < RESOLUTIONS_MAX ? pruned : pruned.slice(RESOLUTIONS_MAX / 2)
}

/**
 * Index of the oldest entry that the rail needs; the log's length if it needs none of them.
 * @param askEpoch epoch in which its close was asked; NONE if it was not
 */
export function oldestNeeded(
  log: ResolutionLog,
  rail: Readonly<Rail>,
  stop: number,
  askEpoch: number,
): number {
  const last = Math.max(0, log.length - 1)
  let needed = rail.base === NONE ? firstFrom(log, rail.fillEpoch + 1) : last
  if (rail.lostEpoch !== NONE) needed = Math.min(needed, lastUpTo(log, rail.lostEpoch))
  if (askEpoch !== NONE) needed = Math.min(needed, firstFrom(log, askEpoch))
  return Math.min(
    needed,
    firstWhere(log, (entry) => entry.A >= stop),
  )
}

/** Index of the first entry with challenge epoch >= epoch; the log's length if none. */
function firstFrom(log: ResolutionLog, epoch: number): number {
  return firstWhere(log, (entry) => entry.epoch >= epoch)
}

/** Binary search: `holds` is false up to some entry and true from there on. */
function firstWhere(log: ResolutionLog, holds: (entry: Readonly<Resolution>) => boolean): number {
  let low = 0
  let high = log.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (holds(log[middle] as Resolution)) high = middle
    else low = middle + 1
  }
  return low
}

/** Index of the last entry with challenge epoch <= epoch; 0 if none. */
function lastUpTo(log: ResolutionLog, epoch: number): number {
  return Math.max(0, firstFrom(log, epoch + 1) - 1)
}

/**
 * Epochs proven up to x, clamped to the last A: P before the interval that holds x, and the part
 * of that interval up to x if it passed. A passed interval begins P - P(before) epochs before its
 * A, so epochs in which the node had nothing under contract lie in no interval.
 */
export function provenAt(log: ResolutionLog, x: number): number {
  const last = log.at(-1)
  if (!last) return 0
  if (x >= last.A) return last.P
  const index = firstWhere(log, (entry) => entry.A > x)
  const holds = log[index]
  assert(holds, 'an epoch before the last A lies before some entry')
  const before = log[index - 1]
  // Nothing is known of what was before the oldest entry: the lowest possible count.
  if (!before) return Math.max(0, holds.P - (holds.A - x))
  return holds.passed ? Math.max(before.P, holds.P - (holds.A - x)) : before.P
}

/** A and P at a rail's base: the first resolution of a challenge whose snapshot holds the rail. */
export interface RailBase {
  readonly base: number
  readonly baseProven: number
}

export function railBase(log: ResolutionLog, rail: Readonly<Rail>): RailBase | undefined {
  if (rail.base !== NONE) return rail
  const first = log[firstFrom(log, rail.fillEpoch + 1)]
  return first && { base: first.A, baseProven: first.P }
}

/** What a declared loss adds to a rail's stop: A after the last resolution before the loss. */
export function lossBound(log: ResolutionLog, lostEpoch: number): number {
  return log[firstFrom(log, lostEpoch + 1) - 1]?.A ?? 0
}

/**
 * Proven and elapsed epochs of a rail up to its stop, over its whole life. Nothing before its
 * base counts; no base yet: nothing since it came (back) into the inventory.
 */
export function railEpochs(
  log: ResolutionLog,
  rail: Readonly<Rail>,
  stop: number,
): { E: number; elapsed: number } {
  const base = railBase(log, rail)
  const last = log.at(-1)
  if (!base || !last) return { E: rail.carriedE, elapsed: rail.carriedElapsed }
  const proven = Math.max(0, provenAt(log, stop) - base.baseProven)
  const elapsed = Math.max(0, Math.min(stop, last.A) - base.base)
  return { E: rail.carriedE + proven, elapsed: rail.carriedElapsed + elapsed }
}
