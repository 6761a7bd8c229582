import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readPrice, valueText } from './price.ts'

test('exact to the last decimal, cut off below a millionth', () => {
  expect(valueText(100_000_000n, readPrice('0.042'))).toBe('0.042000')
  expect(valueText(1n, readPrice('1'))).toBe('0.000000')
  expect(valueText(150_000_000n, readPrice('1234.000001'))).toBe('1851.000001')
  expect(() => readPrice('1e3')).toThrow('such as')
  expect(() => readPrice('-1')).toThrow('such as')
})

test('never more than units x price, never a millionth less', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: 1n << 60n }),
      fc.nat(),
      fc.nat(999_999),
      (units, a, b) => {
        const price = readPrice(`${a}.${String(b).padStart(6, '0')}`)
        const value = BigInt(valueText(units, price).replace('.', ''))
        const exact = units * (BigInt(a) * 1_000_000n + BigInt(b))
        expect(value).toBe(exact / 100_000_000n)
      },
    ),
  )
})
