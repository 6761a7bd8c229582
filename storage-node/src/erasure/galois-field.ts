import { assert } from '@ioex/chain/bytes'

/** x^8 + x^4 + x^3 + x^2 + 1: the field of PROTOCOL 1.5; 2 generates its 255 units. */
const POLYNOMIAL = 0x11d
const UNITS = 255

/** Powers of 2, twice round, so that a sum of two logarithms needs no reduction. */
const powers = new Uint8Array(2 * UNITS)
const logarithms = new Uint8Array(256)

for (let exponent = 0, element = 1; exponent < UNITS; exponent++) {
  powers[exponent] = element
  powers[exponent + UNITS] = element
  logarithms[element] = exponent
  element <<= 1
  if (element & 0x100) element ^= POLYNOMIAL
}

/** Product in GF(2^8); a sum is plain xor. */
export function multiply(a: number, b: number): number {
  if (a === 0 || b === 0) return 0
  return powers[(logarithms[a] as number) + (logarithms[b] as number)] as number
}

/** Multiplicative inverse of a non-zero element. */
export function inverse(a: number): number {
  assert(a > 0 && a < 256, 'only non-zero field elements have an inverse')
  return powers[UNITS - (logarithms[a] as number)] as number
}
