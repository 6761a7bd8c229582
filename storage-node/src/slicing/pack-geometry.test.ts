import { LEAF_BYTES, SLOT_LEAVES_MAX } from '@ioex/chain/bytes'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  CELL_BYTES,
  CELL_PLAIN_BYTES,
  cellBytes,
  cellPlainBytes,
  cellsOfRange,
  PACK_BYTES_MAX,
  type PackGeometry,
  packBytesMax,
  packGeometry,
  stripePlainBytes,
} from './pack-geometry.ts'

function geometryOf(k: number, n: number, packBytes: number): PackGeometry {
  const result = packGeometry(k, n, packBytes)
  if (!result.ok) throw new Error(result.fault.message)
  return result.value
}

const codes = fc
  .tuple(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 0, max: 60 }))
  .map(([k, parity]) => ({ k, n: k + parity }))

describe('geometry', () => {
  test.each([
    // k, bytes, stripes, last cell, leaves; the examples of docs/protocol/storage-layout.md
    [2, 1, 1, 256, 1],
    [2, 480, 1, 256, 1],
    [2, 481, 1, 512, 2],
    [2, 131_040, 1, 65_536, 256],
    [2, 131_041, 2, 256, 257],
    [4, 1_000_000, 4, 53_504, 977],
    [10, PACK_BYTES_MAX, 1639, 52_480, 419_533],
    [1, packBytesMax(1), 16_384, 65_536, SLOT_LEAVES_MAX],
  ])('k = %i, %i bytes', (k, packBytes, stripeCount, lastCellBytes, leafCount) => {
    expect(geometryOf(k, 3 * k, packBytes)).toMatchObject({ stripeCount, lastCellBytes, leafCount })
  })

  test('stripes carry exactly the pack, slots are whole leaves', () => {
    const packs = fc.integer({ min: 1, max: 20_000_000 })
    fc.assert(
      fc.property(codes, packs, ({ k, n }, packBytes) => {
        const geometry = geometryOf(k, n, packBytes)
        let plain = 0
        let slot = 0
        for (let stripe = 0; stripe < geometry.stripeCount; stripe++) {
          plain += stripePlainBytes(geometry, stripe)
          slot += cellBytes(geometry, stripe)
          expect(cellBytes(geometry, stripe) % LEAF_BYTES).toBe(0)
        }
        expect(plain).toBe(packBytes)
        expect(slot).toBe(geometry.leafCount * LEAF_BYTES)
        // No cell could be a leaf shorter.
        const last = geometry.stripeCount - 1
        const shorter = k * (cellPlainBytes(geometry, last) - LEAF_BYTES)
        expect(shorter).toBeLessThan(stripePlainBytes(geometry, last))
      }),
    )
  })

  test('numbers from outside that no pack has are faults', () => {
    for (const [k, n] of [
      [0, 3],
      [4, 3],
      [1.5, 3],
      [1, 256],
      [Number.NaN, 3],
    ] as const) {
      expect(packGeometry(k, n, 100)).toMatchObject({ fault: { code: 'SHARDS' } })
    }
    for (const bytes of [0, -1, 1.5, Number.NaN, PACK_BYTES_MAX + 1]) {
      expect(packGeometry(2, 6, bytes)).toMatchObject({ fault: { code: 'PACK_SIZE' } })
    }
    expect(packGeometry(1, 3, packBytesMax(1) + 1).ok).toBe(false)
  })
})

describe('cells of a range', () => {
  test('cover the range once, in order', () => {
    const inputs = fc.tuple(
      codes,
      fc.integer({ min: 1, max: 5_000_000 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
    )
    fc.assert(
      fc.property(inputs, ([{ k, n }, packBytes, a, b]) => {
        const geometry = geometryOf(k, n, packBytes)
        const [from, to] = [Math.floor(a * packBytes), Math.floor(b * packBytes)].sort(
          (x, y) => x - y,
        ) as [number, number]
        const spans = cellsOfRange(geometry, from, to)
        if (!spans.ok) throw new Error(spans.fault.message)
        let at = from
        for (const span of spans.value) {
          const cellStart =
            span.stripe * k * CELL_PLAIN_BYTES + span.cell * cellPlainBytes(geometry, span.stripe)
          expect(cellStart + span.from).toBe(at)
          expect(span.to).toBeGreaterThan(span.from)
          expect(span.cell).toBeLessThan(k)
          expect(span.slotOffset).toBe(span.stripe * CELL_BYTES)
          expect(span.slotOffset + span.slotBytes).toBeLessThanOrEqual(geometry.slotBytes)
          at += span.to - span.from
        }
        expect(at).toBe(to)
      }),
    )
  })

  test('outside of the pack is a fault', () => {
    const geometry = geometryOf(2, 6, 1000)
    for (const [from, to] of [
      [-1, 5],
      [5, 4],
      [0, 1001],
      [0.5, 2],
    ] as const) {
      expect(cellsOfRange(geometry, from, to)).toMatchObject({ fault: { code: 'RANGE' } })
    }
    expect(cellsOfRange(geometry, 1000, 1000)).toEqual({ ok: true, value: [] })
  })
})
