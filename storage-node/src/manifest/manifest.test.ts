import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { buildManifests } from './build-manifest.ts'
import { encodePath } from './file-path.ts'
import {
  decodeManifest,
  emptyManifestBytes,
  encodeManifest,
  type FileEntry,
  fileEntryBytes,
  type Manifest,
  MANIFEST_BYTES_MAX,
  ManifestType,
  tombstoneBytes,
} from './manifest.ts'

function pathOf(text: string): Uint8Array {
  const bytes = encodePath(text)
  if (!bytes.ok) throw new Error(bytes.fault.message)
  return bytes.value
}

function entryOf(path: string, changes: Partial<FileEntry> = {}): FileEntry {
  const sha256 = new Uint8Array(32).fill(1)
  return {
    path: pathOf(path),
    size: 10,
    mtimeMs: 1_700_000_000_123,
    mode: 0o100644,
    sha256,
    contentKey: new Uint8Array(32).fill(2),
    part: 0,
    parts: 1,
    partOffset: 0,
    partBytes: 10,
    partSha256: sha256,
    packOffset: 1000,
    ...changes,
  }
}

function manifestOf(files: FileEntry[], changes: Partial<Manifest> = {}): Manifest {
  return {
    version: 1,
    device: new Uint8Array(16).fill(7),
    sequence: 42,
    pack: 0,
    packs: 1,
    createdMs: 1_700_000_000_000,
    files,
    tombstones: [],
    ...changes,
  }
}

const names = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
const paths = fc
  .array(names, { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join('/'))
  .filter((path) => encodePath(path).ok)

describe('manifest', () => {
  test('decodes to what was encoded, in any language', () => {
    const manifest = manifestOf([entryOf('照片/夏天.jpg'), entryOf('čaj ☕.txt')], {
      tombstones: [pathOf('старый файл')],
    })
    expect(decodeManifest(encodeManifest(manifest), 1000, 5000)).toEqual({
      ok: true,
      value: manifest,
    })
  })

  test('its length is known from the paths alone', () => {
    fc.assert(
      fc.property(fc.array(paths), fc.array(paths), (files, tombstones) => {
        const manifest = manifestOf(
          files.map((path) => entryOf(path)),
          { tombstones: tombstones.map(pathOf) },
        )
        let bytes = emptyManifestBytes()
        for (const file of manifest.files) bytes += fileEntryBytes(file.path.length)
        for (const path of manifest.tombstones) bytes += tombstoneBytes(path.length)
        expect(encodeManifest(manifest).length).toBe(bytes)
      }),
    )
  })

  test('any bytes give a value or a fault', () => {
    const good = encodeManifest(manifestOf([entryOf('a'), entryOf('b')]))
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = good.slice()
        changed[at]! ^= flip
        const decoded = decodeManifest(changed, 1000, 5000)
        if (decoded.ok) expect(encodeManifest(decoded.value)).toEqual(changed)
      }),
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        decodeManifest(Uint8Array.of(1, ...bytes), 0, 1000)
      }),
    )
  })

  test.each([
    ['MANIFEST_VERSION', { version: 2 }, {}],
    ['MANIFEST_ENTRY', { pack: 1 }, {}],
    ['MANIFEST_ENTRY', { sequence: 2 ** 60 }, {}],
    ['MANIFEST_PATH', { tombstones: [new TextEncoder().encode('../x')] }, {}],
    ['MANIFEST_PATH', {}, { path: new TextEncoder().encode('/etc/passwd') }],
    ['MANIFEST_PATH', {}, { path: Uint8Array.of(0xc3, 0x28) }],
    ['MANIFEST_ENTRY', {}, { part: 1 }],
    ['MANIFEST_ENTRY', {}, { packOffset: 999 }],
    ['MANIFEST_ENTRY', {}, { packOffset: 4991 }],
    ['MANIFEST_ENTRY', {}, { size: 11 }],
    ['MANIFEST_ENTRY', {}, { partSha256: new Uint8Array(32) }],
    ['MANIFEST_ENTRY', {}, { parts: 2, partOffset: 1 }],
    ['MANIFEST_ENTRY', {}, { mtimeMs: 2 ** 60 }],
  ] as const)('%s: %o %o', (code, changes, entryChanges) => {
    const manifest = manifestOf([entryOf('a', entryChanges as Partial<FileEntry>)], {
      ...(changes as Partial<Manifest>),
    })
    expect(decodeManifest(encodeManifest(manifest), 1000, 5000)).toMatchObject({
      ok: false,
      fault: { code },
    })
  })

  test('an over-long encoding is refused before it is parsed', () => {
    const bytes = new Uint8Array(MANIFEST_BYTES_MAX + 1)
    bytes[0] = 1
    expect(decodeManifest(bytes, 0, 1)).toMatchObject({ fault: { code: 'BYTES_TOO_LONG' } })
    expect(decodeManifest(new Uint8Array(0), 0, 1)).toMatchObject({ fault: { code: 'MALFORMED' } })
  })

  test('is built from a plan', () => {
    const sha256 = new Uint8Array(32).fill(1)
    const part = { file: 0, part: 0, parts: 1, partOffset: 0, partBytes: 10, packOffset: 1000 }
    const plan = { parts: [part], tombstones: ['gone'], manifestBytes: 1000, packBytes: 1010 }
    const { path: _, ...facts } = entryOf('a')
    const put = { device: new Uint8Array(16), sequence: 3, createdMs: 4 }
    const file = { ...facts, path: 'a', partSha256: [sha256] }
    const [manifest] = buildManifests([plan], [file], put)
    expect(manifest).toEqual(manifestOf([entryOf('a')], { ...put, tombstones: [pathOf('gone')] }))
    expect(ManifestType.hashTreeRoot(manifest as Manifest).length).toBe(32)
  })
})
