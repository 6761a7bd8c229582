import { assert } from '../bytes/assert.ts'
import { BLOCK_BODY_BYTES_MAX } from '../types/transactions.ts'

/** Of a block's body at least a quarter is kept free for proofs (PROTOCOL 4). */
export const ORDINARY_BODY_BYTES_MAX = (BLOCK_BODY_BYTES_MAX * 3) / 4
/** What the base fee steers for: half of what ordinary transactions may fill. */
export const ORDINARY_BODY_BYTES_TARGET = ORDINARY_BODY_BYTES_MAX / 2
/** The most that one block moves the base fee: an eighth of it. */
const STEP_DIVISOR = 8n
/**
 * No base fee is higher, units per byte: half a block would then cost more than 2^58 units. Keeps
 * every fee within 64 bits.
 */
export const BASE_FEE_MAX = 1n << 40n

/**
 * The base fee of the next block in units per byte (EIP-1559, with bytes for gas): a block filled
 * to the target leaves it, a full one raises it by an eighth, an empty one lowers it by an eighth,
 * others in proportion, in whole units and by at least one. Never below `floor`, never above
 * BASE_FEE_MAX.
 */
export function nextBaseFee(floor: bigint, baseFee: bigint, ordinaryBytes: number): bigint {
  assert(ordinaryBytes >= 0 && ordinaryBytes <= ORDINARY_BODY_BYTES_MAX, 'a block is too full')
  const excess = BigInt(ordinaryBytes - ORDINARY_BODY_BYTES_TARGET)
  if (excess === 0n) return within(floor, baseFee)
  const size = excess < 0n ? -excess : excess
  const proportion = (baseFee * size) / BigInt(ORDINARY_BODY_BYTES_TARGET) / STEP_DIVISOR
  // Without the least step an eighth of less than 8 units would be none, and stay for ever.
  const step = proportion > 1n ? proportion : 1n
  return within(floor, excess < 0n ? baseFee - step : baseFee + step)
}

function within(floor: bigint, baseFee: bigint): bigint {
  if (baseFee < floor) return floor
  return baseFee > BASE_FEE_MAX ? BASE_FEE_MAX : baseFee
}

/**
 * The maxBaseFee that a sender should state while the base fee is this: enough for ten full
 * blocks. What is charged is the base fee of the block, never the cap.
 */
export function baseFeeCap(baseFee: bigint): bigint {
  return 4n * baseFee + 12n
}
