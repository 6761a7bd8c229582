import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeLabel, encodeLabel, type PackLabel, PackLabelType } from './pack-label.ts'

const label: PackLabel = {
  version: 1,
  kind: 1,
  device: new Uint8Array(16).fill(3),
  sequence: 9,
  pack: 0,
  packs: 2,
  k: 2,
  n: 6,
  manifestBytes: 300,
  packBytes: 5000,
  keySalt: new Uint8Array(32).fill(4),
}

test('decodes to what was encoded, 72 bytes', () => {
  expect(encodeLabel(label).length).toBe(72)
  expect(PackLabelType.minSize).toBe(72)
  expect(decodeLabel(encodeLabel(label))).toEqual({ ok: true, value: label })
})

test.each([
  ['LABEL_VERSION', { version: 2 }],
  ['LABEL_VERSION', { kind: 2 }],
  ['LABEL_RANGE', { k: 7 }],
  ['LABEL_RANGE', { k: 0 }],
  ['LABEL_RANGE', { pack: 2 }],
  ['LABEL_RANGE', { manifestBytes: 5001 }],
  ['LABEL_RANGE', { manifestBytes: 0 }],
  ['LABEL_RANGE', { sequence: 2 ** 60 }],
] as const)('%s: %o', (code, changes) => {
  const decoded = decodeLabel(encodeLabel({ ...label, ...changes }))
  expect(decoded).toMatchObject({ ok: false, fault: { code } })
})

test('any bytes give a value or a fault', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => void decodeLabel(bytes)),
    {
      numRuns: Number(process.env['IOEX_FUZZ_RUNS'] ?? 100),
    },
  )
  expect(decodeLabel(encodeLabel(label).slice(1)).ok).toBe(false)
  expect(decodeLabel(encodeLabel(label).slice(0, 71))).toMatchObject({
    fault: { code: 'MALFORMED' },
  })
  expect(decodeLabel(Uint8Array.of(...encodeLabel(label), 0))).toMatchObject({
    fault: { code: 'BYTES_TOO_LONG' },
  })
})
