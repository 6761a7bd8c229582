import { assert } from '../bytes/assert.ts'
import { BASIS_POINTS, type NetworkParams } from '../params/network-params.ts'
import { KIB_PER_GIB, LEAVES_PER_GIB } from '../types/primitives.ts'
import type { Rail } from '../types/records.ts'

/**
 * The money of a rail in integers (PROTOCOL 7). Everything is computed on the rail's cumulative
 * totals and booked by differences, so that splitting, batching, replaying and reordering redeems
 * change nothing and rounding cannot be farmed.
 */

/** Leaves that money and need count at least, so that no slot is too small to be worth a fee. */
const BILLED_LEAVES_MIN = 256

/** Leaves a slot is billed for; 0 for a relay rail, which has none. */
export function billedLeaves(leaves: number): bigint {
  return leaves === 0 ? 0n : BigInt(Math.max(leaves, BILLED_LEAVES_MIN))
}

/** Units for so many epochs of a slot: floor(price x billed x epochs / 2^22). */
export function timeAmount(price: bigint, leaves: number, epochs: number): bigint {
  return (price * billedLeaves(leaves) * BigInt(epochs)) / LEAVES_PER_GIB
}

/** Units of traffic and reservations before the lock's ceiling. */
export function unitsAmount(
  rail: Pick<Rail, 'unitPrice' | 'reservationPrice' | 'kib' | 'reservations'>,
): bigint {
  const traffic = (rail.unitPrice * BigInt(rail.kib)) / KIB_PER_GIB
  return traffic + rail.reservationPrice * BigInt(rail.reservations)
}

/** What a slot keeps locked until it is filled: its time at the cap, and its traffic budget. */
export function slotReserve(contract: {
  readonly priceCap: bigint
  readonly maxLeaves: number
  readonly term: number
  readonly lockUnits: bigint
}): bigint {
  return timeAmount(contract.priceCap, contract.maxLeaves, contract.term) + contract.lockUnits
}

/** Held pay that a rail must gather: what repairing its slot is assumed to cost, in units. */
export function railNeed(params: NetworkParams, unitPrice: bigint, leaves: number): bigint {
  return (3n * billedLeaves(leaves) * repairPrice(params, unitPrice)) / LEAVES_PER_GIB
}

/** Price per GiB moved that repair is reckoned with. */
export function repairPrice(params: NetworkParams, unitPrice: bigint): bigint {
  return unitPrice > params.repairFloorPrice ? unitPrice : params.repairFloorPrice
}

/**
 * True where a slot's pay is too small to burn and share anything in its minimum charge: then
 * redeeming would never be worth its byte fee and the storage would be free. Price 0 is a gift
 * between friends and may be.
 */
export function isDust(params: NetworkParams, price: bigint, leaves: number): boolean {
  if (price === 0n) return false
  const share = BigInt(params.phi + params.nu)
  const epochs = BigInt(params.minimumChargeEpochs)
  return (share * price * billedLeaves(leaves) * epochs) / (BASIS_POINTS * LEAVES_PER_GIB) < 1n
}

/**
 * Byte fee of so many bytes, units: what kinds without an account pay, from proceeds, as debt or
 * prepaid. It stays at the floor of the base fee, so that no rush of others decides whether a
 * redeem is worth it or a debt too high.
 */
export function byteFee(params: NetworkParams, bytes: number): bigint {
  return params.baseFeePerByte * BigInt(bytes)
}

/** Money totals of a rail over its whole life, units; none of them ever falls. */
export interface RailTotals {
  readonly paidTime: bigint
  readonly paidUnits: bigint
  readonly burned: bigint
  readonly validators: bigint
  readonly net: bigint
  readonly held: bigint
}

/** Epochs that count: proven ones are paid, elapsed ones owe phi. */
export interface RailEpochs {
  readonly E: number
  readonly elapsed: number
}

/**
 * The totals of a rail whose counters and epochs stand where they stand. `rail` brings the
 * prices, the locks, the voucher counters and the totals so far.
 */
export function railTotals(params: NetworkParams, rail: Rail, epochs: RailEpochs): RailTotals {
  const phi = BigInt(params.phi)
  const paidTime = greater(rail.paidTime, timeAmount(rail.price, rail.leaves, epochs.E))
  const elapsed = greater(paidTime, timeAmount(rail.price, rail.leaves, epochs.elapsed))
  const paidUnits = greater(rail.paidUnits, lesser(rail.lockUnits, unitsAmount(rail)))
  const total = paidTime + paidUnits
  const burned = greater(rail.burned, ceilDivide(phi * (elapsed + paidUnits), BASIS_POINTS))
  const validators = (BigInt(params.nu) * total) / BASIS_POINTS
  const net = total - ceilDivide(phi * total, BASIS_POINTS) - validators
  const held = greater(rail.held, lesser(net / 2n, rail.need))
  const totals = { paidTime, paidUnits, burned, validators, net, held }
  assert(validators >= rail.validators && net >= rail.net, 'a money total of a rail fell')
  assert(net - held >= rail.net - rail.held, 'pay already out would have to come back')
  assert(railEscrow({ ...rail, ...totals }) >= 0n, 'a rail owes more than its locks hold')
  return totals
}

/** Units of a rail's two locks that are neither paid, shared nor burned yet. */
export function railEscrow(
  rail: Pick<Rail, 'lockTime' | 'lockUnits' | 'burned' | 'validators' | 'net'>,
): bigint {
  return rail.lockTime + rail.lockUnits - rail.burned - rail.validators - rail.net
}

/** What a rest of the time lock and of the unit lock is: the phi of forfeited epochs is time's. */
export function railRests(rail: Rail): { time: bigint; units: bigint } {
  const units = rail.lockUnits - rail.paidUnits
  return { time: railEscrow(rail) - units, units }
}

/**
 * Epochs due at least for a rail that its payer closes (PROTOCOL 5.3). A refill inherits what its
 * slot's earlier rails were there: else nodes that follow one another before a close would each
 * be due the whole minimum.
 */
export function minimumEpochs(
  params: Pick<NetworkParams, 'minimumChargeEpochs'>,
  rail: Pick<Rail, 'term' | 'chargedBefore'>,
): number {
  return Math.max(0, Math.min(params.minimumChargeEpochs, rail.term) - rail.chargedBefore)
}

/** Units of held pay that burn when so much of it is forfeited in all: ceil(30 %). */
export function forfeitBurn(params: NetworkParams, forfeited: bigint): bigint {
  return ceilDivide(BigInt(params.forfeitBurnPercent) * forfeited, 100n)
}

export function ceilDivide(dividend: bigint, divisor: bigint): bigint {
  return (dividend + divisor - 1n) / divisor
}

function lesser(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}

function greater(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}
