import { createHash, createSecretKey, randomBytes } from 'node:crypto'
import { SlotTreeBuilder } from '@ioex/chain/bytes'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { buildManifests, type PutFile } from '../manifest/build-manifest.ts'
import type { Manifest } from '../manifest/manifest.ts'
import { type PackPlan, planPacks } from '../manifest/plan-packs.ts'
import { cellsOfRange, type PackGeometry, packGeometry } from '../slicing/pack-geometry.ts'
import { decodeCells, decodeRange, type FetchedStripe } from './decode-pack.ts'
import { type EncodedStripe, encodePack } from './encode-pack.ts'
import { throughKeystream } from './keystream.ts'
import { openManifest, type SealedPack, sealPack } from './pack-secrets.ts'
import { type PackPart, packSource } from './pack-source.ts'
import { SealBrokenError, SourceChangedError, StripeUnreadableError } from './seal-errors.ts'

const master = new Uint8Array(32).fill(1)
const contractSalt = new Uint8Array(32).fill(2)

function valueOf<T>(result: { ok: true; value: T } | { ok: false; fault: { message: string } }): T {
  if (!result.ok) throw new Error(result.fault.message)
  return result.value
}

const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash('sha256').update(bytes).digest())

/** Pieces of odd sizes, as a file or socket gives them. */
async function* pieces(bytes: Uint8Array, size = 10_007): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function collected<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of source) items.push(item)
  return items
}

async function joined(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await collected(source))
}

interface Put {
  plan: PackPlan
  manifest: Manifest
  sealed: SealedPack
  geometry: PackGeometry
  parts: PackPart[]
  contents: Uint8Array[]
}

/** One put of files with these contents, as far as encoding. */
function putOf(k: number, n: number, contents: Uint8Array[]): Put {
  const planned = contents.map((bytes, i) => ({ path: `f${i}`, size: bytes.length }))
  const plans = valueOf(planPacks(planned, [], k))
  const files = contents.map((bytes, i): PutFile => {
    const hash = sha256(bytes)
    const contentKey = new Uint8Array(32).fill(i)
    const facts = { path: `f${i}`, size: bytes.length, mtimeMs: 0, mode: 0o600 }
    return { ...facts, sha256: hash, contentKey, partSha256: [hash] }
  })
  const put = { device: new Uint8Array(16), sequence: 1, createdMs: 1 }
  const [manifest] = buildManifests(plans, files, put) as [Manifest]
  const [plan] = plans as [PackPlan]
  const sealed = sealPack(master, contractSalt, n, manifest)
  expect(sealed.sealedManifest.length).toBe(plan.manifestBytes)
  const geometry = valueOf(packGeometry(k, n, plan.packBytes))
  const parts = plan.parts.map((part): PackPart => {
    const file = files[part.file] as PutFile
    return {
      name: file.path,
      bytes: part.partBytes,
      partOffset: part.partOffset,
      contentKey: file.contentKey,
      partSha256: file.sha256,
      open: () => pieces(contents[part.file] as Uint8Array),
    }
  })
  return { plan, manifest, sealed, geometry, parts, contents }
}

function encoded(put: Put, firstStripe = 0): Promise<EncodedStripe[]> {
  const { geometry, sealed, parts } = put
  const source = packSource(sealed.sealedManifest, parts, firstStripe * geometry.k * 65_520)
  return collected(encodePack(geometry, sealed.secrets, source, firstStripe))
}

/** The stripes that a range touches, each with only the slots named. */
async function* fetched(
  stripes: readonly EncodedStripe[],
  touched: ReadonlySet<number>,
  slots: readonly number[],
): AsyncGenerator<FetchedStripe> {
  for (const { stripe, cells } of stripes) {
    if (!touched.has(stripe)) continue
    yield { stripe, cells: new Map(slots.map((slot) => [slot, cells[slot] as Uint8Array])) }
  }
}

async function rangeOf(
  put: Put,
  stripes: readonly EncodedStripe[],
  slots: readonly number[],
  from: number,
  to: number,
): Promise<Buffer> {
  const spans = valueOf(cellsOfRange(put.geometry, from, to))
  const touched = new Set(spans.map((span) => span.stripe))
  const source = fetched(stripes, touched, slots)
  return joined(decodeRange(put.geometry, put.sealed.secrets, spans, source))
}

