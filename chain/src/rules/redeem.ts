import { bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { addressOf, signingDigest, verifySignature } from '../bytes/signature.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import type { Rail } from '../types/records.ts'
import type { Redeem, SignedVoucher } from '../types/transactions.ts'
import { prepareVoucherRoots, voucherRoot } from '../types/voucher-root.ts'
import type { TransactionContext } from './block-context.ts'
import { addBookings, bookFees, NOTHING_BOOKED, payNode, settleRail } from './settle-rail.ts'
import { byteFee } from './settlement.ts'
import { touchNode } from './touch-node.ts'

/** Voucher counters of a rail, cumulative. */
export interface Counters {
  readonly kib: number
  readonly reservations: number
}

/**
 * The counters after a voucher. One at or below what is stored adds nothing and is no error, so
 * that redeems may be repeated and overtake one another. Faults where the voucher is not of this
 * rail and generation or not signed by its payer.
 */
export function countersAfter(
  chainId: Uint8Array,
  railIndex: number,
  rail: Readonly<Rail>,
  signed: SignedVoucher,
): Result<Counters> {
  const { voucher, payerKey, signature } = signed
  if (voucher.rail !== railIndex || voucher.generation !== rail.generation) {
    return fault('VOUCHER_OTHER_RAIL', 'the voucher is for another rail, or for an earlier one', {
      rail: railIndex,
      generation: rail.generation,
    })
  }
  if (!bytesEqual(addressOf(payerKey), rail.payer)) {
    return fault('VOUCHER_PAYER', 'the voucher is not from the payer of the rail', {
      rail: railIndex,
    })
  }
  const { kib, reservations } = voucher
  if (!Number.isSafeInteger(kib) || !Number.isSafeInteger(reservations)) {
    return fault('VOUCHER_RANGE', 'voucher counters stay below 2^53', { rail: railIndex })
  }
  const digest = signingDigest('voucher', chainId, voucherRoot(voucher))
  if (!verifySignature(signature, digest, payerKey)) {
    return fault('VOUCHER_SIGNATURE', 'the signature of the voucher is not valid', {
      rail: railIndex,
    })
  }
  return ok({
    kib: Math.max(rail.kib, kib),
    reservations: Math.max(rail.reservations, reservations),
  })
}

/**
 * Redeems a node's rails (PROTOCOL 7): settles each up to its newest resolution and voucher and
 * pays the sum, less one byte fee and the node's debt, if it is as much as the node asked for at
 * least. Sent by the node key; the money goes to the payout address, whoever sends it.
 */
export function applyRedeem(
  draft: LedgerDraft,
  redeem: Redeem,
  context: TransactionContext,
): Result<undefined> {
  const nodeIndex = draft.nodeIndex(context.senderAddress)
  if (nodeIndex === undefined) return fault('NODE_UNKNOWN', 'no node has this key')
  touchNode(draft, nodeIndex, context)
  const counted = vouchersByRail(draft, redeem, nodeIndex)
  if (!counted.ok) return counted
  let booking = NOTHING_BOOKED
  for (const [railIndex, counters] of counted.value) {
    booking = addBookings(booking, settleRail(draft, railIndex, counters, context))
  }
  const fee = byteFee(draft.params, context.bytes)
  if (booking.proceeds < fee) {
    return fault('PROCEEDS_BELOW_FEE', 'the rails pay less than the byte fee; redeem later', {
      proceeds: booking.proceeds,
      byteFee: fee,
    })
  }
  // It has no nonce and stays valid for blocks: a proposer may repeat it once time pay has grown.
  if (booking.proceeds < redeem.least) {
    return fault('PROCEEDS_BELOW_LEAST', 'the rails pay less than the node asked for', {
      proceeds: booking.proceeds,
      least: redeem.least,
    })
  }
  bookFees(draft, nodeIndex, booking, context)
  payNode(draft, nodeIndex, booking.proceeds, fee, context)
  return ok()
}

/** Checks rails and vouchers; gives the counters that each named rail is settled with. */
function vouchersByRail(
  draft: LedgerDraft,
  redeem: Redeem,
  nodeIndex: number,
): Result<Map<number, Counters>> {
  const counters = new Map<number, Counters>()
  for (const index of redeem.rails) {
    const rail = draft.rails.get(index)
    if (!rail?.live || rail.node !== nodeIndex) {
      return fault('RAIL_UNKNOWN', 'the node has no such rail', { rail: index })
    }
    counters.set(index, { kib: rail.kib, reservations: rail.reservations })
  }
  prepareVoucherRoots(redeem.vouchers.map(({ voucher }) => voucher))
  for (const signed of redeem.vouchers) {
    const { rail: index } = signed.voucher
    const rail = draft.rails.get(index)
    const before = counters.get(index)
    if (!rail || !before) {
      return fault('VOUCHER_OTHER_RAIL', 'the voucher is for a rail that is not redeemed', {
        rail: index,
      })
    }
    const after = countersAfter(draft.chainId, index, { ...rail, ...before }, signed)
    if (!after.ok) return after
    counters.set(index, after.value)
  }
  return ok(counters)
}
