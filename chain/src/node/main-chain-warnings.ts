import type { MainChainFollower } from '../follower/follower.ts'

/** Main blocks' worth of time without a new one after which somebody should look. */
const STILL_BLOCKS = 30
const STILL_MS_MIN = 60_000
/** Blocks by which one main node may trail another. */
const TRAILING_BLOCKS = 6
/** Main headers that may wait for their Confirm. */
const CONFIRM_LAG_BLOCKS = 2

/** Milliseconds since the followed tip says it was made. */
export function mainTipAgeMs(follower: Pick<MainChainFollower, 'tipContext'>, nowMs: number) {
  return Math.max(0, nowMs - follower.tipContext.previous.time * 1000)
}

/**
 * What an operator should know of the main nodes, in plain words; empty while all is well. A
 * main node that goes on answering the same height looks healthy to whoever only waits for
 * errors, and beacons, deposits and anchors stop with it.
 */
export function mainChainWarnings(
  follower: Pick<MainChainFollower, 'status' | 'tipContext'>,
  mainBlockMs: number,
  nowMs: number,
): string[] {
  const { problem, confirms, sources, tip, nodeHeight } = follower.status()
  const warnings: string[] = []
  if (problem !== undefined) warnings.push(`the main chain is not followed: ${problem}`)
  const ageMs = mainTipAgeMs(follower, nowMs)
  if (nodeHeight <= tip.height && ageMs > Math.max(STILL_MS_MIN, STILL_BLOCKS * mainBlockMs)) {
    const minutes = Math.floor(ageMs / 60_000)
    warnings.push(
      `the main chain stands still: block ${tip.height} is ${minutes} min old; ` +
        'compare the main nodes with another one',
    )
  }
  const best = Math.max(...sources.map(({ height }) => height))
  for (const { name, height, problem: failed } of sources) {
    if (failed !== undefined || best - height <= TRAILING_BLOCKS) continue
    warnings.push(`main node ${name} is ${best - height} blocks behind another one`)
  }
  if (confirms && confirms.waiting > CONFIRM_LAG_BLOCKS) {
    warnings.push(`${confirms.waiting} main headers wait for a Confirm: ${confirms.reason}`)
  }
  return warnings
}
