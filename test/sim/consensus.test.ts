import { describe, expect, test } from 'vitest'
import { RARE } from './rare-scenario.ts'
import { runSeed } from './run-seed.ts'

const SEEDS = 1000
const FAULTY_SEEDS = 100

describe('consensus simulation', () => {
  test(`holds every invariant in ${SEEDS} seeded histories`, () => {
    const failures: string[] = []
    let blocks = 0
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { violation, height } = runSeed(seed)
      blocks += height
      if (violation !== undefined) {
        failures.push(`${violation} (npm run sim -- --seed ${seed} --count 1 --trace)`)
      }
    }
    expect(failures).toEqual([])
    expect(blocks).toBeGreaterThan(SEEDS * 5)
  })

  test('a node is away for more blocks than are fetched one by one', () => {
    const { violation, height, recoveryMs } = runSeed(RARE.away.first)
    expect(violation).toBeUndefined()
    expect(height).toBeGreaterThan(64 + 5)
    expect(recoveryMs).toBeLessThan(5_000)
  })

  test('with too many faulty, chains fork, and each fork shows a third of the weight guilty', () => {
    const failures: string[] = []
    let forked = 0
    let halted = 0
    for (let seed = 1; seed <= FAULTY_SEEDS; seed++) {
      const { violation, forks, halts } = runSeed(seed, { tooManyFaulty: true })
      if (forks > 0) forked += 1
      if (halts > 0) halted += 1
      if (violation !== undefined) {
        failures.push(`${violation} (npm run sim -- --seed ${seed} --count 1 --faulty --trace)`)
      }
    }
    expect(failures).toEqual([])
    expect(forked).toBeGreaterThan(FAULTY_SEEDS / 10)
    // Two final chains met, and whoever saw both stopped.
    expect(halted).toBeGreaterThan(FAULTY_SEEDS / 50)
  })

  test('the same seed gives the same history, another seed another one', () => {
    // Seed 10 sends everything through the wire codec, seed 11 does not.
    for (const seed of [10, 11]) expect(runSeed(seed)).toEqual(runSeed(seed))
    const histories = new Set(Array.from({ length: 20 }, (_, i) => runSeed(1000 + i).history))
    expect(histories.size).toBe(20)
  })
})
