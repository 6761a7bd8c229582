import { assert } from '../bytes/assert.ts'
import { ok, type Result } from '../bytes/result.ts'
import { addressOf } from '../bytes/signature.ts'
import { draftOf } from '../state/ledger.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { ZERO_HASH } from '../types/primitives.ts'
import { NONE, type Rail, type Resolution } from '../types/records.ts'
import type { SignedVoucher } from '../types/transactions.ts'
import type { TransactionContext } from './block-context.ts'
import { type Ask, askOf, nodeOf, stopOf } from './rail-terms.ts'
import { type Counters, countersAfter } from './redeem.ts'
import { railBase, type RailBase } from './resolution-log.ts'
import { type Booking, epochsOf, settleRail } from './settle-rail.ts'
import { billedLeaves, type RailEpochs, railRests, type RailTotals } from './settlement.ts'
import { touchNode } from './touch-node.ts'

/** Everything that a redeem of one rail would be reckoned from, and what it would book. */
export interface RedeemExplanation {
  readonly rail: number
  readonly generation: number
  /** Address of the node's key. */
  readonly node: Uint8Array
  /** Prices, locks, need, counters and terms as they stand. */
  readonly record: Readonly<Rail>
  readonly billedLeaves: bigint
  readonly shares: { readonly phi: number; readonly nu: number }
  /** First epoch that can count (fill epoch + 1) and the last: nothing is paid after it. */
  readonly start: number
  readonly stop: number
  readonly ask: Ask | undefined
  /** A and P at the base; undefined while no challenge that holds the rail is resolved. */
  readonly base: RailBase | undefined
  /** The node's A and P, and its resolutions from the rail's start on. */
  readonly A: number
  readonly P: number
  readonly resolutions: readonly Readonly<Resolution>[]
  readonly epochs: RailEpochs
  /** Voucher counters that it would be settled with. */
  readonly counters: Counters
  readonly totalsBefore: RailTotals
  readonly totalsAfter: RailTotals
  /** Differences: what the redeem would book and, before byte fee and debt, pay. */
  readonly booking: Booking
  readonly heldNow: bigint
  readonly forfeitedNow: bigint
  /** What the payer would get back if the rail ended now. */
  readonly rests: { readonly time: bigint; readonly units: bigint }
  readonly debt: bigint
}

/**
 * What a redeem of this rail in `nowEpoch` would book, with all inputs of PROTOCOL 6.6 and 7, the
 * node being touched first as every redeem does. Writes nothing. Undefined for a rail that is not
 * live; faults as countersAfter does for a voucher that would be refused.
 */
export function explainRedeem(
  draft: LedgerDraft,
  railIndex: number,
  nowEpoch: number,
  voucher?: SignedVoucher,
): Result<RedeemExplanation | undefined> {
  const before = draft.rails.get(railIndex)
  if (!before?.live) return ok(undefined)
  let counters: Counters = { kib: before.kib, reservations: before.reservations }
  if (voucher) {
    const counted = countersAfter(draft.chainId, railIndex, before, voucher)
    if (!counted.ok) return counted
    counters = counted.value
  }
  const trial = draftOf(draft)
  const context = silentContext(nowEpoch)
  const node = touchNode(trial, before.node, context)
  const epochs = epochsOf(trial, before, nowEpoch)
  const booking = settleRail(trial, railIndex, counters, context)
  const after = trial.rails.get(railIndex)
  assert(after, 'a settled rail is there')
  const ask = askOf(trial, before, nowEpoch)
  return ok({
    rail: railIndex,
    generation: before.generation,
    node: addressOf(node.nodeKey),
    record: before,
    billedLeaves: billedLeaves(before.leaves),
    shares: { phi: draft.params.phi, nu: draft.params.nu },
    start: before.fillEpoch + 1,
    stop: stopOf(node.log, before, ask),
    ask,
    base: railBase(node.log, before),
    A: node.A,
    P: node.P,
    resolutions: node.log.filter(({ A }) => A > before.fillEpoch),
    epochs,
    counters,
    totalsBefore: before,
    totalsAfter: after,
    booking,
    heldNow: after.held - before.held,
    forfeitedNow: after.forfeited - before.forfeited,
    rests: railRests(after),
    debt: nodeOf(trial, after).debt,
  })
}

/**
 * Preview of a redeem's proceeds from one rail, in units, before byte fee and debt: what a node
 * asks itself before it sends one. 0 for a rail that is not live.
 */
export function claimable(
  draft: LedgerDraft,
  railIndex: number,
  nowEpoch: number,
  voucher?: SignedVoucher,
): Result<bigint> {
  const explained = explainRedeem(draft, railIndex, nowEpoch, voucher)
  return explained.ok ? ok(explained.value?.booking.proceeds ?? 0n) : explained
}

/** A context in which nothing is sent and nothing is recorded. */
export function silentContext(epoch: number): TransactionContext {
  return {
    height: 0,
    epoch,
    timeMs: 0,
    proposer: 0,
    participants: [],
    sender: new Uint8Array(33),
    senderAddress: new Uint8Array(20),
    bytes: 0,
    transactionId: () => ZERO_HASH,
    emit: () => undefined,
  }
}

/** State of a node's rail for a client that lists them: running, closing, ended, lost, evicted. */
export type RailPhase = 'running' | 'closing' | 'ended' | 'leaving' | 'lost' | 'evicted'

export function phaseOf(draft: LedgerDraft, rail: Readonly<Rail>, nowEpoch: number): RailPhase {
  if (nodeOf(draft, rail).evicted) return 'evicted'
  if (rail.lostEpoch !== NONE) return 'lost'
  if (askOf(draft, rail, nowEpoch)) return 'closing'
  if (nowEpoch > rail.end) return 'ended'
  return rail.left ? 'leaving' : 'running'
}
