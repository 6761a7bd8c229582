import { beforeAll, expect, test } from 'vitest'
import { installNativeCrypto } from '../../../chain/src/native/install-native-crypto.ts'
import { PayloadKind } from '../../../chain/src/types/transactions.ts'
import { loseSyncs } from './faulty-log.ts'
import { type FullOutcome, replayOf, runFullSeed } from './full-world.ts'

const SEEDS = 20
const NEWCOMER_SEEDS = 2
const FLOOD_SEEDS = 4

beforeAll(() => installNativeCrypto())

test(`whole nodes hold every invariant in ${SEEDS} seeded histories`, async () => {
  const failures: string[] = []
  const included = new Map<number, number>()
  let rotNoticed = 0
  let logBytesLost = 0
  for (let seed = 1; seed <= SEEDS; seed++) {
    const outcome = await runFullSeed(seed)
    rotNoticed += outcome.rotNoticed
    logBytesLost += outcome.logBytesLost
    for (const [kind, times] of outcome.included) {
      included.set(kind, (included.get(kind) ?? 0) + times)
    }
    if (outcome.violation === undefined) continue
    failures.push(`${outcome.violation} (${replayOf(seed)})`)
  }
  expect(failures).toEqual([])
  // The histories are about something: damage was met, and every kind of transaction got through.
  expect(rotNoticed).toBeGreaterThan(0)
  expect(logBytesLost).toBeGreaterThan(0)
  const { transfer, register, openRelay, redeem, unbond, releaseStake } = PayloadKind
  for (const kind of [transfer, register, openRelay, redeem, unbond, releaseStake]) {
    expect(included.get(kind) ?? 0).toBeGreaterThan(0)
  }
})

test(`newcomers end on the anchored branch in ${NEWCOMER_SEEDS} histories (I16)`, async () => {
  const failures: string[] = []
  const about = 'newcomers'
  const outcomes: FullOutcome[] = []
  let joined = 0
  let stopped = 0
  for (let seed = 1; seed <= NEWCOMER_SEEDS; seed++) {
    const outcome = await runFullSeed(seed, { about })
    outcomes.push(outcome)
    joined += outcome.joined
    stopped += outcome.stopped
    if (outcome.violation === undefined) continue
    failures.push(`${outcome.violation} (${replayOf(seed, about)})`)
  }
  expect(failures).toEqual([])
  // Some are told at first that nothing decides; all arrive.
  expect(joined).toBeGreaterThanOrEqual(NEWCOMER_SEEDS)
  expect(stopped).toBeGreaterThan(0)
  expect(await runFullSeed(1, { about })).toEqual(outcomes[0])
})

test(`whole nodes keep no more than their bounds in ${FLOOD_SEEDS} floods (I13)`, async () => {
  const failures: string[] = []
  let accused = 0
  for (let seed = 1; seed <= FLOOD_SEEDS; seed++) {
    const { violation, included } = await runFullSeed(seed, { about: 'floods' })
    accused += included.get(PayloadKind.evidence) ?? 0
    if (violation !== undefined) failures.push(`${violation} (${replayOf(seed, 'floods')})`)
  }
  expect(failures).toEqual([])
  // One of them has a validator that signs against itself, and pays for it.
  expect(accused).toBeGreaterThan(0)
})

test('a log whose syncs are lost is found out: an honest key signs twice', async () => {
  loseSyncs(true)
  try {
    let violation: string | undefined
    for (let seed = 1; seed <= SEEDS && violation === undefined; seed++) {
      violation = (await runFullSeed(seed)).violation
    }
    expect(violation).toMatch(/I7 evidence|DOPPELGANGER/)
  } finally {
    loseSyncs(false)
  }
})

test('the same seed gives the same history of whole nodes, another seed another one', async () => {
  const [first, again, other] = [await runFullSeed(3), await runFullSeed(3), await runFullSeed(4)]
  expect(again).toEqual(first)
  expect(other.history).not.toBe(first.history)
})
