const LEAVES_PER_GIB = 4_194_304n
const KIB_PER_GIB = 1_048_576n
/** No slot is billed for less than 64 KiB. */
const BILLED_MIN = 256
/** What repair is reckoned to cost at least, units per GiB moved. */
const REPAIR_FLOOR = 1_000_000n

/** A rail's money over its whole life. */
export interface Totals {
  readonly time: bigint
  readonly units: bigint
  readonly fee: bigint
  readonly burned: bigint
  readonly toValidators: bigint
  readonly net: bigint
  readonly held: bigint
}

/** The terms that a rail was made with. */
export interface RailTerms {
  readonly index: number
  readonly generation: number
  /** Addresses, hex. */
  readonly payer: string
  readonly node: string
  readonly contract: number
  readonly price: bigint
  readonly unitPrice: bigint
  /** Of a paid link, units per reservation unit; elsewhere 0. */
  readonly reservationPrice?: bigint
  readonly leaves: number
  readonly term: number
  readonly lockUnits: bigint
  readonly fillEpoch: number
}

export interface HandRail extends RailTerms {
  /** Grows when it is topped up. */
  lockUnits: bigint
  readonly billed: bigint
  readonly need: bigint
  readonly lockTime: bigint
  totals: Totals
  kib: number
  reservations: number
  kibSettled: number
  forfeited: bigint
  released: bigint
  /** Epochs in which its close was asked, its loss declared, its index freed. */
  ask?: number
  lost?: number
  freed?: number
  /** Its node said that a step was never signed for. */
  unpaid?: boolean
}

const NOTHING: Totals = {
  time: 0n,
  units: 0n,
  fee: 0n,
  burned: 0n,
  toValidators: 0n,
  net: 0n,
  held: 0n,
}

export function newRail(terms: RailTerms): HandRail {
  const { leaves, price, unitPrice, term } = terms
  const billed = leaves === 0 ? 0n : BigInt(Math.max(leaves, BILLED_MIN))
  return {
    ...terms,
    billed,
    need: (3n * billed * greater(unitPrice, REPAIR_FLOOR)) / LEAVES_PER_GIB,
    lockTime: (price * billed * BigInt(term)) / LEAVES_PER_GIB,
    totals: NOTHING,
    kib: 0,
    reservations: 0,
    kibSettled: 0,
    forfeited: 0n,
    released: 0n,
  }
}

/**
 * PROTOCOL 7 in plain integers: 10 % of what elapsed and was moved burns, rounded up; 5 % of what
 * is paid goes to validators, rounded down; half of the rest is held until it could pay a repair.
 */
export function reckon(rail: HandRail, E: number, elapsed: number): Totals {
  const { price, billed, unitPrice, reservationPrice = 0n, lockUnits, totals, need } = rail
  const time = greater(totals.time, (price * billed * BigInt(E)) / LEAVES_PER_GIB)
  const due = greater(time, (price * billed * BigInt(elapsed)) / LEAVES_PER_GIB)
  const reserved = reservationPrice * BigInt(rail.reservations)
  const moved = (unitPrice * BigInt(rail.kib)) / KIB_PER_GIB + reserved
  const units = greater(totals.units, moved < lockUnits ? moved : lockUnits)
  const fee = time + units
  const burned = greater(totals.burned, (due + units + 9n) / 10n)
  const toValidators = fee / 20n
  const net = fee - (fee + 9n) / 10n - toValidators
  const half = net / 2n
  const held = greater(totals.held, half < need ? half : need)
  return { time, units, fee, burned, toValidators, net, held }
}

/** Held pay that goes now that the rail's node lost its bytes or its place. */
export function heldLost({ totals, forfeited }: HandRail) {
  const held = totals.held - forfeited
  const burned = (totals.held * 3n + 9n) / 10n - (forfeited * 3n + 9n) / 10n
  return { held, burned, toPots: held - burned }
}

/** What of its two locks is left for the payer: less the price of a step that it did not pay. */
export function refundOf(rail: HandRail) {
  const { totals, lockTime, lockUnits, unitPrice, reservationPrice = 0n, unpaid } = rail
  const { burned, toValidators, net, units } = totals
  const rest = lockUnits - units
  const stepKib = Math.min(4096, 256 + Math.floor(rail.kib / 2))
  const stepUnits = Math.min(16, 1 + Math.floor(rail.reservations / 2))
  const traffic = (unitPrice * BigInt(stepKib) + KIB_PER_GIB - 1n) / KIB_PER_GIB
  const step = unpaid ? traffic + reservationPrice * BigInt(stepUnits) : 0n
  const burnedUnits = step < rest ? step : rest
  const refundTime = lockTime + units - burned - toValidators - net
  return { refundTime, refundUnits: rest - burnedUnits, burnedUnits }
}

function greater(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}
