import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodePath, encodePath, PATH_BYTES_MAX } from './file-path.ts'

test('accepted paths come back as they were', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (path) => {
      const encoded = encodePath(path)
      if (encoded.ok) expect(decodePath(encoded.value)).toEqual({ ok: true, value: path })
    }),
  )
})

test.each(['文件/照片 1.jpg', 'a', 'é', 'é', '.hidden', 'a/...', 'back\\slash', '🦊'])(
  '%s is a path',
  (path) => {
    const encoded = encodePath(path)
    if (!encoded.ok) throw new Error(encoded.fault.message)
    expect(encoded.value).toEqual(new TextEncoder().encode(path))
    expect(decodePath(encoded.value)).toEqual({ ok: true, value: path })
  },
)

test.each(['', '/', '/a', 'a/', 'a//b', '.', '..', 'a/../b', './a', 'a\0b', '\ud800'])(
  '%j is none',
  (path) => {
    expect(encodePath(path)).toMatchObject({ ok: false, fault: { code: 'PATH' } })
  },
)

test.each([
  [0xff],
  [0xc0, 0xaf],
  [0xed, 0xa0, 0x80],
  [0x61, 0xe2, 0x82],
  [0xf8, 0x88, 0x80, 0x80, 0x80],
])('bytes %o … are not UTF-8', (...bytes) => {
  expect(decodePath(Uint8Array.from(bytes))).toMatchObject({ fault: { code: 'PATH' } })
})

test('length is bounded in bytes', () => {
  expect(encodePath('a'.repeat(PATH_BYTES_MAX)).ok).toBe(true)
  expect(encodePath('a'.repeat(PATH_BYTES_MAX + 1)).ok).toBe(false)
  expect(encodePath('é'.repeat(PATH_BYTES_MAX / 2 + 1)).ok).toBe(false)
  expect(decodePath(new Uint8Array(PATH_BYTES_MAX + 1).fill(97)).ok).toBe(false)
})
