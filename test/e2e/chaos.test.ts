import { expect, test } from 'vitest'
import { runChaos } from '../chaos/chaos-run.ts'

test('validators killed and paused at random lose nothing, differ in nothing', async () => {
  const { kills, blocks, falsehoods } = await runChaos({
    validators: 4,
    durationMs: 20_000,
    everyMs: 4_000,
    hurt: 1,
    seed: 7,
    log: () => undefined,
  })
  expect(falsehoods).toEqual([])
  expect(kills).toBeGreaterThan(0)
  expect(blocks).toBeGreaterThan(0)
})
