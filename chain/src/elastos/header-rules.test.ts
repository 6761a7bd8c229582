import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fromHex } from '../bytes/hex.ts'
import { compactToTarget, hashMeetsBits, POW_LIMIT, targetToCompact } from './difficulty.ts'
import { asInternalHash, type InternalHash, ZERO_INTERNAL_HASH } from './hash-orientation.ts'
import {
  advanceContext,
  checkHeader,
  ELASTOS_MAIN_NET,
  ELASTOS_REG_NET,
  expectedBits,
  type HeaderContext,
  isTooFarAhead,
  medianTime,
  retargetWindow,
} from './header-rules.ts'
import { decodeHeaderWithAuxPow, encodeHeaderWithAuxPow, headerHash } from './main-header.ts'
import type { DecodedHeader, MainHeader } from './main-header.ts'
import { mineAuxPow } from './merge-mining.ts'

const TEN = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]

function mined(header: MainHeader, work = header.bits): DecodedHeader {
  const auxPow = mineAuxPow({
    auxBlockHash: headerHash(header),
    bits: work,
    timestamp: header.timestamp,
    parentPrevious: ZERO_INTERNAL_HASH,
    extraNonce: new Uint8Array(0),
  })
  if (!auxPow) throw new Error('no nonce found')
  const decoded = decodeHeaderWithAuxPow(encodeHeaderWithAuxPow(header, auxPow))
  if (!decoded.ok) throw new Error(decoded.fault.message)
  return decoded.value
}

const previousHash = asInternalHash(new Uint8Array(32).fill(7))
const context: HeaderContext = {
  previous: { hash: previousHash, height: 10, time: 1000, bits: 0x207fffff },
  lastTimes: [990, 1000, 995, 985, 991, 992, 993, 994, 980, 981, 1000],
  windowFirstTime: 991,
}
const header: MainHeader = {
  version: 0,
  previous: previousHash,
  merkleRoot: asInternalHash(new Uint8Array(32).fill(9)),
  timestamp: 993,
  bits: 0x207fffff,
  nonce: 0,
  height: 11,
}

function refusal(changes: Partial<MainHeader>): string | undefined {
  const checked = checkHeader(mined({ ...header, ...changes }), context, ELASTOS_REG_NET)
  return checked.ok ? undefined : checked.fault.code
}

describe('checkHeader', () => {
  test('a good header adds its work', () => {
    const checked = checkHeader(mined(header), context, ELASTOS_REG_NET)
    expect(checked).toEqual({ ok: true, value: { work: 2n } })
  })

  test('each rule has its fault', () => {
    expect(refusal({ previous: ZERO_INTERNAL_HASH })).toBe('MAIN_HEADER_PREVIOUS')
    expect(refusal({ height: 12 })).toBe('MAIN_HEADER_HEIGHT')
    expect(refusal({ timestamp: 992 })).toBe('MAIN_HEADER_TIME')
    expect(refusal({ bits: 0x207ffffe })).toBe('MAIN_HEADER_BITS')
    const good = mined(header)
    const other = mined({ ...header, nonce: 1 })
    const swapped = { ...good, auxPow: other.auxPow, bitcoinParentHash: other.bitcoinParentHash }
    expect(checkHeader(swapped, context, ELASTOS_REG_NET)).toMatchObject({
      fault: { code: 'MAIN_AUXPOW_ROOT' },
    })
    const lazy = { ...good, bitcoinParentHash: asInternalHash(new Uint8Array(32).fill(0xff)) }
    expect(checkHeader(lazy, context, ELASTOS_REG_NET)).toMatchObject({
      fault: { code: 'MAIN_HEADER_WORK' },
    })
  })

  test('the clock is nobody else’s business', () => {
    expect(isTooFarAhead(10_000 + 7200, 10_000)).toBe(false)
    expect(isTooFarAhead(10_000 + 7201, 10_000)).toBe(true)
  })

  test('a chain of headers follows from one context to the next', () => {
    let at = context
    for (let height = 11; height < 40; height++) {
      const next = mined({ ...header, previous: at.previous.hash, height, timestamp: 990 + height })
      expect(checkHeader(next, at, ELASTOS_REG_NET).ok).toBe(true)
      at = advanceContext(at, next, ELASTOS_REG_NET)
    }
    expect(at.lastTimes).toHaveLength(11)
    expect(at.previous.height).toBe(39)
    expect(at.windowFirstTime).toBe(990 + 30)
  })
})