/** From k slots alone: manifest, then every file. */
async function expectRestored(put: Put, stripes: EncodedStripe[], slots: number[]): Promise<void> {
  const { plan, sealed, contents } = put
  const label = { keySalt: sealed.keySalt, packBytes: plan.packBytes }
  const manifestBytes = await rangeOf(put, stripes, slots, 0, plan.manifestBytes)
  const manifest = valueOf(openManifest(master, contractSalt, label, manifestBytes))
  expect(manifest).toEqual(put.manifest)
  for (const [i, file] of manifest.files.entries()) {
    const end = file.packOffset + file.partBytes
    const cipher = await rangeOf(put, stripes, slots, file.packOffset, end)
    const key = createSecretKey(file.contentKey)
    const content = await joined(throughKeystream(pieces(cipher), key, file.partOffset))
    expect(sha256(content)).toEqual(file.sha256)
    expect(content.equals(contents[i] as Uint8Array)).toBe(true)
  }
}

describe('a pack', () => {
  test('comes back from any k slots, whatever its files and code', async () => {
    const inputs = fc.tuple(
      fc.constantFrom([1, 1], [1, 3], [2, 6], [4, 12], [3, 4]),
      fc.array(fc.oneof(fc.constant(0), fc.nat(100), fc.nat(400_000)), { maxLength: 4 }),
      fc.infiniteStream(fc.nat()),
    )
    await fc.assert(
      fc.asyncProperty(inputs, async ([[k, n], sizes, draws]) => {
        const put = putOf(
          k as number,
          n as number,
          sizes.map((size) => randomBytes(size)),
        )
        const stripes = await encoded(put)
        expect(stripes.length).toBe(put.geometry.stripeCount)
        const left = Array.from({ length: n as number }, (_, slot) => slot)
        const slots = Array.from(
          { length: k as number },
          () => left.splice((draws.next().value as number) % left.length, 1)[0] as number,
        )
        await expectRestored(put, stripes, slots)
      }),
      { numRuns: 25 },
    )
  })

  test('gives slots of the size that the geometry says, hashed as they come', async () => {
    const put = putOf(2, 6, [randomBytes(300_000)])
    const builders = Array.from({ length: 6 }, () => new SlotTreeBuilder())
    for (const { cells } of await encoded(put)) {
      cells.forEach((cell, slot) => builders[slot]?.append(cell))
    }
    const trees = builders.map((builder) => builder.finish())
    expect(trees.map((tree) => tree.leafCount)).toEqual(Array(6).fill(put.geometry.leafCount))
    expect(new Set(trees.map((tree) => Buffer.from(tree.root).toString('hex'))).size).toBe(6)
  })

  test('resumed at any stripe gives the same cells', async () => {
    const put = putOf(2, 6, [randomBytes(200_000), randomBytes(10), randomBytes(300_000)])
    const whole = await encoded(put)
    expect(whole.length).toBeGreaterThan(3)
    for (let stripe = 1; stripe < whole.length; stripe++) {
      expect(await encoded(put, stripe)).toEqual(whole.slice(stripe))
    }
  })

  test('is read by ranges that fetch only what they need', async () => {
    const put = putOf(2, 6, [randomBytes(600_000)])
    const stripes = await encoded(put)
    const source = packSource(put.sealed.sealedManifest, put.parts)
    const bytes = await joined(source)
    const { packBytes } = put.plan
    const ranges = fc.tuple(fc.nat(packBytes), fc.nat(packBytes))
    await fc.assert(
      fc.asyncProperty(ranges, async ([a, b]) => {
        const from = Math.min(a, b)
        const to = Math.max(a, b)
        for (const slots of [
          [0, 1],
          [4, 1],
          [5, 2],
        ]) {
          const range = await rangeOf(put, stripes, slots, from, to)
          expect(range.equals(bytes.subarray(from, to))).toBe(true)
        }
      }),
      { numRuns: 15 },
    )
  })
})

