import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DAY_MINUTES, isQuietAt, NO_LIMITS, ServiceGate } from './service-limits.ts'

const HOUR_MS = 3_600_000
const at = (hour: number, minute = 0) => hour * HOUR_MS + minute * 60_000

test('quiet hours within a day, over midnight, and none', () => {
  const day = { fromMinute: 9 * 60, toMinute: 17 * 60 }
  expect([8, 9, 16, 17].map((hour) => isQuietAt(day, at(hour)))).toEqual([false, true, true, false])
  const night = { fromMinute: 22 * 60, toMinute: 6 * 60 }
  expect([21, 22, 0, 5, 6].map((hour) => isQuietAt(night, at(hour)))).toEqual([
    false,
    true,
    true,
    true,
    false,
  ])
  expect(isQuietAt({ fromMinute: 60, toMinute: 60 }, at(1))).toBe(false)
})

test('quiet and awake minutes of any hours make up the day', () => {
  const minute = fc.nat(DAY_MINUTES - 1)
  fc.assert(
    fc.property(minute, minute, (fromMinute, toMinute) => {
      let quiet = 0
      for (let m = 0; m < DAY_MINUTES; m++) {
        if (isQuietAt({ fromMinute, toMinute }, m * 60_000)) quiet += 1
      }
      expect(quiet).toBe((toMinute - fromMinute + DAY_MINUTES) % DAY_MINUTES)
    }),
    { numRuns: 50 },
  )
})

test('the cap of a day refuses by name, and the next day is a new one', () => {
  const counters = { bytesIn: 500, bytesOut: 500 }
  let now = at(10)
  const gate = new ServiceGate({ ...NO_LIMITS, bytesPerDay: 100 }, counters, () => now)
  expect(gate.isOpen).toBe(true)
  counters.bytesOut += 60
  counters.bytesIn += 39
  expect(gate.bytesToday).toBe(99)
  gate.pass()
  counters.bytesIn += 1
  expect(() => gate.pass()).toThrow('bytes of the day')
  expect(gate.isOpen).toBe(false)
  now += 24 * HOUR_MS
  expect(gate.bytesToday).toBe(0)
  gate.pass()
})

test('in quiet hours the refusal says until when', () => {
  const quiet = { fromMinute: 60, toMinute: 7 * 60 + 5 }
  const gate = new ServiceGate({ ...NO_LIMITS, quiet }, { bytesIn: 0, bytesOut: 0 }, () => at(2))
  expect(() => gate.pass()).toThrow('until 07:05 UTC')
})
