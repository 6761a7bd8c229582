import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { NONE, type Rail, type Resolution, RESOLUTIONS_MAX } from '../types/records.ts'
import { emptyRail } from './open-relay.ts'
import {
  appendResolution,
  isPruneDue,
  oldestNeeded,
  provenAt,
  pruneLog,
  railBase,
  railEpochs,
} from './resolution-log.ts'

/** Resolutions of a node over time: how long until the next challenge, and whether it passes. */
const steps = fc.array(
  fc.record({ wait: fc.integer({ min: 1, max: 6 }), passed: fc.boolean(), event: fc.boolean() }),
  { minLength: 1, maxLength: 40 },
)
const W = 3

interface History {
  whole: Resolution[]
  joined: Resolution[]
  /** Epochs in which a rail was filled or lost. */
  events: number[]
}

function play(plan: typeof steps extends fc.Arbitrary<infer S> ? S : never): History {
  const history: History = { whole: [], joined: [], events: [0] }
  let epoch = 0
  let A = 0
  let P = 0
  for (const { wait, passed, event } of plan) {
    if (event) history.events.push(Math.max(epoch, A))
    epoch = Math.max(epoch, A) + wait
    if (passed) P += epoch - A
    A = passed ? epoch : epoch + W
    const resolution = { epoch, A, P, passed }
    history.whole.push(resolution)
    const newest = history.events.at(-1) as number
    history.joined = appendResolution(history.joined, resolution, newest)
  }
  return history
}

const railOf = (fillEpoch: number, fields: Partial<Rail> = {}): Rail => ({
  ...emptyRail(fillEpoch, 1000),
  ...fields,
})

describe('resolution log', () => {
  test('joined runs answer every question about a rail as the whole log does', () => {
    let joinedAway = 0
    fc.assert(
      fc.property(steps, fc.nat(), fc.nat(), fc.nat(300), (plan, pick, pickLost, stop) => {
        const { whole, joined, events } = play(plan)
        joinedAway += whole.length - joined.length
        const rail = railOf(events[pick % events.length] as number)
        expect(railBase(joined, rail)).toEqual(railBase(whole, rail))
        expect(railEpochs(joined, rail, stop)).toEqual(railEpochs(whole, rail, stop))
        const lost = { ...rail, lostEpoch: events[pickLost % events.length] as number }
        expect(railEpochs(joined, lost, stop)).toEqual(railEpochs(whole, lost, stop))
        for (let x = 0; x <= 250; x += 7) expect(provenAt(joined, x)).toBe(provenAt(whole, x))
      }),
      { numRuns: 300 },
    )
    expect(joinedAway).toBeGreaterThan(0)
  })

  test('pruning keeps what the rails that are left need', () => {
    fc.assert(
      fc.property(steps, fc.nat(), fc.nat(200), fc.boolean(), (plan, pick, end, isSettled) => {
        const { joined, events } = play(plan)
        let rail = railOf(events[pick % events.length] as number, { end })
        const base = railBase(joined, rail)
        if (isSettled && base) rail = { ...rail, ...base }
        const pruned = pruneLog(joined, oldestNeeded(joined, rail, end, NONE))
        expect(railEpochs(pruned, rail, end)).toEqual(railEpochs(joined, rail, end))
        const next = { epoch: 999, A: 999, P: 5000, passed: true }
        expect(railEpochs([...pruned, next], rail, end)).toEqual(
          railEpochs([...joined, next], rail, end),
        )
      }),
      { numRuns: 300 },
    )
  })

  test('an undisturbed node keeps two entries, whatever its age', () => {
    let log: Resolution[] = []
    for (let epoch = 1; epoch <= 10_000; epoch++) {
      log = appendResolution(log, { epoch, A: epoch, P: epoch, passed: true }, 0)
    }
    expect(log).toHaveLength(2)
    expect(provenAt(log, 5_000)).toBe(5_000)
  })

  test('a gap in which nothing was under contract lies in no interval', () => {
    const log = [
      { epoch: 10, A: 10, P: 10, passed: true },
      // Raised to 100 by a fill, then passed at 105.
      { epoch: 105, A: 105, P: 15, passed: true },
    ]
    expect([10, 50, 100, 103, 105].map((x) => provenAt(log, x))).toEqual([10, 10, 10, 13, 15])
    const [first, second] = log as [Resolution, Resolution]
    expect(appendResolution([first, first], second, 0)).toHaveLength(3)
  })

  test('a full log drops its older half: unsettled rails are paid less, never more', () => {
    const whole: Resolution[] = []
    for (let i = 0; i < RESOLUTIONS_MAX; i++) {
      const passed = i % 3 !== 0
      const before = whole.at(-1) ?? { A: 0, P: 0 }
      const epoch = before.A + 1
      const A = passed ? epoch : epoch + W
      whole.push({ epoch, A, P: before.P + (passed ? 1 : 0), passed })
    }
    expect(isPruneDue(RESOLUTIONS_MAX - 1, RESOLUTIONS_MAX)).toBe(true)
    const half = pruneLog(whole, 0)
    expect(half).toHaveLength(RESOLUTIONS_MAX / 2)
    const rail = railOf(5, { end: NONE })
    const settled = { ...rail, ...railBase(whole, rail) }
    for (const stop of [100, 2_000, 5_000, NONE]) {
      const exact = railEpochs(whole, rail, stop)
      expect(railEpochs(half, rail, stop).E).toBeLessThanOrEqual(exact.E)
      expect(railEpochs(half, settled, stop).E).toBeLessThanOrEqual(exact.E)
    }
    expect(railEpochs(half, settled, NONE)).toEqual(railEpochs(whole, rail, NONE))
  })

  test('is searched when it has doubled, and always when it is full', () => {
    const due = [63, 64, 65, 127, 128, 129, 4095, 4096, 4097].filter((n) => isPruneDue(n - 1, n))
    expect(due).toEqual([64, 128, 4096, 4097])
    expect(isPruneDue(64, 64)).toBe(false)
    expect(isPruneDue(126, 131)).toBe(true)
  })
})
