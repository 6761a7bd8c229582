import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { epochsOf, readEpochCount as read } from './epoch-count.ts'

/** An hour, and 30 seconds. */
const HOUR = { epochBlocks: 720, blockIntervalMs: 5000 }
const HALF_MINUTE = { epochBlocks: 30, blockIntervalMs: 1000 }

describe('time on the chain', () => {
  test('a plain number is epochs, on every network', () => {
    for (const length of [HOUR, HALF_MINUTE]) {
      expect(epochsOf(read('720'), length)).toBe(720)
      expect(epochsOf(read('0'), length)).toBe(0)
    }
  })

  test.each([
    ['30d', 720, 86_400],
    ['12h', 12, 1440],
    ['1d 12h', 36, 4320],
    ['61m', 2, 122],
    ['1s', 1, 1],
  ])('%s are %d epochs of an hour, %d of half a minute', (text, hours, halfMinutes) => {
    expect(epochsOf(read(text), HOUR)).toBe(hours)
    expect(epochsOf(read(text), HALF_MINUTE)).toBe(halfMinutes)
  })

  test.each(['', '-1', '1.5', 'a year', '0d', '30 epochs', '99999999999'])('not %j', (text) => {
    expect(() => read(text)).toThrow('give whole epochs such as 720')
  })

  test('more than the chain can count is refused', () => {
    expect(() => epochsOf(read('9999999999'), HOUR)).toThrow('too many')
    expect(() => epochsOf(read('9000y'), HALF_MINUTE)).toThrow('too many')
  })

  test('a duration is never cut short, and less than one epoch is added', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1e11 }),
        fc.integer({ min: 2, max: 1000 }),
        fc.integer({ min: 100, max: 10_000 }),
        (ms, epochBlocks, blockIntervalMs) => {
          const left =
            epochsOf({ ms }, { epochBlocks, blockIntervalMs }) -
            ms / (epochBlocks * blockIntervalMs)
          expect(left).toBeGreaterThan(-1e-9)
          expect(left).toBeLessThan(1)
        },
      ),
    )
  })
})
