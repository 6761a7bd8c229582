import { randomBytes } from 'node:crypto'
import { bytesToHex } from '@ioex/chain/bytes'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodePack } from '../sealing/encode-pack.ts'
import { packSecrets } from '../sealing/pack-secrets.ts'
import { packGeometry } from '../slicing/pack-geometry.ts'
import { rebuildCells, rebuildSlots } from './rebuild-slots.ts'

/** n slots of a pack as its owner would upload them. */
async function slotsOf(k: number, n: number, packBytes: number) {
  const geometry = packGeometry(k, n, packBytes)
  if (!geometry.ok) throw new Error(geometry.fault.message)
  const secrets = packSecrets(new Uint8Array(32).fill(3), new Uint8Array(32).fill(4), {
    n,
    keySalt: new Uint8Array(32).fill(5),
  })
  const source = (async function* () {
    yield await Promise.resolve(new Uint8Array(randomBytes(packBytes)))
  })()
  const stripes: Uint8Array[][] = []
  for await (const { cells } of encodePack(geometry.value, secrets, source)) {
    stripes.push(cells.map((cell) => Uint8Array.from(cell)))
  }
  return { stripes, code: { k, n, slotKeys: secrets.slotKeys } }
}

test('any lost slots come back byte for byte from any k others, data and parity alike', async () => {
  const shapes = fc.record({
    k: fc.integer({ min: 1, max: 5 }),
    parity: fc.integer({ min: 1, max: 5 }),
    packBytes: fc.integer({ min: 1, max: 900_000 }),
    order: fc.infiniteStream(fc.nat()),
  })
  await fc.assert(
    fc.asyncProperty(shapes, async ({ k, parity, packBytes, order }) => {
      const n = k + parity
      const { stripes, code } = await slotsOf(k, n, packBytes)
      const shuffled = Array.from({ length: n }, (_, slot) => ({ slot, at: order.next().value }))
        .sort((a, b) => a.at - b.at)
        .map(({ slot }) => slot)
      const [used, lost] = [shuffled.slice(0, k), shuffled.slice(k)]
      const fetched = (async function* () {
        for (const [stripe, cells] of stripes.entries()) {
          const given = new Map(used.map((slot) => [slot, cells[slot] as Uint8Array]))
          yield await Promise.resolve({ stripe, cells: given })
        }
      })()
      let stripe = 0
      for await (const rebuilt of rebuildSlots(code, lost, fetched)) {
        expect(rebuilt.stripe).toBe(stripe)
        for (const slot of lost) {
          expect(bytesToHex(rebuilt.cells.get(slot) as Uint8Array)).toBe(
            bytesToHex(stripes[stripe]?.[slot] as Uint8Array),
          )
        }
        stripe += 1
      }
      expect(stripe).toBe(stripes.length)
    }),
    { numRuns: 25 },
  )
})

test('k - 1 cells, and a slot that the code does not have, are refused', async () => {
  const { stripes, code } = await slotsOf(2, 4, 1000)
  const cells = stripes[0] as Uint8Array[]
  const one = new Map([[1, cells[1] as Uint8Array]])
  expect(() => rebuildCells(code, 0, one, [0])).toThrow(/1 of the 2 cells/)
  const strange = new Map([...one, [7, cells[2] as Uint8Array]])
  expect(() => rebuildCells(code, 0, strange, [0])).toThrow(/no slot 7/)
})
