import fc from 'fast-check'
import { expect, test } from 'vitest'
import * as ledger from '@ioex/chain/types'
import { formatAmount, formatIoex, parseAmount, UNITS_PER_IOEX } from './amount.ts'

const { U64_MAX } = ledger

test('the unit is the one of the ledger', () => {
  expect(UNITS_PER_IOEX).toBe(ledger.UNITS_PER_IOEX)
})

test('amounts with up to 8 decimals, exactly', () => {
  const cases: [string, bigint][] = [
    ['0', 0n],
    ['1', 100_000_000n],
    ['0.00000001', 1n],
    ['12.5', 1_250_000_000n],
    ['0.1 IOEX', 10_000_000n],
    ['184467440737.09551615', U64_MAX],
  ]
  for (const [text, units] of cases) expect(parseAmount(text)).toMatchObject({ value: units })
})

test('anything else is refused', () => {
  for (const text of ['', '-1', '1.', '.5', '1e3', '0.000000001', '1,000', '0x10', '١', 'NaN']) {
    expect(parseAmount(text)).toMatchObject({ fault: { code: 'AMOUNT_MALFORMED' } })
  }
  expect(parseAmount('184467440737.09551616')).toMatchObject({
    fault: { code: 'AMOUNT_TOO_LARGE' },
  })
})

test('what is shown reads back as the same amount', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: U64_MAX }), (units) => {
      const parsed = parseAmount(formatAmount(units).replaceAll(',', ''))
      expect(parsed).toMatchObject({ ok: true, value: units })
    }),
  )
  expect(formatAmount(123_456_789_000_000_000n)).toBe('1,234,567,890')
  expect(formatAmount(-5n)).toBe('-0.00000005')
  expect(formatIoex('150000000')).toBe('1.5 IOEX')
})
