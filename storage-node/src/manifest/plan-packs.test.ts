import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PACK_BYTES_MAX, packBytesMax } from '../slicing/pack-geometry.ts'
import { FILES_PER_PACK_MAX } from './manifest.ts'
import { type PackPlan, type PlannedFile, planPacks } from './plan-packs.ts'

function planOf(files: PlannedFile[], tombstones: string[] = [], capacity?: number): PackPlan[] {
  const plan = planPacks(files, tombstones, 4, capacity)
  if (!plan.ok) throw new Error(plan.fault.message)
  return plan.value
}

/** Every byte of every file is in exactly one part, parts lie one after the other in a pack. */
function checkPlan(plan: PackPlan[], files: PlannedFile[], capacity: number): void {
  const ends = files.map(() => 0)
  const counts = files.map(() => 0)
  for (const pack of plan) {
    let offset = pack.manifestBytes
    for (const part of pack.parts) {
      expect(part.packOffset).toBe(offset)
      expect(part.part).toBe(counts[part.file])
      expect(part.partOffset).toBe(ends[part.file])
      counts[part.file]! += 1
      ends[part.file]! += part.partBytes
      offset += part.partBytes
      if (part.parts > 1) expect(part.partBytes).toBeGreaterThan(0)
    }
    expect(pack.packBytes).toBe(offset)
    expect(pack.packBytes).toBeLessThanOrEqual(capacity)
  }
  expect(ends).toEqual(files.map((file) => file.size))
  for (const pack of plan) {
    for (const part of pack.parts) expect(part.parts).toBe(counts[part.file])
  }
}

describe('planning a put', () => {
  test('one empty file, one byte, nothing at all: one pack', () => {
    expect(planOf([{ path: 'a', size: 0 }])).toMatchObject([{ parts: [{ partBytes: 0 }] }])
    expect(planOf([{ path: 'a', size: 1 }])).toMatchObject([{ parts: [{ partBytes: 1 }] }])
    expect(planOf([])).toMatchObject([{ parts: [] }])
    expect(planOf([], ['gone'])).toMatchObject([{ tombstones: ['gone'] }])
  })

  test('ten thousand small files share one pack', () => {
    const files = Array.from({ length: 10_000 }, (_, i) => ({ path: `f/${i}`, size: 10_000 }))
    const plan = planOf(files)
    expect(plan.length).toBe(1)
    checkPlan(plan, files, PACK_BYTES_MAX)
  })

  test('more files than a manifest lists go on in the next pack', () => {
    const files = Array.from({ length: FILES_PER_PACK_MAX + 1 }, (_, i) => ({
      path: `${i}`,
      size: 0,
    }))
    expect(planOf(files).map((pack) => pack.parts.length)).toEqual([FILES_PER_PACK_MAX, 1])
  })

  test('a file of 20 GiB fills packs of its own', () => {
    const files = [
      { path: 'small', size: 5 },
      { path: 'large', size: 20 * 2 ** 30 },
      { path: 'after', size: 7 },
    ]
    const plan = planOf(files)
    expect(plan.length).toBe(22)
    checkPlan(plan, files, PACK_BYTES_MAX)
    expect(plan[0]?.parts.map((part) => part.file)).toEqual([0])
    expect(plan.at(-1)?.parts.map((part) => part.file)).toEqual([1, 2])
  })

  test('with one data slot a pack is what the slot can carry', () => {
    const files = [{ path: 'a', size: PACK_BYTES_MAX }]
    const plan = planPacks(files, [], 1)
    if (!plan.ok) throw new Error(plan.fault.message)
    checkPlan(plan.value, files, packBytesMax(1))
    expect(plan.value[0]?.packBytes).toBe(packBytesMax(1))
  })

  test('any files, any capacity', () => {
    const file = fc.record({
      path: fc.stringMatching(/^[a-z]{1,40}$/),
      size: fc.oneof(fc.nat(300), fc.nat(100_000)),
    })
    const inputs = fc.tuple(fc.array(file), fc.integer({ min: 8192, max: 50_000 }))
    fc.assert(
      fc.property(inputs, ([files, capacity]) => {
        checkPlan(planOf(files, ['x/y'], capacity), files, capacity)
      }),
    )
  })

  test('faults', () => {
    expect(planPacks([{ path: '../a', size: 1 }], [], 4)).toMatchObject({ fault: { code: 'PATH' } })
    expect(planPacks([], ['/a'], 4)).toMatchObject({ fault: { code: 'PATH' } })
    for (const size of [-1, 0.5, Number.NaN, 2 ** 60]) {
      const planned = planPacks([{ path: 'a', size }], [], 4)
      expect(planned).toMatchObject({ fault: { code: 'FILE_SIZE' } })
    }
    const many = Array.from({ length: FILES_PER_PACK_MAX + 1 }, (_, i) => `${i}`)
    expect(planPacks([], many, 4)).toMatchObject({ fault: { code: 'TOO_MANY_TOMBSTONES' } })
    const huge = { path: 'a', size: Number.MAX_SAFE_INTEGER }
    expect(planPacks([huge], [], 4)).toMatchObject({ fault: { code: 'TOO_MANY_PACKS' } })
  })
})
