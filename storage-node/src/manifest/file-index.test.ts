import { describe, expect, test } from 'vitest'
import { encodePath } from './file-path.ts'
import { compareWriters, indexFiles, type StoredManifest } from './file-index.ts'
import type { FileEntry, Manifest } from './manifest.ts'

function pathOf(text: string): Uint8Array {
  const bytes = encodePath(text)
  if (!bytes.ok) throw new Error(bytes.fault.message)
  return bytes.value
}

interface Part {
  path: string
  size?: number
  part?: number
  parts?: number
  partOffset?: number
  partBytes?: number
}

function stored(
  [device, sequence, pack, packs]: [number, number, number, number],
  parts: Part[],
  tombstones: string[] = [],
): StoredManifest<string> {
  const hash = new Uint8Array(32)
  const files = parts.map(
    ({ path, size = 10, ...part }): FileEntry => ({
      path: pathOf(path),
      size,
      mtimeMs: 0,
      mode: 0,
      sha256: hash,
      contentKey: hash,
      part: 0,
      parts: 1,
      partOffset: 0,
      partBytes: size,
      partSha256: hash,
      packOffset: 0,
      ...part,
    }),
  )
  const manifest: Manifest = {
    version: 1,
    device: new Uint8Array(16).fill(device),
    sequence,
    pack,
    packs,
    createdMs: sequence,
    files,
    tombstones: tombstones.map(pathOf),
  }
  return { manifest, contract: `${device}-${sequence}-${pack}` }
}

const writers = (index: ReturnType<typeof indexFiles<string>>, path: string) =>
  index.get(path)?.versions.map((v) => `${v.device[0]}:${v.sequence}`)

describe('index of files', () => {
  test('the last writer wins, others stay as versions, whatever the order of reading', () => {
    const items = [
      stored([1, 1, 0, 1], [{ path: 'a' }, { path: 'b' }]),
      stored([2, 2, 0, 1], [{ path: 'a' }]),
      stored([1, 2, 0, 1], [{ path: 'a' }]),
    ]
    for (const order of [items, items.toReversed()]) {
      const index = indexFiles(order)
      expect(writers(index, 'a')).toEqual(['2:2', '1:2', '1:1'])
      expect(writers(index, 'b')).toEqual(['1:1'])
      expect(index.get('a')?.removed).toBe(false)
    }
  })

  test('a tombstone removes what was written before it, a later put brings it back', () => {
    const put = stored([1, 1, 0, 1], [{ path: 'a' }])
    const removal = stored([2, 3, 0, 1], [], ['a', 'never existed'])
    const again = stored([1, 4, 0, 1], [{ path: 'a' }])
    expect(indexFiles([put, removal]).get('a')?.removed).toBe(true)
    expect(indexFiles([removal, put, again]).get('a')?.removed).toBe(false)
    expect(indexFiles([removal]).size).toBe(0)
  })

  test('a version is complete when all parts of its put were found', () => {
    const size = 30
    const first = stored([1, 5, 0, 2], [{ path: 'a', size, parts: 2, partBytes: 20 }])
    const rest = { path: 'a', size, part: 1, parts: 2, partOffset: 20, partBytes: 10 }
    const second = stored([1, 5, 1, 2], [rest])
    const older = stored([1, 1, 0, 1], [{ path: 'a' }])
    const whole = indexFiles([second, older, first, first]).get('a')?.versions[0]
    expect(whole?.complete).toBe(true)
    expect(whole?.parts.map((part) => part.contract)).toEqual(['1-5-0', '1-5-1'])
    // Half a newer version does not hide an older whole one.
    const partial = indexFiles([second, older])
    expect(writers(partial, 'a')).toEqual(['1:1', '1:5'])
    expect(partial.get('a')?.versions[1]?.complete).toBe(false)
  })

  test('writers are ordered by sequence, then device', () => {
    const a = { device: Uint8Array.of(1), sequence: 2 }
    const b = { device: Uint8Array.of(2), sequence: 2 }
    expect(compareWriters(a, b)).toBeLessThan(0)
    expect(compareWriters({ ...a, sequence: 3 }, b)).toBeGreaterThan(0)
    expect(compareWriters(a, a)).toBe(0)
  })
})
