import type { Header } from '../types/consensus-objects.ts'
import type { ConsensusTiming } from './machine-interface.ts'

/**
 * Skip timeout T(v) = min(cap, T0 * growth^max(0, k - 2)) for k views waited out since the last
 * final one. Growth is what makes liveness almost sure when the network is slower than T0 assumes.
 */
export function skipTimeoutMs(timing: ConsensusTiming, viewsWaited: number): number {
  let timeout = timing.skipTimeoutMs
  for (let i = 2; i < viewsWaited && timeout < timing.skipTimeoutCapMs; i++) {
    timeout = Math.ceil((timeout * timing.skipTimeoutGrowthPercent) / 100)
  }
  return Math.min(timeout, timing.skipTimeoutCapMs)
}

/** Doublings of the least time in a view from half of a justification's room to all of it. */
const HOLD_DOUBLINGS = 12

/**
 * How long a view must last before it may be skipped, for a share of a justification's room that is
 * used. Nothing up to half of it; then the cap, doubling with each 24th part of the room, so that
 * the rest lasts for weeks however fast views are given up, and no wait is longer than a third of
 * the standstill so far (decision 38).
 */
export function skipHoldMs(timing: ConsensusTiming, roomUsed: number): number {
  if (roomUsed <= 0.5) return 0
  const doublings = Math.floor((Math.min(roomUsed, 1) - 0.5) * 2 * HOLD_DOUBLINGS)
  return timing.skipTimeoutCapMs * 2 ** doublings
}

/**
 * How long the leader waits for its block interval to pass since the parent. Bounded, so that a
 * node whose clock is wrong by much still takes part in skipping.
 */
export function leaderWaitMs(
  timing: ConsensusTiming,
  parent: Header | undefined,
  nowMs: number,
): number {
  const wait = (parent?.timeMs ?? nowMs) + timing.blockIntervalMs - nowMs
  return Math.max(0, Math.min(wait, timing.blockIntervalMs + timing.clockAheadMs))
}

/** Re-broadcast interval, +-20 % by validator, view and attempt, so that bundles do not collide. */
export function standstillMs(
  timing: ConsensusTiming,
  self: number | undefined,
  view: number,
  attempt: number,
): number {
  const spread = ((self ?? 101) * 7919 + view * 104_729 + attempt * 15_485_863) % 401
  return Math.ceil((timing.rebroadcastMs * (800 + spread)) / 1000)
}

/**
 * The upper half of the time rule, for notarizing only. The window behind grows like the skip
 * timeout: a fixed one could stop a chain whose proposals need longer to arrive.
 */
export function judgeTime(
  timing: ConsensusTiming,
  header: Header,
  nowMs: number,
  viewsSinceFinal: number,
): 'ok' | 'too early' | 'too late' {
  if (header.timeMs > nowMs + timing.clockAheadMs) return 'too early'
  const growth = skipTimeoutMs(timing, viewsSinceFinal) / timing.skipTimeoutMs
  return header.timeMs < nowMs - timing.clockBehindMs * growth ? 'too late' : 'ok'
}