describe('retarget', () => {
  const bits = 0x1d03ffff
  const at = (height: number, elapsed: number): HeaderContext => ({
    previous: { hash: previousHash, height, time: 1_600_000_000 + elapsed, bits },
    lastTimes: [],
    windowFirstTime: 1_600_000_000,
  })
  const next = (height: number, elapsed: number) =>
    expectedBits(at(height, elapsed), ELASTOS_MAIN_NET)

  test('the main net window is 720 blocks', () => {
    expect(retargetWindow(ELASTOS_MAIN_NET)).toBe(720)
    expect(retargetWindow(ELASTOS_REG_NET)).toBe(10)
  })

  test('bits stay within a window and change at its end', () => {
    expect(next(720, 1)).toBe(bits)
    expect(next(1438, 1)).toBe(bits)
    expect(next(1439, 86_400)).toBe(bits)
    expect(compactToTarget(next(1439, 43_200))).toBe(
      compactToTarget(targetToCompact(compactToTarget(bits) / 2n)),
    )
  })

  test('the change is at most fourfold, and a window that ran backwards counts as long', () => {
    const quarter = targetToCompact((compactToTarget(bits) * 21_600n) / 86_400n)
    const fourfold = targetToCompact(compactToTarget(bits) * 4n)
    expect(next(1439, 1)).toBe(quarter)
    expect(next(1439, 400_000)).toBe(fourfold)
    expect(next(1439, -1)).toBe(fourfold)
  })

  test('the first block after genesis has the limit, which is not its canonical form', () => {
    expect(next(0, 0)).toBe(0x1f0008ff)
    expect(targetToCompact(compactToTarget(0x1f0008ff))).toBe(0x1e08ff00)
  })

  test('the target never passes 2^255 - 1', () => {
    const easy = {
      ...at(1439, 400_000),
      previous: { hash: previousHash, height: 1439, time: 1_600_400_000, bits: 0x207fffff },
    }
    expect(expectedBits(easy, ELASTOS_MAIN_NET)).toBe(0x207fffff)
  })

  test('instant networks never retarget', () => {
    expect(expectedBits(at(1439, 1), ELASTOS_REG_NET)).toBe(0x207fffff)
  })
})

describe('median time', () => {
  test('the upper middle of what there is', () => {
    expect(medianTime([5])).toBe(5)
    expect(medianTime([9, 5])).toBe(9)
    expect(medianTime([...TEN, 0])).toBe(5)
  })
})

describe('hashMeetsBits', () => {
  const asNumber = (hash: Uint8Array) =>
    hash.reduceRight((value, byte) => value * 256n + BigInt(byte), 0n)
  const near = fc
    .tuple(fc.nat(0xffff_ffff), fc.integer({ min: -2, max: 2 }))
    .map(([bits, step]) => ({ bits, value: compactToTarget(bits) + BigInt(step) }))
    .filter(({ value }) => value >= 0n && value < 1n << 256n)

  test('agrees with whole numbers, near the target and anywhere', () => {
    const law = (hash: InternalHash, bits: number) => {
      const target = compactToTarget(bits)
      const expected = target > 0n && target <= POW_LIMIT && asNumber(hash) <= target
      expect(hashMeetsBits(hash, bits)).toBe(expected)
    }
    fc.assert(
      fc.property(near, ({ bits, value }) => {
        const hex = value.toString(16).padStart(64, '0')
        law(asInternalHash(fromHex(hex).reverse()), bits)
      }),
      { numRuns: 2000 },
    )
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.integer({ min: 0, max: 36 }),
        fc.nat(0xff_ffff),
        (hash, exponent, mantissa) =>
          law(asInternalHash(hash), ((exponent << 24) | mantissa) >>> 0),
      ),
      { numRuns: 2000 },
    )
  })

  test('compact form survives for every canonical target', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 32 }), fc.nat(0x7f_ffff), (size, mantissa) => {
        const target = compactToTarget(((size << 24) | mantissa) >>> 0)
        expect(compactToTarget(targetToCompact(target))).toBe(target)
      }),
    )
  })
})
