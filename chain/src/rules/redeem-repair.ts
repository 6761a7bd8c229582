import { assert } from '../bytes/assert.ts'
import { bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { addressOf, signingDigest, verifySignature } from '../bytes/signature.ts'
import type { NetworkParams } from '../params/network-params.ts'
import { BASIS_POINTS } from '../params/network-params.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { KIB_PER_GIB } from '../types/primitives.ts'
import { ReceiptKind, type RepairReceipt } from '../types/receipts.ts'
import { type Contract, NONE, type Rail, REPAIRS_MAX, type SlotRepair } from '../types/records.ts'
import {
  type RedeemRepair,
  type RepairVoucher,
  RepairVoucherType,
  type SignedRepairVoucher,
} from '../types/transactions.ts'
import type { TransactionContext } from './block-context.ts'
import { paidForRefill, refillBudget, spendPot } from './contract-pot.ts'
import { liveContract } from './rail-terms.ts'
import { addBookings, type Booking, bookFees, NOTHING_BOOKED, payNode } from './settle-rail.ts'
import { byteFee, ceilDivide } from './settlement.ts'
import { openVacancy } from './slot-vacancy.ts'
import { touchNode } from './touch-node.ts'

/** Leaves of 256 B in a KiB. */
const LEAVES_PER_KIB = 4

/**
 * Pays a node from contracts' pots for the bytes its rails served to rebuild open slots, on
 * vouchers that the delegate signed (PROTOCOL 7). Such pay is a fee like any other: phi burns,
 * nu is the validators', and it counts for the node's subsidy.
 */
export function applyRedeemRepair(
  draft: LedgerDraft,
  { vouchers }: RedeemRepair,
  context: TransactionContext,
): Result<undefined> {
  const nodeIndex = draft.nodeIndex(context.senderAddress)
  if (nodeIndex === undefined) return fault('NODE_UNKNOWN', 'no node has this key')
  touchNode(draft, nodeIndex, context)
  let booking = NOTHING_BOOKED
  for (const signed of vouchers) {
    const booked = redeemOne(draft, nodeIndex, signed, context)
    if (!booked.ok) return booked
    booking = addBookings(booking, booked.value)
  }
  const fee = byteFee(draft.params, context.bytes)
  if (booking.proceeds < fee) {
    return fault('PROCEEDS_BELOW_FEE', 'the pots pay less than the byte fee', {
      proceeds: booking.proceeds,
      byteFee: fee,
    })
  }
  bookFees(draft, nodeIndex, booking, context)
  payNode(draft, nodeIndex, booking.proceeds, fee, context)
  return ok()
}

function redeemOne(
  draft: LedgerDraft,
  nodeIndex: number,
  signed: SignedRepairVoucher,
  context: TransactionContext,
): Result<Booking> {
  const { voucher } = signed
  const found = liveContract(draft, voucher.contract, voucher.generation)
  if (!found.ok) return found
  const opened = openVacancy(draft, voucher.contract, voucher.slot, context)
  if (!opened.ok) return opened
  const contract = draft.contracts.get(voucher.contract)
  assert(contract, 'the contract is there')
  const named = checkVoucher(draft, nodeIndex, contract, voucher)
  if (!named.ok) return named
  const verified = checkSignature(draft.chainId, contract, signed)
  if (!verified.ok) return verified
  return book(draft, contract, voucher, context)
}

function checkVoucher(
  draft: LedgerDraft,
  nodeIndex: number,
  contract: Readonly<Contract>,
  voucher: RepairVoucher,
): Result<undefined> {
  const { slot, refill, rail: railIndex, kib } = voucher
  const place = contract.rails[slot]
  if (place?.refill !== refill) {
    return fault('VOUCHER_REFILL', 'the voucher is for an earlier refill of the slot', {
      refill,
      now: place?.refill ?? 0,
    })
  }
  const rail = draft.rails.get(railIndex)
  const isOwn = rail?.live === true && rail.node === nodeIndex
  const serves = isOwn && rail.contract === voucher.contract && rail.lostEpoch === NONE
  if (!serves || contract.rails[rail.slot]?.rail !== railIndex || rail.slot === slot) {
    return fault('RAIL_UNKNOWN', 'the node has no other rail of this contract by that index', {
      rail: railIndex,
    })
  }
  if (!Number.isSafeInteger(kib)) {
    return fault('VOUCHER_RANGE', 'voucher counters stay below 2^53', { rail: railIndex })
  }
  return ok()
}

function checkSignature(
  chainId: Uint8Array,
  contract: Readonly<Contract>,
  { voucher, delegateKey, signature }: SignedRepairVoucher,
): Result<undefined> {
  if (!bytesEqual(addressOf(delegateKey), contract.delegate)) {
    return fault('VOUCHER_DELEGATE', 'the voucher is not from the delegate of the contract')
  }
  const digest = signingDigest('repair-voucher', chainId, RepairVoucherType.hashTreeRoot(voucher))
  if (verifySignature(signature, digest, delegateKey)) return ok()
  return fault('VOUCHER_SIGNATURE', 'the signature of the voucher is not valid')
}

/** KiB that all rails together may be paid for one refill: 1.1 x k x slot (PROTOCOL 7). */
export function repairBudgetKib(contract: Pick<Contract, 'k' | 'leaves'>): number {
  const slotKib = Math.ceil(contract.leaves / LEAVES_PER_KIB)
  return Math.floor((11 * contract.k * slotKib) / 10)
}

/** What a rail is paid in all for so many KiB of one refill, and how that is shared. */
export function repairShares(params: NetworkParams, paid: bigint) {
  const burned = ceilDivide(BigInt(params.phi) * paid, BASIS_POINTS)
  const validators = (BigInt(params.nu) * paid) / BASIS_POINTS
  return { burned, validators, proceeds: paid - burned - validators }
}

/** Books the difference to what the rail was paid for this refill, as far as pot and budgets go. */
function book(
  draft: LedgerDraft,
  contract: Readonly<Contract>,
  voucher: RepairVoucher,
  context: TransactionContext,
): Result<Booking> {
  const { contract: index, slot, rail: railIndex } = voucher
  const rail = draft.rails.get(railIndex)
  assert(rail, 'a rail index names no rail')
  const { generation } = rail
  const isSame = (other: SlotRepair) =>
    other.slot === slot && other.rail === railIndex && other.generation === generation
  const before = contract.repairs.find(isSame)
  if (!before && contract.repairs.length >= REPAIRS_MAX) {
    return fault('REPAIRS_FULL', 'too many rails serve refills of the contract at once')
  }
  const kibMax = repairBudgetKib(contract)
  const kibOfOthers = contract.repairs
    .filter((other) => other.slot === slot && !isSame(other))
    .reduce((sum, { kib }) => sum + kib, 0)
  const kib = Math.max(before?.kib ?? 0, Math.min(voucher.kib, kibMax - kibOfOthers))
  const paidBefore = before?.paid ?? 0n
  const budget = refillBudget(draft, contract, slot)
  const paidToOthers = paidForRefill(contract, slot, before)
  const price = (rail.unitPrice * BigInt(kib)) / KIB_PER_GIB
  const due = (price < budget - paidToOthers ? price : budget - paidToOthers) - paidBefore
  const spent = spendPot(draft, index, due > 0n ? due : 0n)
  const fee = spent.fromHeld + spent.fromPot
  const paidTotal = paidBefore + fee
  const repair = { slot, rail: railIndex, generation, kib, paid: paidTotal }
  storeRepair(draft, index, repair, isSame)
  const booking = bookingOf(draft.params, paidBefore, paidTotal)
  if (fee > 0n) {
    const bounds = { kibOfOthers, kibMax, paidToOthers, budget }
    emitRepair(draft, { voucher, rail, booking, repair, bounds, spent }, context)
  }
  return ok(booking)
}

function bookingOf(params: NetworkParams, paidBefore: bigint, paidTotal: bigint): Booking {
  const old = repairShares(params, paidBefore)
  const now = repairShares(params, paidTotal)
  return {
    fee: paidTotal - paidBefore,
    burned: now.burned - old.burned,
    validators: now.validators - old.validators,
    proceeds: now.proceeds - old.proceeds,
  }
}

function storeRepair(
  draft: LedgerDraft,
  index: number,
  repair: SlotRepair,
  isSame: (other: SlotRepair) => boolean,
): void {
  const contract = draft.contracts.get(index)
  assert(contract, 'a contract index names no contract')
  const repairs = contract.repairs.filter((other) => !isSame(other))
  draft.contracts.set(index, { ...contract, repairs: [...repairs, repair] })
}

function emitRepair(
  draft: LedgerDraft,
  booked: {
    readonly voucher: RepairVoucher
    readonly rail: Readonly<Rail>
    readonly booking: Booking
    readonly repair: SlotRepair
    readonly bounds: Pick<RepairReceipt, 'kibOfOthers' | 'kibMax' | 'paidToOthers' | 'budget'>
    readonly spent: { readonly fromHeld: bigint; readonly fromPot: bigint }
  },
  context: TransactionContext,
): void {
  const { voucher, rail, booking, repair, bounds, spent } = booked
  const contract = draft.contracts.get(voucher.contract)
  assert(contract, 'a contract index names no contract')
  context.emit({
    selector: ReceiptKind.repair,
    value: {
      contract: voucher.contract,
      generation: voucher.generation,
      slot: voucher.slot,
      refill: voucher.refill,
      rail: voucher.rail,
      node: context.senderAddress,
      delegate: contract.delegate,
      unitPrice: rail.unitPrice,
      kib: repair.kib,
      ...bounds,
      paidTotal: repair.paid,
      fee: booking.fee,
      burned: booking.burned,
      toValidators: booking.validators,
      net: booking.proceeds,
      ...spent,
    },
  })
}
