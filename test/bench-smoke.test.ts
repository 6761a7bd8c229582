import { installNativeCrypto } from '@ioex/chain/native'
import { beforeAll, describe, expect, test } from 'vitest'
import { allBenches } from '../bench/all-benches.ts'
import { type Measurement, runBench } from '../bench/measure.ts'
import { reportText } from '../bench/report.ts'

beforeAll(async () => {
  await installNativeCrypto()
})

async function measured(bench: (typeof allBenches)[number]): Promise<Measurement[]> {
  const measurements: Measurement[] = []
  for await (const measurement of runBench(bench, { smoke: true, full: false })) {
    if ('unmeasured' in measurement) console.log(`${measurement.name}: ${measurement.unmeasured}`)
    else measurements.push(measurement)
  }
  return measurements
}

const isPositive = (value: number) => Number.isFinite(value) && value > 0

describe('benchmarks in smoke mode', () => {
  test('have names of their own', () => {
    const names = allBenches.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
  })

  test.each(allBenches)(
    '$name: every figure is a ratio and equal work gives equal hashes',
    {
      timeout: 60_000,
    },
    async (bench) => {
      const first = await measured(bench)
      expect(first.length).toBeGreaterThan(0)
      for (const measurement of first) {
        const { name, unit, hash, rate, ratio, ratioRange, against } = measurement
        expect(name).toMatch(/^[a-z-]+\/[a-z-]+::[a-z-]+(\/[a-z]+=[a-z0-9-]+)+$/)
        expect(unit).not.toBe('')
        expect(against.name).not.toBe('')
        expect(hash).toMatch(/^[0-9a-f]{16}$/)
        const figures = [rate, ratio, ...ratioRange, against.rate, measurement.microsecondsPerUnit]
        expect(figures.every(isPositive), `${name}: ${figures.join(' ')}`).toBe(true)
      }
      const again = await measured(bench)
      const results = (list: Measurement[]) => list.map(({ name, hash }) => [name, hash])
      expect(results(again)).toEqual(results(first))
      expect(new Set(first.map(({ name }) => name)).size).toBe(first.length)
      const lines = reportText(first, false).split('\n')
      expect(lines).toHaveLength(first.length + 1)
      for (const [i, { name, hash }] of first.entries()) {
        expect(lines[i + 1]).toContain(name)
        expect(lines[i + 1]).toContain(hash)
      }
    },
  )
})
