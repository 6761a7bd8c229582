import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bytesEqual, compareBytes } from './hex.ts'

test('long byte strings are equal where the order says so, wherever they begin in memory', () => {
  const bytes = fc.uint8Array({ minLength: 250, maxLength: 270 })
  fc.assert(
    fc.property(bytes, fc.nat(3), fc.nat(269), fc.integer({ min: 0, max: 255 }), (a, at, i, x) => {
      const memory = new Uint8Array(a.length + at)
      const b = memory.subarray(at)
      b.set(a)
      expect(bytesEqual(a, b)).toBe(true)
      expect(bytesEqual(a, b.subarray(1))).toBe(false)
      b[i % b.length] = x
      expect(bytesEqual(a, b)).toBe(compareBytes(a, b) === 0)
    }),
  )
})
