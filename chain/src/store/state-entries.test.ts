import fc from 'fast-check'
import { MemoryLevel } from 'memory-level'
import { expect, test } from 'vitest'
import type { StateEntry } from '../manager/chain-store.ts'
import { Prefix } from './layout.ts'
import type { Database } from './database.ts'
import { stateEntries, stateWrite } from './state-entries.ts'

const asDatabase = () =>
  new MemoryLevel<Uint8Array, Uint8Array>({
    keyEncoding: 'view',
    valueEncoding: 'view',
    storeEncoding: 'view',
  }) as unknown as Database

async function inRange(db: Database, from: string, to: string): Promise<StateEntry[]> {
  const snapshot = db.snapshot()
  try {
    return (await Array.fromAsync(stateEntries(db, snapshot, from, to))).flat()
  } finally {
    await snapshot.close()
  }
}

const keys = fc.string({
  unit: fc.constantFrom('a', 'b', 'n', '0', 'f', 'A'),
  minLength: 1,
  maxLength: 3,
})
const states = fc.dictionary(keys, fc.uint8Array({ maxLength: 70 }))

test('every range gives back what was written, in order, whatever is text in it', async () => {
  const bounds = fc.tuple(fc.oneof(keys, fc.constant('')), fc.oneof(keys, fc.constant('~')))
  await fc.assert(
    fc.asyncProperty(states, bounds, async (state, [from, to]) => {
      const db = asDatabase()
      const writes = Object.entries(state).map(([key, bytes]) => stateWrite(key, bytes))
      await db.batch(writes, {})
      const expected = Object.keys(state)
        .filter((key) => from <= key && key < to)
        .sort()
        .map((key) => ({ key, bytes: state[key] }))
      expect(await inRange(db, from, to)).toEqual(expected)
    }),
    { numRuns: 100 },
  )
})

test('an account whose stored text has any bit flipped is never what was written', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 66 }), fc.nat(), async (bytes, n) => {
      const db = asDatabase()
      await db.batch([stateWrite('a1', bytes)], {})
      const key = new TextEncoder().encode(`${Prefix.state}a1`)
      const stored = Uint8Array.from((await db.get(key)) as Uint8Array)
      const bit = n % (8 * stored.length)
      stored[bit >> 3] = (stored[bit >> 3] as number) ^ (1 << (bit & 7))
      await db.put(key, stored)
      const [entry] = await inRange(db, '', '~')
      expect(entry?.bytes).not.toEqual(bytes)
    }),
    { numRuns: 300 },
  )
})
