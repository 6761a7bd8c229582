import { expect, test } from 'vitest'
import type { FollowerStatus, MainChainFollower } from '../follower/follower.ts'
import type { SourceStatus } from '../follower/main-sources.ts'
import { mainChainWarnings, mainTipAgeMs } from './main-chain-warnings.ts'

const MAIN_BLOCK_MS = 120_000
const TIP_TIME = 1_800_000_000
const nowMs = (minutesLater: number) => (TIP_TIME + 60 * minutesLater) * 1000

function warnings(minutesLater: number, change: Partial<FollowerStatus> = {}) {
  const source = (name: string, height: number) => ({ name, height }) as SourceStatus
  const status = {
    tip: { height: 100 },
    nodeHeight: 100,
    problem: undefined,
    sources: [source('main node', 100), source('second', 98)],
    confirms: undefined,
    ...change,
  } as FollowerStatus
  const follower = { status: () => status, tipContext: { previous: { time: TIP_TIME } } }
  return mainChainWarnings(follower as MainChainFollower, MAIN_BLOCK_MS, nowMs(minutesLater))
}

test('a main chain at its usual pace needs no warning', () => {
  expect(warnings(0)).toEqual([])
  expect(warnings(60)).toEqual([])
})

test('main nodes that go on answering the same height are noticed', () => {
  expect(warnings(61)).toEqual([expect.stringContaining('block 100 is 61 min old')])
  // Behind, not still: the node is catching up.
  expect(warnings(61, { nodeHeight: 101 })).toEqual([])
  const follower = { tipContext: { previous: { time: TIP_TIME } } } as MainChainFollower
  expect(mainTipAgeMs(follower, nowMs(-1))).toBe(0)
})

test('a main node that trails another is named, one that fails is not named twice', () => {
  const trailing = { name: 'second', height: 93 } as SourceStatus
  const first = { name: 'main node', height: 100 } as SourceStatus
  expect(warnings(0, { sources: [first, trailing] })).toEqual([
    'main node second is 7 blocks behind another one',
  ])
  expect(warnings(0, { sources: [first, { ...trailing, problem: 'no answer' }] })).toEqual([])
})

test('problems and missing Confirms are told as they are', () => {
  expect(warnings(0, { problem: 'no answer' })).toEqual([
    'the main chain is not followed: no answer',
  ])
  const confirms = { waiting: 3, reason: 'too few votes' } as FollowerStatus['confirms']
  expect(warnings(0, { confirms })).toEqual(['3 main headers wait for a Confirm: too few votes'])
})
