import { expect, test } from 'vitest'
import { presets } from '@ioex/genesis/presets'
import type { ProvenEpoch } from './epoch-proofs.ts'
import { limitOfTrust, newestTrusted } from './branch-trust.ts'
import { trustedGenesis } from './testing/served-chain.ts'

const HOUR_MS = 3_600_000
const start = trustedGenesis()
const epochAt = (epoch: number, timeMs: number): ProvenEpoch => ({
  ...start,
  epoch,
  hash: String(epoch).repeat(64),
  header: { ...start.header, timeMs },
})
const anchor = ({ hash }: ProvenEpoch) => ({ checkpoint: hash, mainHeight: 7, index: 0 })

test('what vouches for a branch is its newest anchored checkpoint, else where it starts', () => {
  const [one, two, three] = [epochAt(1, 100), epochAt(2, 200), epochAt(3, 300)]
  const branch = { epochs: [one, two, three] }
  expect(newestTrusted(branch, [], start, 1000)).toBe(start)
  expect(newestTrusted(branch, [anchor(two), anchor(one)], start, 1000)).toBe(two)
  expect(newestTrusted(branch, [anchor(epochAt(4, 400))], start, 1000)).toBe(start)
})

test('a checkpoint with a time to come vouches for nothing, however well it is anchored', () => {
  const [one, two] = [epochAt(1, 100), epochAt(2, 200)]
  const anchors = [anchor(one), anchor(two)]
  expect(newestTrusted({ epochs: [one, two] }, anchors, start, 200)).toBe(two)
  expect(newestTrusted({ epochs: [one, two] }, anchors, start, 199)).toBe(one)
})

test('two thirds of the time in which stake leaves, an hour where that takes seconds', () => {
  const { main, test: testnet, local, ci } = presets
  // 100 main blocks of two minutes and a day.
  expect(limitOfTrust(main)).toBe((2 * (200 * 60_000 + 24 * HOUR_MS)) / 3)
  expect(limitOfTrust(testnet)).toBe(limitOfTrust(main))
  expect([limitOfTrust(local), limitOfTrust(ci)]).toEqual([HOUR_MS, HOUR_MS])
})
