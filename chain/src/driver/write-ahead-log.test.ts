import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type LogCondition, type LogEntry, WriteAheadLog } from './write-ahead-log.ts'

const CHAIN = new Uint8Array(32).fill(7)
let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ioex-wal-'))
})
afterEach(() => rm(folder, { recursive: true }))

const open = (secure: (condition: LogCondition) => Promise<void> = () => Promise.resolve()) =>
  WriteAheadLog.open(folder, CHAIN, secure)

const entry = (view: number, bytes = 100, epoch = 1): LogEntry => ({
  kind: 2,
  epoch,
  view,
  payload: new Uint8Array(bytes).fill(view + 1),
})

/** Writes entries of views 1 to n and closes; gives the path of the segment. */
async function written(count: number, bytes?: number): Promise<string> {
  const { log } = await open()
  for (let view = 1; view <= count; view++) await log.append(entry(view, bytes))
  await log.sync()
  await log.close()
  const [name] = await segments()
  return join(folder, name as string)
}

const segments = async () => (await readdir(folder)).filter((name) => name.endsWith('.wal'))

describe('write-ahead log', () => {
  test('gives back what was appended, in order', async () => {
    await written(5)
    const { entries, condition, log } = await open()
    expect(condition).toBe('intact')
    expect(entries).toEqual([1, 2, 3, 4, 5].map((view) => entry(view)))
    expect(log.live).toEqual(entries)
    await log.close()
  })

  test('a new folder is new, and then intact though empty', async () => {
    const first = await open()
    expect(first.condition).toBe('new')
    await first.log.close()
    const second = await open()
    expect(second.condition).toBe('intact')
    await second.log.close()
  })

  test('forgets committed views, keeps the rest, over a restart too', async () => {
    const { log } = await open()
    const next = entry(1, 10, 2)
    for (const each of [entry(1), entry(2), entry(3), next]) await log.append(each)
    await log.sync()
    await log.prune(1, 2)
    expect(log.live).toEqual([entry(3), next])
    await log.close()
    const { entries, log: again } = await open()
    await again.prune(1, Number.MAX_SAFE_INTEGER)
    expect(entries).toHaveLength(4)
    expect(again.live).toEqual([next])
    await again.close()
  })

  test('rewrites a grown segment with what is still needed and removes the old one', async () => {
    const { log } = await open()
    for (let view = 1; view <= 6; view++) await log.append(entry(view, 1024 * 1024))
    await log.append(entry(7))
    await log.sync()
    expect(log.bytes).toBeGreaterThan(6 * 1024 * 1024)
    await log.prune(1, 6)
    expect(log.bytes).toBeLessThan(1024)
    expect(await segments()).toHaveLength(1)
    await log.append(entry(8))
    await log.sync()
    await log.close()
    const { entries, log: again } = await open()
    expect(entries).toEqual([entry(7), entry(8)])
    await again.close()
  })

  test('a torn end is cut at every length, and writing goes on after it', async () => {
    const path = await written(3)
    const bytes = await readFile(path)
    const length = 8 + 17 + 100
    for (let cut = 1; cut < length; cut += 7) {
      for (const name of await segments()) await rm(join(folder, name))
      await writeFile(path, bytes.subarray(0, bytes.length - cut))
      const { entries, condition, log } = await open()
      expect(condition).toBe('intact')
      expect(entries).toEqual([entry(1), entry(2)])
      await log.append(entry(9))
      await log.sync()
      await log.close()
      const { entries: after, log: again } = await open()
      expect(after).toEqual([entry(1), entry(2), entry(9)])
      await again.close()
    }
  })

  test('zeros at the end, as a power cut can leave them, are a torn end', async () => {
    const path = await written(3)
    await writeFile(path, Buffer.concat([await readFile(path), Buffer.alloc(500)]))
    const { entries, condition, log } = await open()
    expect(condition).toBe('intact')
    expect(entries).toHaveLength(3)
    await log.close()
  })

  test('an entry that ends in zeros to the end of the file is torn, unless it nearly arrived', async () => {
    const path = await written(3)
    const bytes = await readFile(path)
    const length = 8 + 17 + 100
    for (let missing = 1; missing < length; missing += 3) {
      for (const name of await readdir(folder)) await rm(join(folder, name))
      const kept = bytes.subarray(0, bytes.length - missing)
      await writeFile(path, Buffer.concat([kept, Buffer.alloc(missing + (missing % 2) * 50)]))
      const { entries, condition, log } = await open()
      expect(condition).toBe(missing < 4 ? 'damaged' : 'intact')
      expect(entries).toEqual([entry(1), entry(2)])
      await log.close()
    }
  })

  test('any changed byte before the last entry is damage, and so is one within it', async () => {
    const path = await written(3, 30)
    const bytes = await readFile(path)
    await fc.assert(
      fc.asyncProperty(
        fc.nat(bytes.length - 1),
        fc.integer({ min: 1, max: 255 }),
        async (at, flip) => {
          for (const name of await readdir(folder)) await rm(join(folder, name))
          const changed = Buffer.from(bytes)
          changed[at] = (changed[at] as number) ^ flip
          await writeFile(path, changed)
          const { entries, condition, log } = await open()
          await log.close()
          // The length of the last entry may grow beyond the end, which looks like a torn write.
          const lastLength = bytes.length - 55 <= at && at < bytes.length - 51
          if (!lastLength) expect(condition).toBe('damaged')
          expect(entries.length).toBeLessThan(3)
          for (const [i, each] of entries.entries()) expect(each).toEqual(entry(i + 1, 30))
        },
      ),
    )
  })

  test('damage is secured before anything is repaired; the damaged file is kept aside', async () => {
    const path = await written(3)
    const bytes = await readFile(path)
    bytes[150] = (bytes[150] as number) ^ 1
    await writeFile(path, bytes)
    const stop = new Error('the process died here')
    await expect(open(() => Promise.reject(stop))).rejects.toBe(stop)
    const seen: LogCondition[] = []
    const { condition, log } = await open(async (found) => {
      seen.push(found)
    })
    expect([condition, ...seen]).toEqual(['damaged', 'damaged'])
    expect(await readdir(folder)).toContain(`${path.split('/').at(-1)}.damaged`)
    await log.close()
  })

  test('the log of another chain is damage', async () => {
    await written(1)
    const other = await WriteAheadLog.open(folder, new Uint8Array(32), () => Promise.resolve())
    expect(other.condition).toBe('damaged')
    expect(other.entries).toEqual([])
    await other.log.close()
  })
})
