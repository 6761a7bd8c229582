import { assert } from '../bytes/assert.ts'
import { addressOf } from '../bytes/signature.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { type ReceiptBody, ReceiptKind } from '../types/receipts.ts'
import { NONE, type Node, type Rail } from '../types/records.ts'
import { credit } from './accounts.ts'
import type { TransactionContext } from './block-context.ts'
import { payDelegate } from './contract-pot.ts'
import { burnBaseFee } from './fees.ts'
import { forfeitHeld, isHoldForfeit } from './held-pay.ts'
import { askOf, contractOf, nodeOf, stopOf } from './rail-terms.ts'
import { railBase, railEpochs } from './resolution-log.ts'
import { rewardLeafHash } from './reward-tree.ts'
import { type RailEpochs, type RailTotals, railTotals } from './settlement.ts'

/** What settling rails booked, units: differences to their previous totals. */
export interface Booking {
  readonly fee: bigint
  readonly burned: bigint
  readonly validators: bigint
  /** Pay that is not held: what goes to the node. */
  readonly proceeds: bigint
}

export const NOTHING_BOOKED: Booking = { fee: 0n, burned: 0n, validators: 0n, proceeds: 0n }

export function addBookings(a: Booking, b: Booking): Booking {
  return {
    fee: a.fee + b.fee,
    burned: a.burned + b.burned,
    validators: a.validators + b.validators,
    proceeds: a.proceeds + b.proceeds,
  }
}

/** Proven and elapsed epochs of a rail as its node's log stands (PROTOCOL 6.6). */
export function epochsOf(draft: LedgerDraft, rail: Readonly<Rail>, nowEpoch: number): RailEpochs {
  const { log } = nodeOf(draft, rail)
  return railEpochs(log, rail, stopOf(log, rail, askOf(draft, rail, nowEpoch)))
}

/** How a settlement differs at the second step of a close. */
export interface ClosingTerms {
  /** Least epochs that are due (PROTOCOL 5.3). */
  readonly epochsMin: number
  /** Held pay is paid out now, where it was not forfeited. */
  readonly releases: boolean
}

const STILL_RUNNING: ClosingTerms = { epochsMin: 0, releases: false }

/**
 * Settles a rail up to what its node's log and its voucher counters say: stores the new totals,
 * books held pay, and leaves a receipt with all inputs if money moved. The money leaves the
 * rail's locks here; the caller books and pays what is returned.
 */
export function settleRail(
  draft: LedgerDraft,
  railIndex: number,
  counters: { readonly kib: number; readonly reservations: number },
  context: TransactionContext,
  closing: ClosingTerms = STILL_RUNNING,
): Booking {
  const before = draft.rails.get(railIndex)
  assert(before?.live, 'a rail index names no live rail')
  const { kib, reservations } = counters
  const counted: Rail = { ...before, kib, reservations }
  const epochs = withMinimum(epochsOf(draft, before, context.epoch), closing.epochsMin)
  const totals = railTotals(draft.params, counted, epochs)
  const base = railBase(nodeOf(draft, before).log, before)
  draft.rails.set(railIndex, { ...counted, ...totals, ...(base && pickBase(base)) })
  addHeld(draft, before.node, totals.held - before.held)
  if (isHoldForfeit(draft, counted)) forfeitHeld(draft, railIndex, context)
  const released = closing.releases ? releaseHeld(draft, railIndex) : 0n
  const booking = bookingOf(before, totals, released)
  const moved = booking.fee + booking.burned + totals.held - before.held + released
  if (moved > 0n) {
    context.emit(settlementReceipt(draft, railIndex, { before, epochs, booking, released }))
  }
  payDelegate(draft, railIndex, epochs.E, context)
  return booking
}

function pickBase({ base, baseProven }: { base: number; baseProven: number }) {
  return { base, baseProven }
}

function withMinimum(epochs: RailEpochs, epochsMin: number): RailEpochs {
  const E = Math.max(epochs.E, epochsMin)
  return { E, elapsed: Math.max(epochs.elapsed, epochsMin === 0 ? 0 : E) }
}

function bookingOf(before: Readonly<Rail>, totals: RailTotals, released: bigint): Booking {
  return {
    fee: totals.paidTime + totals.paidUnits - before.paidTime - before.paidUnits,
    burned: totals.burned - before.burned,
    validators: totals.validators - before.validators,
    proceeds: totals.net - totals.held - (before.net - before.held) + released,
  }
}

function addHeld(draft: LedgerDraft, nodeIndex: number, amount: bigint): void {
  if (amount === 0n) return
  const node = draft.nodes.get(nodeIndex)
  assert(node, 'a rail names no node')
  draft.nodes.set(nodeIndex, { ...node, held: node.held + amount })
}

