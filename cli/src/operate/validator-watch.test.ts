import { leaderSchedule } from '@ioex/chain/consensus'
import { ConsensusKey } from '@ioex/chain/driver'
import type { FinalizedBlock } from '@ioex/chain/manager'
import pino from 'pino'
import { presets } from '@ioex/genesis/presets'
import { publicKeyOf, sha256, utf8ToBytes } from '@ioex/chain/bytes'
import { beforeEach, describe, expect, test } from 'vitest'
import { ValidatorWatch, type WatchedChain } from './validator-watch.ts'

const secrets = ['a', 'b', 'c', 'd'].map((name) => sha256(utf8ToBytes(name)))
const set = secrets.map((secret) => ({ publicKey: publicKeyOf(secret), weight: 5 }))
const START = '11'.repeat(32)
const leaders = leaderSchedule(set, START, 1)
const leaderOf = (view: number) => leaders[view % leaders.length] as number
const OWN = 2

let lines: { level: number; msg: string }[]
let anchored: number
let emit: (block: FinalizedBlock) => void
let watch: ValidatorWatch

beforeEach(() => {
  lines = []
  anchored = 0
  const write = (line: string) => void lines.push(JSON.parse(line))
  const chain = {
    params: presets.ci,
    ledger: { globals: () => ({ lastAnchoredEpoch: anchored }) },
    onFinal: (listener: typeof emit) => {
      emit = listener
      return () => undefined
    },
    validators: () => set,
    finalAt: () => Promise.resolve({ hash: START }),
  } as unknown as WatchedChain
  watch = new ValidatorWatch(
    chain,
    new ConsensusKey(secrets[OWN] as Uint8Array),
    pino({}, { write }),
  )
})

/** A final block of a view on a parent of another, with the parent's signers. */
async function block(
  view: number,
  parentView: number,
  signers: number[],
  height = view,
  epoch = 1,
) {
  const bits = Uint8Array.of(signers.reduce((sum, index) => sum | (1 << index), 0))
  const certificate = { statement: { epoch, view: parentView }, signers: bits, signatures: [] }
  emit({
    header: { epoch, view, parentView, height, proposer: leaderOf(view) },
    justification: { parent: [certificate], skips: [] },
  } as unknown as FinalizedBlock)
  await watch.idle()
}

const alarms = () => lines.filter(({ msg }) => msg.startsWith('ALARM')).map(({ msg }) => msg)
const ownViews = Array.from({ length: 40 }, (_, i) => i + 1).filter(
  (view) => leaderOf(view) === OWN,
)
const otherViews = Array.from({ length: 40 }, (_, i) => i + 1).filter((v) => leaderOf(v) !== OWN)

describe('what a validator misses', () => {
  test('a skipped view counts for its leader alone', async () => {
    const [own] = ownViews as [number]
    await block(own + 1, own - 1, [0, 1])
    expect(watch.record).toMatchObject({ index: OWN, power: 5, missedViews: 1 })
    const other = otherViews.find((view) => view > own + 1) as number
    const before = watch.record.missedViews
    await block(other + 1, other - 1, [0, 1])
    expect(watch.record.missedViews).toBe(before)
    await block(other + 2, other + 1, [0, 1])
    expect(watch.record.missedViews).toBe(before)
  })

  test('many views in a row raise one alarm; a block of its own ends it', async () => {
    const missed = ownViews.slice(0, 5)
    for (const view of missed) await block(view + 1, view - 1, [0, 1, OWN])
    expect(watch.record.missedViews).toBeGreaterThanOrEqual(missed.length)
    expect(alarms()).toEqual(['ALARM: this validator misses its views'])
    const own = ownViews.at(-1) as number
    await block(own, own - 1, [0, 1, OWN])
    expect(watch.record.missedInRow).toBe(0)
  })

  test('votes: the newest signed block, and an alarm when none arrives for long', async () => {
    await block(10, 9, [0, OWN])
    expect(watch.record).toMatchObject({ lastSigned: 9, unsignedBlocks: 0 })
    for (let view = 11; view < 11 + 64; view++) await block(view, view - 1, [0, 1, 3])
    expect(watch.record).toMatchObject({ lastSigned: 9, unsignedBlocks: 64 })
    expect(alarms()).toEqual([
      'ALARM: no certificate carries a vote of this validator: is it connected?',
    ])
  })

  test('late anchors: one alarm per epoch', async () => {
    for (const epoch of [5, 6, 6]) await block(1, 0, [OWN], 50, epoch)
    expect(alarms()).toEqual(['ALARM: checkpoints are not anchored in the main chain'])
    anchored = 5
    await block(2, 1, [OWN], 61, 7)
    expect(alarms()).toHaveLength(1)
  })
})
