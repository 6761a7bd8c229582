import type { Type } from '@chainsafe/ssz'
import { bytesEqual, decodeCanonical } from '@ioex/chain/bytes'
import { bytesNear, samplesOf } from '@ioex/chain/bytes/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodePath, encodePath } from '../manifest/file-path.ts'
import { decodeManifest, encodeManifest, ManifestType } from '../manifest/manifest.ts'
import {
  addressesOf,
  isGoodOffer,
  SIGNED_OFFER_BYTES_MAX,
  SignedOfferType,
} from '../relay/offer.ts'
import {
  ANSWER_BYTES_MAX,
  BlocksAnswerType,
  decodeRequest,
  DoneAnswerType,
  encodeRequest,
  FillAnswerType,
  OfferAnswerType,
  PingAnswerType,
  refusalError,
  RepairAnswerType,
  RequestType,
  ResumeAnswerType,
  RootAnswerType,
} from './messages.ts'
import { refusalBytes, RefusalType } from './refusal-codec.ts'
import { TransferError } from './transfer-error.ts'

/** Inputs of each law; `npm run fuzz` sets a million. */
const RUNS = Number(process.env['IOEX_FUZZ_RUNS'] ?? 200)
const NOW = 1_700_000_000_000
const CHAIN_ID = new Uint8Array(32)

const bytesOf = <T>(type: Type<T>): Uint8Array[] =>
  samplesOf(type).map((sample) => type.serialize(sample))

function fuzz(seeds: readonly Uint8Array[], law: (bytes: Uint8Array) => void): void {
  for (const seed of seeds) law(seed)
  fc.assert(fc.property(bytesNear(seeds), law), { numRuns: RUNS })
}

const answers: readonly (readonly [string, Type<unknown>])[] = [
  ['ping', PingAnswerType],
  ['offer', OfferAnswerType],
  ['resume', ResumeAnswerType],
  ['root', RootAnswerType],
  ['fill', FillAnswerType],
  ['blocks', BlocksAnswerType],
  ['repair', RepairAnswerType],
  ['done', DoneAnswerType],
]

describe('codec laws of the data plane', () => {
  test('a request is the same again or a PEER_PROTOCOL error', () => {
    const seeds = bytesOf(RequestType)
    expect(new Set(seeds.map((seed) => decodeRequest(seed).selector)).size).toBe(
      RequestType.types.length,
    )
    fuzz(seeds, (bytes) => {
      try {
        expect(bytesEqual(encodeRequest(decodeRequest(bytes)), bytes)).toBe(true)
      } catch (error) {
        if (!(error instanceof TransferError)) throw error
        expect(error.code).toBe('PEER_PROTOCOL')
      }
    })
  })

  test.each(answers)('the answer to %s is the same again or a fault', (_, type) => {
    fuzz(bytesOf(type), (bytes) => {
      const decoded = decodeCanonical(type, bytes, ANSWER_BYTES_MAX)
      if (decoded.ok) expect(bytesEqual(type.serialize(decoded.value), bytes)).toBe(true)
    })
  })

  test('any refusal is an error with a code, never one of ours', () => {
    const seeds = [RefusalType.serialize(refusalBytes('FULL', 'no room')), ...bytesOf(RefusalType)]
    fuzz(seeds, (bytes) => {
      expect(['PEER_REFUSED', 'PEER_PROTOCOL']).toContain(refusalError(bytes).code)
    })
  })

  test('an offer is the same again or a fault, and is good only if it is signed', () => {
    fuzz(bytesOf(SignedOfferType), (bytes) => {
      const signed = decodeCanonical(SignedOfferType, bytes, SIGNED_OFFER_BYTES_MAX)
      if (!signed.ok) return
      expect(bytesEqual(SignedOfferType.serialize(signed.value), bytes)).toBe(true)
      expect(addressesOf(signed.value.offer)).toHaveLength(signed.value.offer.addresses.length)
      expect(isGoodOffer(CHAIN_ID, signed.value, NOW)).toBe(false)
    })
  })

  test('a manifest is the same again or a fault', () => {
    const [, filled] = samplesOf(ManifestType)
    const [file] = filled?.files ?? []
    if (!filled || !file) expect.fail('the sample holds a file')
    const path = encodePath('a/b')
    if (!path.ok) expect.fail(path.fault.message)
    const files = [{ ...file, path: path.value, parts: 1, size: 5, partBytes: 5, packOffset: 10 }]
    const good = { ...filled, version: 1, packs: 1, files, tombstones: [path.value] }
    const seeds = [encodeManifest(good), ...bytesOf(ManifestType)]
    expect(decodeManifest(encodeManifest(good), 10, 100).ok).toBe(true)
    fuzz(seeds, (bytes) => {
      const manifest = decodeManifest(bytes, 10, 100)
      if (manifest.ok) expect(bytesEqual(encodeManifest(manifest.value), bytes)).toBe(true)
      else expect(manifest.fault.code).toMatch(/^[A-Z_]+$/)
      const text = decodePath(bytes)
      if (text.ok) expect(encodePath(text.value)).toEqual({ ok: true, value: bytes })
    })
  })
})
