/** Highest target of every network: 2^255 - 1. */
export const POW_LIMIT = (1n << 255n) - 1n
/** With this limit a network never retargets ("instant" mining). */
export const INSTANT_POW_LIMIT_BITS = 0x207fffff

const SIGN_BIT = 0x0080_0000
const MANTISSA_MASK = 0x007f_ffff

/** The number behind compact bits; negative with the sign bit, as Bitcoin reads it. */
export function compactToTarget(bits: number): bigint {
  const exponent = bits >>> 24
  const mantissa = BigInt(bits & MANTISSA_MASK)
  const shift = BigInt(8 * (exponent - 3))
  const magnitude = exponent <= 3 ? mantissa >> -shift : mantissa << shift
  return (bits & SIGN_BIT) === 0 ? magnitude : -magnitude
}

/** Compact bits of a target that is not negative; loses precision beyond 23 bits. */
export function targetToCompact(target: bigint): number {
  if (target === 0n) return 0
  let size = Math.ceil(target.toString(16).length / 2)
  let mantissa = Number(
    size <= 3 ? target << BigInt(8 * (3 - size)) : target >> BigInt(8 * (size - 3)),
  )
  // The top mantissa bit is the sign: a mantissa that would set it moves one byte down.
  if ((mantissa & SIGN_BIT) !== 0) {
    mantissa >>>= 8
    size++
  }
  return ((size << 24) | mantissa) >>> 0
}

/** Expected number of hashes behind a block of this target: 2^256 / (target + 1). */
export function workOfBits(bits: number): bigint {
  const target = compactToTarget(bits)
  return target <= 0n ? 0n : (1n << 256n) / (target + 1n)
}

/**
 * Whether the hash, read as a little-endian number, is at most the target of these bits. False
 * for targets that are zero, negative or above 2^255 - 1. Compares bytes, because it runs once
 * per header.
 */
export function hashMeetsBits(hash: Uint8Array, bits: number): boolean {
  const mantissa = bits & MANTISSA_MASK
  if (mantissa === 0 || (bits & SIGN_BIT) !== 0) return false
  const exponent = bits >>> 24
  if (exponent <= 3) {
    const target = mantissa >>> (8 * (3 - exponent))
    return target > 0 && compareWithMantissa(hash, target, 0) <= 0
  }
  // Above 2^255 - 1: a set bit of the mantissa would land on bit 255 or beyond.
  if (exponent > 34) return false
  if (exponent > 32 && mantissa >>> (8 * (34 - exponent) + 7) !== 0) return false
  return compareWithMantissa(hash, mantissa, exponent - 3) <= 0
}

/** Compares a 32-byte little-endian number with mantissa x 256^shift. */
function compareWithMantissa(hash: Uint8Array, mantissa: number, shift: number): number {
  for (let i = 31; i >= 0; i--) {
    const place = i - shift
    const target = place >= 0 && place < 3 ? (mantissa >>> (8 * place)) & 0xff : 0
    const difference = (hash[i] as number) - target
    if (difference !== 0) return difference
  }
  return 0
}
