import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encode, encodeInto, fastestKernel, reconstruct } from './reed-solomon.ts'
import { type Kernel, scalarKernel } from './scalar-kernel.ts'
import { createSimdKernel } from './simd-kernel.ts'

const simdKernels = [createSimdKernel(['simd']), createSimdKernel(['relaxed-simd'])].filter(
  (kernel): kernel is Kernel => kernel !== undefined,
)

/** Bytes that depend on the seed; xorshift, so that large cells cost little. */
function randomCells(count: number, bytes: number, seed: number): Uint8Array[] {
  let state = (seed * 2654435761 + 1) >>> 0 || 1
  return Array.from({ length: count }, () => {
    const cell = new Uint8Array(bytes)
    for (let i = 0; i < bytes; i++) {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      cell[i] = state
    }
    return cell
  })
}

const codes = fc
  .tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 20 }))
  .map(([k, parity]) => ({ k, n: k + parity }))

describe('any k of n', () => {
  test.each([scalarKernel, ...simdKernels])('restore every cell ($name)', (kernel) => {
    const inputs = fc.tuple(
      codes,
      fc.integer({ min: 0, max: 300 }),
      fc.nat(1e6),
      fc.infiniteStream(fc.nat()),
    )
    fc.assert(
      fc.property(inputs, ([{ k, n }, bytes, seed, draws]) => {
        const data = randomCells(k, bytes, seed)
        const cells = [...data, ...encode(k, n, data, kernel)]
        const left = cells.map((_, index) => index)
        const kept = new Map<number, Uint8Array>()
        while (kept.size < k) {
          const [index] = left.splice((draws.next().value as number) % left.length, 1)
          kept.set(index as number, cells[index as number] as Uint8Array)
        }
        const all = cells.map((_, index) => index)
        const restored = reconstruct(k, n, kept, all, kernel)
        if (!restored.ok) throw new Error(restored.fault.message)
        all.forEach((index) => expect(restored.value.get(index)).toEqual(cells[index]))
      }),
      { numRuns: 60 },
    )
  })

  test('the widest code', () => {
    const data = randomCells(128, 100, 5)
    const parity = encode(128, 255, data)
    const kept = new Map(parity.map((cell, i) => [128 + i, cell] as const))
    kept.set(77, data[77] as Uint8Array)
    const restored = reconstruct(128, 255, kept, [0, 127])
    if (!restored.ok) throw new Error(restored.fault.message)
    expect([...restored.value.keys()].sort((a, b) => a - b)).toEqual([0, 127])
    expect(restored.value.get(127)).toEqual(data[127])
  })
})

describe('kernels', () => {
  test('this engine has SIMD', () => {
    expect(fastestKernel.name).not.toBe('scalar')
    expect(simdKernels.length).toBeGreaterThan(0)
  })

  test.each(simdKernels)('$name gives what the scalar kernel gives', (kernel) => {
    const lengths = fc.oneof(
      fc.integer({ min: 0, max: 200 }),
      fc.integer({ min: 16_000, max: 70_000 }),
    )
    fc.assert(
      fc.property(codes, lengths, fc.nat(1e6), ({ k, n }, bytes, seed) => {
        const data = randomCells(k, bytes, seed)
        expect(encode(k, n, data, kernel)).toEqual(encode(k, n, data, scalarKernel))
      }),
      { numRuns: 20 },
    )
  })

  test('read cells that lie anywhere in a larger buffer', () => {
    const [whole] = randomCells(1, 1003, 9) as [Uint8Array]
    const data = [whole.subarray(1, 501), whole.subarray(502, 1002)]
    const parity = [new Uint8Array(503).subarray(3), new Uint8Array(501).subarray(1)]
    encodeInto(2, 4, data, parity)
    expect(parity).toEqual(encode(2, 4, data, scalarKernel))
  })

  test('are not made where the engine refuses', () => {
    expect(createSimdKernel([])).toBeUndefined()
  })
})

describe('faults', () => {
  const [a, b] = randomCells(2, 64, 3) as [Uint8Array, Uint8Array]

  test('too few cells', () => {
    expect(reconstruct(2, 4, new Map([[3, a]]), [0])).toMatchObject({
      ok: false,
      fault: { code: 'CELLS_TOO_FEW', facts: { available: 1, needed: 2 } },
    })
  })

  test('what is there needs no k', () => {
    const result = reconstruct(2, 4, new Map([[3, a]]), [3])
    expect(result).toEqual({ ok: true, value: new Map([[3, a]]) })
  })

  test('different lengths', () => {
    const cells = new Map([
      [2, a],
      [3, b.subarray(1)],
    ])
    expect(reconstruct(2, 4, cells, [0])).toMatchObject({ fault: { code: 'CELL_LENGTHS_DIFFER' } })
  })

  test.each([-1, 4, 0.5, Number.NaN])('cell index %s', (index) => {
    const cells = new Map([
      [2, a],
      [3, b],
    ])
    expect(reconstruct(2, 4, cells, [index])).toMatchObject({ fault: { code: 'CELL_INDEX' } })
    cells.set(index, a)
    expect(reconstruct(2, 4, cells, [0])).toMatchObject({ fault: { code: 'CELL_INDEX' } })
  })

  test('our own mistakes are assertions', () => {
    expect(() => encode(0, 3, [])).toThrow('1 <= k <= n')
    expect(() => encode(2, 256, [a, b])).toThrow('1 <= k <= n')
    expect(() => encode(2, 4, [a])).toThrow('exactly k data cells')
    expect(() => encode(2, 4, [a, b.subarray(1)])).toThrow('one length')
  })
})
