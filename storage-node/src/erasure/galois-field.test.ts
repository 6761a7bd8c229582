import { expect, test } from 'vitest'
import { inverse, multiply } from './galois-field.ts'

/** Carry-less product reduced by the polynomial, bit by bit: the definition. */
function slowProduct(a: number, b: number): number {
  let product = 0
  for (let bit = 0; bit < 8; bit++) if ((b >> bit) & 1) product ^= a << bit
  for (let bit = 15; bit >= 8; bit--) if ((product >> bit) & 1) product ^= 0x11d << (bit - 8)
  return product
}

test('every product is that of the definition', () => {
  let wrong = 0
  for (let a = 0; a < 256; a++) {
    for (let b = 0; b < 256; b++) if (multiply(a, b) !== slowProduct(a, b)) wrong++
  }
  expect(wrong).toBe(0)
})

test('every unit times its inverse is 1, zero has none', () => {
  for (let a = 1; a < 256; a++) expect(multiply(a, inverse(a))).toBe(1)
  expect(() => inverse(0)).toThrow('non-zero')
})
