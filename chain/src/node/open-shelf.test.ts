import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { DiskFullError, orDiskFull } from '../driver/disk-reserve.ts'
import { SnapshotDatabase } from '../store/snapshot-database.ts'
import { openShelf } from './open-shelf.ts'

/** Incompressible and as large as a chunk, so that its bytes are not moved by compression. */
function chunkOf(seed: number): Uint8Array {
  let state = seed
  return Uint8Array.from({ length: 4096 }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    return state >>> 24
  })
}
const CHUNKS = 8
const MANIFEST = chunkOf(7)

let root = ''
let folder = ''
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'ioex-shelf-'))
  folder = join(root, 'snapshots')
})
afterEach(() => rm(root, { recursive: true, force: true }))

/** A whole snapshot in tables, an unfinished one in the log, as a node leaves them. */
async function fill(): Promise<void> {
  const first = await SnapshotDatabase.open(folder)
  for (let i = 0; i < CHUNKS; i++) await first.put(3, i, chunkOf(i + 1))
  await first.finish(3, MANIFEST)
  await first.close()
  // Opening moves the log into a table.
  const second = await SnapshotDatabase.open(folder)
  await second.begin(4, MANIFEST)
  for (let i = 0; i < CHUNKS; i++) await second.put(4, i, chunkOf(100 + i))
  await second.close()
}

function listener() {
  const warnings: string[] = []
  const write = (line: string) => void warnings.push(line)
  return { warnings, logger: pino({ level: 'warn' }, { write }) }
}

/** Opens; what is on the shelf is what was put there or nothing; and the shelf works. */
async function expectGoesOn(): Promise<readonly string[]> {
  const { warnings, logger } = listener()
  const shelf = await openShelf(folder, logger)
  try {
    for (const epoch of await shelf.epochs()) {
      expect(epoch).toBe(3)
      expect(await shelf.manifest(epoch)).toEqual(MANIFEST)
    }
    const begun = await shelf.unfinished()
    if (begun) expect(begun).toEqual({ epoch: 4, manifest: MANIFEST })
    for (let i = 0; i < CHUNKS; i++) {
      expect([undefined, chunkOf(i + 1)]).toContainEqual(await shelf.chunk(3, i))
      expect([undefined, chunkOf(100 + i)]).toContainEqual(await shelf.chunk(4, i))
    }
    await shelf.begin(9, MANIFEST)
    await shelf.put(9, 0, chunkOf(55))
    await shelf.finish(9, MANIFEST)
    expect(await shelf.chunk(9, 0)).toEqual(chunkOf(55))
  } finally {
    await shelf.close()
  }
  // What was made anew is whole at the next start, too.
  const again = listener()
  const reopened = await openShelf(folder, again.logger)
  expect(await reopened.chunk(9, 0)).toEqual(chunkOf(55))
  await reopened.close()
  expect(again.warnings).toEqual([])
  return warnings
}

/** Those that matter: LOCK and LOG hold no data. */
async function dataFiles(): Promise<string[]> {
  return (await readdir(folder)).filter((name) => !/^(LOCK|LOG|LOG\.old)$/.test(name)).sort()
}

const damages: Record<string, (path: string) => Promise<void>> = {
  removed: (path) => rm(path),
  emptied: (path) => truncate(path, 0),
  async halved(path) {
    const { length } = await readFile(path)
    await truncate(path, Math.floor(length / 2))
  },
  async 'filled with zeros'(path) {
    const { length } = await readFile(path)
    await writeFile(path, new Uint8Array(length))
  },
  async 'with every 64th byte flipped'(path) {
    const bytes = await readFile(path)
    for (let at = 0; at < bytes.length; at += 64) bytes[at] = (bytes[at] as number) ^ 0x41
    await writeFile(path, bytes)
  },
  async 'a folder'(path) {
    await rm(path)
    await mkdir(path)
  },
}

describe('a folder of snapshots', () => {
  test('that is whole is left as it is', async () => {
    await fill()
    expect(await dataFiles()).toEqual(
      expect.arrayContaining(['CURRENT', expect.stringMatching(/ldb/)]),
    )
    const { warnings, logger } = listener()
    const shelf = await openShelf(folder, logger)
    expect(await shelf.epochs()).toEqual([3])
    expect(await shelf.unfinished()).toEqual({ epoch: 4, manifest: MANIFEST })
    expect(await shelf.chunk(3, CHUNKS - 1)).toEqual(chunkOf(CHUNKS))
    await shelf.close()
    expect(warnings).toEqual([])
  })

  for (const [name, damage] of Object.entries(damages)) {
    test(`starts with any of its files ${name}`, async () => {
      await fill()
      const warned = new Map<string, string>()
      for (const file of await dataFiles()) {
        await rm(folder, { recursive: true, force: true })
        await fill()
        await damage(join(folder, file))
        const warnings = await expectGoesOn()
        if (warnings.length > 0) warned.set(file, warnings.join(''))
      }
      // LevelDB drops the end of a damaged log itself: what was there is fetched again.
      expect(
        [...warned.keys()].filter((file) => /^(CURRENT|MANIFEST|.*ldb)/.test(file)).length,
      ).toBeGreaterThan(0)
      for (const warning of warned.values()) {
        expect(warning).toMatch(/damaged and was removed: nothing is lost/)
      }
    })
  }

  test('starts with any one byte of it flipped', async () => {
    await fill()
    const files = await dataFiles()
    const whole = new Map<string, Uint8Array>()
    for (const file of files) whole.set(file, await readFile(join(folder, file)))
    for (const [file, bytes] of whole) {
      const step = Math.max(1, Math.floor(bytes.length / 24))
      for (let at = bytes.length - 1; at >= 0; at -= step) {
        await rm(folder, { recursive: true, force: true })
        await mkdir(folder)
        for (const [name, content] of whole) await writeFile(join(folder, name), content)
        const flipped = Uint8Array.from(bytes)
        flipped[at] = (flipped[at] as number) ^ 1
        await writeFile(join(folder, file), flipped)
        await expectGoesOn()
      }
    }
  })

  test('that is no folder is made one', async () => {
    await writeFile(folder, 'nothing of the kind')
    expect(await expectGoesOn()).toHaveLength(1)
  })

  test('of another process is refused, not removed', async () => {
    await fill()
    const owner = await SnapshotDatabase.open(folder)
    await expect(openShelf(folder, listener().logger)).rejects.toThrow(/in use by another process/)
    expect(await owner.epochs()).toEqual([3])
    await owner.close()
  })

  test('on a full disk is left as it is, and the disk is what the node speaks of', async () => {
    await fill()
    const cause = new Error('IO error: snapshots/000009.log: No space left on device')
    const full = new Error('Database failed to open', { cause })
    const opens = vi.spyOn(SnapshotDatabase, 'open').mockRejectedValueOnce(full)
    const { warnings, logger } = listener()
    const refused = await openShelf(folder, logger).catch((error: unknown) => error)
    opens.mockRestore()
    expect(orDiskFull(refused, root)).toBeInstanceOf(DiskFullError)
    expect(warnings).toEqual([])
    const shelf = await SnapshotDatabase.open(folder)
    expect(await shelf.epochs()).toEqual([3])
    await shelf.close()
  })

  test('that cannot be made says what to do', async () => {
    await writeFile(folder, 'a file where a folder should be')
    const inFile = openShelf(join(folder, 'snapshots'), listener().logger)
    await expect(inFile).rejects.toThrow(/cannot be made anew .*: remove it and start again/)
  })
})