describe('what goes wrong', () => {
  const put = putOf(2, 4, [randomBytes(150_000)])
  const { geometry, sealed } = put

  test('one data cell is enough for its own range; fewer than k are not for another', async () => {
    const [first] = (await encoded(put)) as [EncodedStripe]
    const one = new Map([[1, first.cells[1] as Uint8Array]])
    expect(decodeCells(geometry, sealed.secrets, 0, one, [1]).get(1)?.length).toBe(65_520)
    const attempt = () => decodeCells(geometry, sealed.secrets, 0, one, [0])
    expect(attempt).toThrow(StripeUnreadableError)
    expect(attempt).toThrow(expect.objectContaining({ code: 'CELLS_TOO_FEW', stripe: 0 }))
  })

  test('a changed, exchanged or cut cell is never taken for data', async () => {
    const [first, second] = (await encoded(put)) as [EncodedStripe, EncodedStripe]
    const read = (cells: [number, Uint8Array | undefined][]) => () =>
      decodeCells(geometry, sealed.secrets, 0, new Map(cells as [number, Uint8Array][]), [0, 1])
    const changed = Uint8Array.from(first.cells[2] as Uint8Array)
    changed[100]! ^= 1
    expect(
      read([
        [2, changed],
        [3, first.cells[3]],
      ]),
    ).toThrow(SealBrokenError)
    expect(
      read([
        [0, first.cells[1]],
        [1, first.cells[0]],
      ]),
    ).toThrow(SealBrokenError)
    const otherStripe = Buffer.alloc(65_536)
    otherStripe.set(second.cells[0] as Uint8Array)
    expect(
      read([
        [0, otherStripe],
        [1, first.cells[1]],
      ]),
    ).toThrow(SealBrokenError)
    const cut = first.cells[0]?.subarray(1)
    expect(
      read([
        [0, cut],
        [1, first.cells[1]],
      ]),
    ).toThrow(expect.objectContaining({ code: 'CELL_LENGTH' }))
    expect(
      read([
        [3, first.cells[3]],
        [9, first.cells[1]],
      ]),
    ).toThrow(expect.objectContaining({ code: 'CELL_INDEX' }))
  })

  test('a stripe that was not fetched is named', async () => {
    const spans = valueOf(cellsOfRange(geometry, 0, geometry.packBytes))
    const [first] = (await encoded(put)) as [EncodedStripe]
    const source = fetched([first], new Set([0]), [0, 1])
    await expect(joined(decodeRange(geometry, sealed.secrets, spans, source))).rejects.toThrow(
      expect.objectContaining({ code: 'STRIPE_MISSING', stripe: 1 }),
    )
  })

  test.each([
    ['grew', (bytes: Uint8Array) => Buffer.concat([bytes, Buffer.of(1)])],
    ['shrank', (bytes: Uint8Array) => bytes.subarray(1)],
    ['content differs', (bytes: Uint8Array) => Uint8Array.from(bytes, (byte) => byte ^ 1)],
  ])('a file that %s ends the put', async (reason, change) => {
    const [part] = put.parts as [PackPart]
    const bytes = change(put.contents[0] as Uint8Array)
    const parts = [{ ...part, open: () => pieces(bytes) }]
    const source = packSource(sealed.sealedManifest, parts)
    const encoding = collected(encodePack(geometry, sealed.secrets, source))
    await expect(encoding).rejects.toThrow(SourceChangedError)
    await expect(joined(packSource(sealed.sealedManifest, parts))).rejects.toThrow(reason)
  })

  test('a resumed put of a changed file ends before a byte leaves', async () => {
    const [part] = put.parts as [PackPart]
    const bytes = Uint8Array.from(put.contents[0] as Uint8Array)
    bytes[149_999]! ^= 1
    const source = packSource(
      sealed.sealedManifest,
      [{ ...part, open: () => pieces(bytes) }],
      70_000,
    )
    await expect(source.next()).rejects.toThrow(SourceChangedError)
  })

  test('a source that is not the pack is refused', async () => {
    const short = encodePack(geometry, sealed.secrets, pieces(new Uint8Array(1000)))
    await expect(short.next()).rejects.toThrow('it shrank')
    const long = encodePack(geometry, sealed.secrets, pieces(new Uint8Array(200_000)))
    await expect(collected(long)).rejects.toThrow('it grew')
  })
})