/** Takes what a rail holds out of it; the rail keeps its totals, and ends. */
function releaseHeld(draft: LedgerDraft, railIndex: number): bigint {
  const rail = draft.rails.get(railIndex)
  assert(rail, 'a rail index names no rail')
  const released = rail.held - rail.forfeited
  addHeld(draft, rail.node, -released)
  return released
}

function settlementReceipt(
  draft: LedgerDraft,
  railIndex: number,
  settled: {
    readonly before: Readonly<Rail>
    readonly epochs: RailEpochs
    readonly booking: Booking
    readonly released: bigint
  },
): ReceiptBody {
  const { before, epochs, booking, released } = settled
  const rail = draft.rails.get(railIndex)
  assert(rail, 'a rail index names no rail')
  const node = nodeOf(draft, rail)
  const value = {
    node: addressOf(node.nodeKey),
    payer: rail.payer,
    rail: railIndex,
    generation: rail.generation,
    contract: rail.contract,
    price: rail.price,
    unitPrice: rail.unitPrice,
    reservationPrice: rail.reservationPrice,
    leaves: rail.leaves,
    E: epochs.E,
    elapsed: epochs.elapsed,
    kib: rail.kib,
    reservations: rail.reservations,
    lockUnits: rail.lockUnits,
    need: rail.need,
    fee: booking.fee,
    burned: booking.burned,
    toValidators: booking.validators,
    net: rail.net - before.net,
    held: rail.held - before.held,
    released,
    paid: booking.proceeds,
  }
  if (contractOf(draft, rail)) return { selector: ReceiptKind.storage, value }
  const deltaKib = rail.kib - before.kib
  return { selector: ReceiptKind.relay, value: { ...value, deltaKib } }
}

/**
 * Books what was settled: phi as service burn, nu into the validators' pool, and the fee to the
 * node's account of this epoch, from which its subsidy will be reckoned.
 */
export function bookFees(
  draft: LedgerDraft,
  nodeIndex: number,
  booking: Booking,
  context: TransactionContext,
): void {
  const { fee, burned, validators } = booking
  if (fee === 0n && burned === 0n) return
  const globals = draft.globals()
  draft.setGlobals({
    ...globals,
    burnedService: globals.burnedService + burned,
    validatorPool: globals.validatorPool + validators,
  })
  const epoch = draft.epochs.get(context.epoch)
  assert(epoch, 'the epoch of a block has no record')
  draft.epochs.set(context.epoch, {
    ...epoch,
    fees: epoch.fees + fee,
    burned: epoch.burned + burned,
    toValidators: epoch.toValidators + validators,
  })
  if (fee > 0n) addFee(draft, nodeIndex, fee, context.epoch)
}

function addFee(draft: LedgerDraft, nodeIndex: number, fee: bigint, epoch: number): void {
  const node = draft.nodes.get(nodeIndex)
  assert(node, 'a rail names no node')
  const isFirst = node.pendingEpoch === NONE
  assert(isFirst || node.pendingEpoch === epoch, 'a fee is booked before the node was touched')
  const pendingLeaf = isFirst ? draft.rewardCount(epoch) : node.pendingLeaf
  const pendingFee = node.pendingFee + fee
  const leaf = { node: addressOf(node.nodeKey), fee: pendingFee }
  rewardLeafHash(leaf)
  draft.setRewardLeaf(epoch, pendingLeaf, leaf)
  draft.nodes.set(nodeIndex, { ...node, pendingEpoch: epoch, pendingFee, pendingLeaf })
}

/**
 * Pays a node's proceeds to its payout address: byte fee first, then its proof debt as far as
 * the rest goes; both burn as base fees. The caller has seen that the proceeds cover the fee.
 */
export function payNode(
  draft: LedgerDraft,
  nodeIndex: number,
  proceeds: bigint,
  byteFee: bigint,
  context: TransactionContext,
): void {
  assert(proceeds >= byteFee, 'a byte fee exceeds the proceeds it is taken from')
  const node: Node | undefined = draft.nodes.get(nodeIndex)
  assert(node, 'a rail names no node')
  const rest = proceeds - byteFee
  const debtPaid = node.debt < rest ? node.debt : rest
  const paid = rest - debtPaid
  if (debtPaid > 0n) draft.nodes.set(nodeIndex, { ...node, debt: node.debt - debtPaid })
  burnBaseFee(draft, byteFee + debtPaid)
  credit(draft, node.payout, paid)
  if (proceeds === 0n) return
  context.emit({
    selector: ReceiptKind.payout,
    value: {
      node: addressOf(node.nodeKey),
      payout: node.payout,
      proceeds,
      byteFee,
      debtPaid,
      paid,
    },
  })
}
