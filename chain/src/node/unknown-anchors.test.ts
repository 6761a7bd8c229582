import pino from 'pino'
import { beforeAll, beforeEach, expect, test } from 'vitest'
import { asInternalHash } from '../elastos/hash-orientation.ts'
import { parseMemoAnchor } from '../elastos/memo-anchor.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { keyOf, memoTransaction } from '../rules/testing/sample-chain.ts'
import { StakeWorld } from '../rules/testing/stake-world.ts'
import { UnknownAnchors } from './unknown-anchors.ts'

beforeAll(() => installNativeCrypto())

const hash = (byte: number) => new Uint8Array(32).fill(byte)

let world: StakeWorld
let memos: object[]
let pows: object[]
let tip: number
let lines: { msg: string; signer: string }[]
let watch: UnknownAnchors

beforeEach(() => {
  world = new StakeWorld()
  for (let i = 0; i < 3; i++) world.nextEpoch()
  memos = []
  pows = []
  tip = 100
  lines = []
  const source = {
    anchors: () => memos,
    powAnchors: () => pows,
    status: () => ({ tip: { height: tip } }),
  }
  const write = (line: string) => void lines.push(JSON.parse(line))
  watch = new UnknownAnchors(world.draft, source as never, pino({}, { write }))
})

function memo(epoch: number, checkpointHash: Uint8Array, signer = 'validator-1', height = 50) {
  const commitment = { epoch, checkpointHash, validatorIndex: 1 }
  const { chainId } = world.draft
  const parsed = parseMemoAnchor(memoTransaction(chainId, commitment, keyOf(signer).secretKey))
  if (!parsed.ok) throw new Error(parsed.fault.message)
  memos.push({ anchor: parsed.value.anchor, height, index: memos.length })
}

const ourCheckpoint = (epoch: number) => world.draft.epochs.get(epoch)?.checkpointHash ?? hash(0)

test('another checkpoint that a validator signed is told of once', () => {
  memo(2, ourCheckpoint(2))
  expect(watch.report()).toBe(0)
  memo(2, hash(99))
  expect(watch.report()).toBe(1)
  expect(watch.report()).toBe(1)
  expect(lines.map(({ signer }) => signer)).toEqual(['validator 1'])
})

test('what anybody can write, what is shallow, and what is not over here says nothing', () => {
  memo(2, hash(99), 'somebody')
  memo(2, hash(99), 'validator-1', tip)
  memo(world.epoch, hash(99))
  memo(world.epoch + 5, hash(99))
  expect(watch.report()).toBe(0)
  tip += world.draft.params.anchorConfirmedMainBlocks
  expect(watch.report()).toBe(1)
})

test('an arbiter’s anchor of a hash that is no checkpoint of ours', () => {
  pows.push({ checkpointHash: asInternalHash(ourCheckpoint(1)), height: 50, index: 0 })
  expect(watch.report()).toBe(0)
  pows.push({ checkpointHash: asInternalHash(hash(98)), height: 51, index: 0 })
  expect(watch.report()).toBe(1)
  expect(lines[0]?.msg).toContain('ALARM')
})
