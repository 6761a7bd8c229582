import { describe, expect, test } from 'vitest'
import {
  JUSTIFICATION_BYTES_MAX,
  JustificationType,
  SKIPS_MAX,
  VoteKind,
} from '../types/consensus-objects.ts'
import { chooseParent, nearestParent, roomUsed } from './parent-choice.ts'
import { MachineBench, TIMING, votesCast } from './testing/machine-bench.ts'
import { skipHoldMs } from './timing.ts'

const DAY_MS = 24 * 3_600_000
const weights = (count: number) => Array.from({ length: count }, () => 1)

/** Serialized, with its place in the list. */
const bytesOf = (validators: number, signers: number) =>
  80 + Math.ceil(validators / 8) + 64 * signers

describe('what is left for skips', () => {
  test.each([
    [4, 3],
    [36, 25],
    [36, 36],
    [100, 67],
    [100, 100],
  ])('lasts for weeks: %i validators, %i signers', (validators, signers) => {
    const size = bytesOf(validators, signers)
    const skipsMost = Math.min(SKIPS_MAX, Math.floor(JUSTIFICATION_BYTES_MAX / size) - 1)
    let standstillMs = 0
    let longest = 0
    for (let skips = 1; skips <= skipsMost; skips++) {
      const used = Math.max(skips / SKIPS_MAX, ((skips + 1) * size) / JUSTIFICATION_BYTES_MAX)
      // The first half may go at once: refused proposals cost hardly a second each.
      const holdMs = Math.max(1000, skipHoldMs(TIMING, used))
      if (standstillMs > 3_600_000) longest = Math.max(longest, holdMs / standstillMs)
      standstillMs += holdMs
    }
    expect(standstillMs).toBeGreaterThan(14 * DAY_MS)
    expect(longest).toBeLessThan(1 / 3)
  })

  test('does not slow down a network while there is room', () => {
    expect([0, 0.25, 0.5].map((used) => skipHoldMs(TIMING, used))).toEqual([0, 0, 0])
    expect(skipHoldMs(TIMING, 0.501)).toBe(60_000)
  })
})

describe('a hundred validators who skip view after view', () => {
  const bench = new MachineBench({ weights: weights(100), self: undefined })
  const choose = (view: number) => chooseParent(bench.machine, view)

  test('build on the last certified block as long as a justification has room for the gap', () => {
    const last = Math.floor(JUSTIFICATION_BYTES_MAX / bytesOf(100, 99)) + 1
    bench.skipTo(last)
    const parent = choose(last)
    expect(parent?.justification.skips).toHaveLength(last - 1)
    const bytes = JustificationType.serialize(parent?.justification as never).length
    expect(bytes).toBeLessThanOrEqual(JUSTIFICATION_BYTES_MAX)
    expect(bytes).toBeGreaterThan(JUSTIFICATION_BYTES_MAX - 2 * bytesOf(100, 99))
    bench.skipTo(last + 1)
    expect(choose(last + 1)).toBeUndefined()
    expect(roomUsed(nearestParent(bench.machine, last + 1) as never)).toBeGreaterThan(1)
  }, 60_000)

  test('notarize a block in the last possible view, and skip that view after a day only', () => {
    const last = Math.floor(JUSTIFICATION_BYTES_MAX / bytesOf(100, 99)) + 1
    const one = new MachineBench({ weights: weights(100), self: 0 })
    one.skipTo(last)
    one.take()
    const { nowMs } = one
    const { heldUntilMs } = one.machine
    expect(heldUntilMs - nowMs).toBe(60_000 * 2 ** 11)
    // Neither a third of the others nor the timers make it give the view up.
    for (let other = 1; other <= 40; other++) one.receiveVote(other, VoteKind.nullify, last)
    one.timer('skip')
    one.nowMs = heldUntilMs - 1
    one.timer('standstill')
    expect(votesCast(one.take()).filter((vote) => vote.startsWith('nullify'))).toEqual([])
    const block = one.propose(last, undefined, { timeMs: one.nowMs })
    one.accept(block)
    expect(votesCast(one.take())).toContainEqual(expect.stringContaining('notarize'))
    one.nowMs = heldUntilMs
    one.timer('skip')
    expect(votesCast(one.take())).toContainEqual(expect.stringContaining('nullify'))
  }, 60_000)

  test('skip a held view when its time is over, though their timer rings early', () => {
    const one = new MachineBench({ weights: weights(100), self: 0 })
    one.skipTo(100)
    one.take()
    const { heldUntilMs } = one.machine
    one.nowMs = heldUntilMs - 1
    one.timer('skip')
    expect(one.take()).toEqual([{ type: 'setTimer', timer: 'skip', view: 100, atMs: heldUntilMs }])
    one.nowMs = heldUntilMs
    one.timer('skip')
    expect(votesCast(one.take())).toEqual([expect.stringContaining('nullify')])
  }, 60_000)

  test('an invalid block is skipped when the view has lasted for its time', () => {
    const view = 100
    const one = new MachineBench({ weights: weights(100), self: 0 })
    one.skipTo(view)
    one.take()
    const { heldUntilMs, skipAtMs } = one.machine
    expect(heldUntilMs).toBeGreaterThan(one.nowMs)
    expect(skipAtMs).toBeGreaterThanOrEqual(heldUntilMs)
    const block = one.propose(view, undefined, { timeMs: one.nowMs })
    one.receiveProposal(block)
    one.validated(block.hash, 'invalid')
    expect(votesCast(one.take())).toEqual([])
    one.nowMs = heldUntilMs
    one.timer('skip')
    expect(votesCast(one.take())).toHaveLength(1)
  }, 60_000)
})
