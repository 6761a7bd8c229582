import { type Node, NONE, type Rail } from '../types/records.ts'

/** What the ledger knows of a slot. Waiting, proven and leaving slots count as live. */
export type SlotState =
  | 'empty'
  | 'waiting'
  | 'proven'
  | 'missed'
  | 'leaving'
  | 'lost'
  | 'ended'
  | 'evicted'

/**
 * safe while more than (n+k)/2 slots are live, the point at which repair is due; act-now when not
 * one more slot may be lost.
 */
export type ContractHealth = 'safe' | 'degraded' | 'act-now'

/** State of a slot with a rail, from that rail and its node as the rules see them in `epoch`. */
export function slotStateOf(
  epoch: number,
  rail: Readonly<Rail>,
  node: Readonly<Node>,
): Exclude<SlotState, 'empty'> {
  if (node.evicted) return 'evicted'
  if (rail.lostEpoch !== NONE) return 'lost'
  if (!rail.live || rail.askEpoch !== NONE || epoch > rail.end) return 'ended'
  if (node.strikes > 0) return 'missed'
  if (rail.left) return 'leaving'
  // Counted from the first resolution whose snapshot holds the rail (PROTOCOL 5.2, 6.6).
  const isProven = node.log.some((entry) => entry.epoch > rail.fillEpoch && entry.passed)
  return isProven ? 'proven' : 'waiting'
}

/** Health of a contract of any k of n slots, by the states of all its slots. */
export function contractHealthOf(
  k: number,
  n: number,
  states: readonly SlotState[],
): { readonly live: number; readonly health: ContractHealth } {
  const live = states.filter(isLiveState).length
  if (live <= k && live < n) return { live, health: 'act-now' }
  return { live, health: live > (n + k) / 2 || live === n ? 'safe' : 'degraded' }
}

function isLiveState(state: SlotState): boolean {
  return state === 'proven' || state === 'waiting' || state === 'leaving'
}
