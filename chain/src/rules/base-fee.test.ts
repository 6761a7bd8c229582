import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { U64_MAX } from '../types/primitives.ts'
import { BLOCK_BODY_BYTES_MAX } from '../types/transactions.ts'
import {
  BASE_FEE_MAX,
  baseFeeCap,
  nextBaseFee,
  ORDINARY_BODY_BYTES_MAX,
  ORDINARY_BODY_BYTES_TARGET,
} from './base-fee.ts'

const floorArbitrary = fc.bigInt({ min: 0n, max: 1n << 20n })
const feeArbitrary = fc.bigInt({ min: 0n, max: BASE_FEE_MAX })
const bytesArbitrary = fc.integer({ min: 0, max: ORDINARY_BODY_BYTES_MAX })

describe('base fee', () => {
  test('moves as EIP-1559 says', () => {
    const [full, target] = [ORDINARY_BODY_BYTES_MAX, ORDINARY_BODY_BYTES_TARGET]
    expect(nextBaseFee(1n, 800n, full)).toBe(900n)
    expect(nextBaseFee(1n, 800n, target)).toBe(800n)
    expect(nextBaseFee(1n, 800n, 0)).toBe(700n)
    expect(nextBaseFee(1n, 800n, target * 1.5)).toBe(850n)
    // The least step in both directions.
    expect(nextBaseFee(1n, 1n, full)).toBe(2n)
    expect(nextBaseFee(1n, 7n, target + 1)).toBe(8n)
    expect(nextBaseFee(1n, 7n, target - 1)).toBe(6n)
    // The floor holds, also where it was raised above the fee.
    expect(nextBaseFee(1n, 1n, 0)).toBe(1n)
    expect(nextBaseFee(50n, 10n, 0)).toBe(50n)
    expect(nextBaseFee(1n, BASE_FEE_MAX, full)).toBe(BASE_FEE_MAX)
    expect(() => nextBaseFee(1n, 1n, full + 1)).toThrow('too full')
  })

  test('stays within its bounds and within an eighth, or one, of what it was', () => {
    fc.assert(
      fc.property(floorArbitrary, feeArbitrary, bytesArbitrary, (floor, fee, bytes) => {
        const before = fee < floor ? floor : fee
        const after = nextBaseFee(floor, before, bytes)
        expect(after >= floor && after <= BASE_FEE_MAX).toBe(true)
        const most = before / 8n > 1n ? before / 8n : 1n
        const moved = after > before ? after - before : before - after
        expect(moved <= most).toBe(true)
        if (bytes > ORDINARY_BODY_BYTES_TARGET) expect(after >= before).toBe(true)
        if (bytes < ORDINARY_BODY_BYTES_TARGET) expect(after <= before).toBe(true)
        expect(nextBaseFee(floor, before, Math.min(bytes + 1, ORDINARY_BODY_BYTES_MAX))).toSatisfy(
          (fuller: bigint) => fuller >= after,
        )
      }),
    )
  })

  test('no fee of a whole block leaves 64 bits', () => {
    expect(BASE_FEE_MAX * BigInt(BLOCK_BODY_BYTES_MAX)).toBeLessThan(U64_MAX)
    expect(baseFeeCap(BASE_FEE_MAX)).toBeLessThan(U64_MAX)
  })

  test('from anywhere it is back at the floor after idle blocks, and stays there', () => {
    fc.assert(
      fc.property(floorArbitrary, feeArbitrary, (floor, fee) => {
        let now = fee
        let blocks = 0
        for (; now !== floor && blocks < 300; blocks++) {
          const next = nextBaseFee(floor, now, 0)
          expect(next < now || now < floor).toBe(true)
          now = next
        }
        expect(now).toBe(floor)
        expect(nextBaseFee(floor, now, 0)).toBe(floor)
      }),
    )
  })

  test('the cap of a sender lasts ten full blocks', () => {
    fc.assert(
      fc.property(feeArbitrary, (fee) => {
        let now = fee
        for (let block = 0; block < 10; block++) now = nextBaseFee(1n, now, ORDINARY_BODY_BYTES_MAX)
        expect(now <= baseFeeCap(fee)).toBe(true)
      }),
    )
  })
})
