import { createSecretKey, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodePath } from '../manifest/file-path.ts'
import type { Manifest } from '../manifest/manifest.ts'
import type { PackLabel } from '../manifest/pack-label.ts'
import { openCell, sealCellInto } from './cell-sealing.ts'
import { createKeystream, throughKeystream, xorKeystream } from './keystream.ts'
import { openLabel, openManifest, sealLabel, sealPack } from './pack-secrets.ts'
import { SealBrokenError } from './seal-errors.ts'

const key = createSecretKey(Buffer.alloc(32, 5))
const contractSalt = new Uint8Array(32).fill(6)

function cellOf(plaintext: Uint8Array, cellNumber: number): Uint8Array {
  const cell = new Uint8Array(plaintext.length + 16)
  sealCellInto(cell, plaintext, { cellKey: key, contractSalt, cellNumber })
  return cell
}

describe('cells', () => {
  const plaintext = randomBytes(240)
  const place = { cellKey: key, contractSalt, cellNumber: 7 }

  test('open to what was sealed', () => {
    expect(openCell(cellOf(plaintext, 7), place)).toEqual(plaintext)
  })

  test('fail when any bit is changed', () => {
    const cell = cellOf(plaintext, 7)
    fc.assert(
      fc.property(fc.nat(cell.length - 1), fc.integer({ min: 0, max: 7 }), (at, bit) => {
        const changed = cell.slice()
        changed[at]! ^= 1 << bit
        expect(() => openCell(changed, place)).toThrow(SealBrokenError)
      }),
    )
  })

  test('fail in another place, contract or under another key, and say which cell', () => {
    const cell = cellOf(plaintext, 7)
    const otherKey = createSecretKey(Buffer.alloc(32, 9))
    for (const wrong of [
      { ...place, cellNumber: 8 },
      { ...place, contractSalt: new Uint8Array(32) },
      { ...place, cellKey: otherKey },
    ]) {
      expect(() => openCell(cell, wrong)).toThrow(/cell [78] was changed/)
    }
    expect(() => openCell(cell.subarray(0, 15), place)).toThrow(SealBrokenError)
    expect(() => openCell(cell.subarray(1), place)).toThrow(SealBrokenError)
  })
})

describe('keystream', () => {
  const zeros = new Uint8Array(300_000)
  const whole = xorKeystream(key, 0, zeros)

  test('of a range is a slice of the whole', () => {
    const ranges = fc.tuple(fc.nat(zeros.length), fc.nat(70_000))
    fc.assert(
      fc.property(ranges, ([from, length]) => {
        const to = Math.min(zeros.length, from + length)
        expect(xorKeystream(key, from, zeros.subarray(from, to))).toEqual(whole.subarray(from, to))
      }),
    )
  })

  test('masks and unmasks', () => {
    const bytes = randomBytes(1000)
    const masked = xorKeystream(key, 65_536 * 3, bytes)
    expect(masked).not.toEqual(bytes)
    expect(xorKeystream(key, 65_536 * 3 + 100, masked.subarray(100))).toEqual(bytes.subarray(100))
  })

  test('goes on from call to call and through a stream', async () => {
    const keystream = createKeystream(key, 5)
    const pieces = [keystream(zeros.subarray(0, 10)), keystream(zeros.subarray(0, 33))]
    expect(Buffer.concat(pieces)).toEqual(whole.subarray(5, 48))
    async function* source() {
      yield zeros.subarray(0, 7)
      yield zeros.subarray(0, 0)
      yield zeros.subarray(0, 20)
    }
    const streamed: Uint8Array[] = []
    for await (const chunk of throughKeystream(source(), key, 100)) streamed.push(chunk)
    expect(Buffer.concat(streamed)).toEqual(whole.subarray(100, 127))
  })

  test('far offsets do not overflow', () => {
    const far = 2 ** 40
    const first = xorKeystream(key, far, zeros.subarray(0, 64))
    expect(xorKeystream(key, far + 17, zeros.subarray(0, 47))).toEqual(first.subarray(17))
  })
})

describe('labels and manifests', () => {
  const master = randomBytes(32)
  const path = encodePath('照片.jpg')
  if (!path.ok) throw new Error(path.fault.message)
  const hash = new Uint8Array(32).fill(1)
  const manifest: Manifest = {
    version: 1,
    device: new Uint8Array(16).fill(7),
    sequence: 42,
    pack: 0,
    packs: 1,
    createdMs: 1_700_000_000_000,
    files: [
      {
        path: path.value,
        size: 10,
        mtimeMs: 5,
        mode: 0o600,
        sha256: hash,
        contentKey: hash,
        part: 0,
        parts: 1,
        partOffset: 0,
        partBytes: 10,
        partSha256: hash,
        packOffset: 500,
      },
    ],
    tombstones: [],
  }
  const sealed = sealPack(master, contractSalt, 6, manifest)
  const label: PackLabel = {
    version: 1,
    kind: 1,
    device: manifest.device,
    sequence: 42,
    pack: 0,
    packs: 1,
    k: 2,
    n: 6,
    manifestBytes: sealed.sealedManifest.length,
    packBytes: 5000,
    keySalt: sealed.keySalt,
  }

  test('the master secret and the chain lead to the manifest', () => {
    const onChain = sealLabel(master, contractSalt, label)
    expect(onChain.length).toBe(100)
    const opened = openLabel(master, contractSalt, onChain)
    expect(opened).toEqual({ ok: true, value: label })
    const read = openManifest(master, contractSalt, label, sealed.sealedManifest)
    expect(read).toEqual({ ok: true, value: manifest })
  })

  test('sealing again gives the same bytes, another manifest other keys', () => {
    const again = sealPack(master, contractSalt, 6, manifest)
    expect(again.sealedManifest).toEqual(sealed.sealedManifest)
    const changed = { ...manifest, createdMs: manifest.createdMs + 1 }
    const other = sealPack(master, contractSalt, 6, changed)
    expect(other.keySalt).not.toEqual(sealed.keySalt)
    expect(other.secrets.cellKey.equals(sealed.secrets.cellKey)).toBe(false)
  })

  test('what is not ours or was changed does not open', () => {
    const onChain = sealLabel(master, contractSalt, label)
    expect(() => openLabel(randomBytes(32), contractSalt, onChain)).toThrow(SealBrokenError)
    expect(() => openLabel(master, new Uint8Array(32), onChain)).toThrow(SealBrokenError)
    expect(() => openLabel(master, contractSalt, onChain.subarray(0, 27))).toThrow('the label')
    expect(() => openLabel(master, contractSalt, new Uint8Array(0))).toThrow(SealBrokenError)
    fc.assert(
      fc.property(fc.nat(sealed.sealedManifest.length - 1), (at) => {
        const changed = sealed.sealedManifest.slice()
        changed[at]! ^= 4
        expect(() => openManifest(master, contractSalt, label, changed)).toThrow('the manifest')
      }),
    )
  })
})
