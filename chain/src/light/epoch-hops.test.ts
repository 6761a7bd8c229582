import fc from 'fast-check'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { presets } from '../../../genesis/src/presets/presets.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import type { Result } from '../bytes/result.ts'
import {
  acceptHeader,
  HANDOVER_BYTES_MAX,
  EpochHandoverType,
  hopEpoch,
  type SkipRules,
  skipEpochs,
} from './epoch-hops.ts'
import {
  certify,
  chain,
  EPOCH_BLOCKS,
  handover,
  genesisOf,
  headerAt,
  setOf,
  signer,
} from './testing/certified-chain.ts'

// Generous, because the machine may be busy; nothing here waits for a time to pass.
vi.setConfig({ testTimeout: 60_000 })
beforeAll(async () => void (await installNativeCrypto()))

const first = ['a', 'b', 'c', 'd'].map((name) => signer(name))
const second = ['b', 'c', 'd', 'e'].map((name) => signer(name))
const others = ['w', 'x', 'y', 'z'].map((name) => signer(name))
const trusted = genesisOf(first)
const codeOf = (result: Result<unknown>) => (result.ok ? 'ok' : result.fault.code)

describe('sequential hops', () => {
  test('lead through a set that stays and one that changes', () => {
    const one = hopEpoch(trusted, handover(1, first), chain)
    expect(one.ok && one.value.epoch).toBe(2)
    const two = one.ok ? hopEpoch(one.value, handover(2, first, second), chain) : one
    if (!two.ok) throw new Error(two.fault.message)
    expect(two.value.epoch).toBe(3)
    const header = headerAt(21, second)
    const next = acceptHeader(two.value, { header, certificate: certify(header, second) }, chain)
    expect(next.ok && next.value.newest.header.height).toBe(21)
    const old = { header, certificate: certify(header, first) }
    expect(codeOf(acceptHeader(two.value, old, chain))).toBe('CERTIFICATE_WRONG')
  })

  test('only the checkpoint of the trusted epoch hands over, and only to its own successors', () => {
    expect(codeOf(hopEpoch(trusted, handover(2, first), chain))).toBe('EPOCH_OTHER')
    const header = headerAt(EPOCH_BLOCKS - 1, first)
    const certificate = certify(header, first)
    const middle = { header, certificate, nextValidators: [] }
    expect(codeOf(hopEpoch(trusted, middle, chain))).toBe('EPOCH_OTHER')
    const changed = handover(1, first, second)
    const silent = { ...changed, nextValidators: [] }
    expect(codeOf(hopEpoch(trusted, silent, chain))).toBe('VALIDATORS_OTHER')
    const false1 = { ...changed, nextValidators: [setOf(others)] }
    expect(codeOf(hopEpoch(trusted, false1, chain))).toBe('VALIDATORS_OTHER')
    const repeated = { ...handover(1, first), nextValidators: [setOf(first)] }
    expect(codeOf(hopEpoch(trusted, repeated, chain))).toBe('VALIDATORS_OTHER')
    expect(codeOf(hopEpoch(trusted, handover(1, others), chain))).toBe('VALIDATORS_OTHER')
  })

  test('a set without members or weight is refused, not asserted', () => {
    const nobody = handover(1, first, [])
    expect(codeOf(hopEpoch(trusted, nobody, chain))).toBe('VALIDATORS_EMPTY')
    const weightless = handover(1, first, [signer('a', 0)])
    expect(codeOf(hopEpoch(trusted, weightless, chain))).toBe('VALIDATORS_EMPTY')
  })

  test('any byte changed anywhere is refused', () => {
    const bytes = EpochHandoverType.serialize(handover(1, first, second))
    const verify = (changed: Uint8Array) => {
      const decoded = decodeCanonical(EpochHandoverType, changed, HANDOVER_BYTES_MAX)
      return decoded.ok && hopEpoch(trusted, decoded.value, chain).ok
    }
    expect(verify(bytes)).toBe(true)
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.slice()
      changed[at] = (changed[at] as number) ^ (1 << (at % 8))
      if (verify(changed)) throw new Error(`byte ${at} is not bound`)
    }
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = bytes.slice()
        changed[at] = (changed[at] as number) ^ flip
        expect(verify(changed)).toBe(false)
      }),
      { numRuns: 50 },
    )
  })
})

describe('skipping hops', () => {
  const header = headerAt(95, second)
  const target = { header, certificate: certify(header, second), validators: setOf(second) }
  const skip: SkipRules = {
    nowMs: header.timeMs + 1000,
    trustingMs: 200_000,
    aheadMs: 1000,
    overlap: 'two-thirds',
  }

  test('with three of four trusted signers behind it', () => {
    const skipped = skipEpochs(trusted, target, chain, skip)
    expect(skipped.ok && skipped.value.epoch).toBe(10)
    expect(skipped.ok && skipped.value.validators).toEqual(setOf(second))
  })

  test('overlap: more than a third, or more than two thirds of the trusted weight', () => {
    const half = [...first.slice(0, 2), ...others.slice(0, 2)]
    const by = headerAt(95, half)
    const some = { header: by, certificate: certify(by, half), validators: setOf(half) }
    expect(codeOf(skipEpochs(trusted, some, chain, skip))).toBe('OVERLAP_SMALL')
    expect(codeOf(skipEpochs(trusted, some, chain, { ...skip, overlap: 'third' }))).toBe('ok')
    const one = [...first.slice(0, 1), ...others.slice(0, 3)]
    const few = headerAt(95, one)
    const least = { header: few, certificate: certify(few, one), validators: setOf(one) }
    const third = { ...skip, overlap: 'third' } as const
    expect(codeOf(skipEpochs(trusted, least, chain, third))).toBe('OVERLAP_SMALL')
  })

  test('a trusted key named many times counts once', () => {
    const crowd = Array.from({ length: 4 }, () => first[0] as (typeof first)[number])
    const by = headerAt(95, crowd)
    const forged = { header: by, certificate: certify(by, crowd), validators: setOf(crowd) }
    const third = { ...skip, overlap: 'third' } as const
    expect(codeOf(skipEpochs(trusted, forged, chain, third))).toBe('OVERLAP_SMALL')
  })

  test('not from a header that is too old, not into the future, not to the past', () => {
    const late = { ...skip, nowMs: trusted.newest.header.timeMs + skip.trustingMs + 1 }
    expect(codeOf(skipEpochs(trusted, target, chain, late))).toBe('TRUST_EXPIRED')
    const early = { ...skip, nowMs: header.timeMs - skip.aheadMs - 1 }
    expect(codeOf(skipEpochs(trusted, target, chain, early))).toBe('HEADER_TIME')
    const at = skipEpochs(trusted, target, chain, skip)
    expect(at.ok && codeOf(skipEpochs(at.value, target, chain, skip))).toBe('EPOCH_OTHER')
  })

  test('the set it brings is that of the header, and final by its own quorum', () => {
    const other = { ...target, validators: setOf(first) }
    expect(codeOf(skipEpochs(trusted, other, chain, skip))).toBe('VALIDATORS_OTHER')
    const weak = { ...target, certificate: certify(header, second, [0, 1]) }
    expect(codeOf(skipEpochs(trusted, weak, chain, skip))).toBe('CERTIFICATE_WRONG')
  })
})

test('a day on the main network is less than 100 KB, also when the set changes every epoch', () => {
  const { epochBlocks, blockIntervalMs } = presets.main
  const epochs = 86_400_000 / (epochBlocks * blockIntervalMs)
  expect(epochs).toBe(24)
  const validators = Array.from({ length: 36 }, (_, i) => signer(`validator ${i}`))
  const header = headerAt(EPOCH_BLOCKS, validators)
  const quorum = validators.slice(0, 25).map((_, index) => index)
  const same = { header, certificate: certify(header, validators, quorum), nextValidators: [] }
  const changed = { ...same, nextValidators: [setOf(validators)] }
  expect(epochs * EpochHandoverType.serialize(same).length).toBeLessThan(60_000)
  expect(epochs * EpochHandoverType.serialize(changed).length).toBeLessThan(100_000)
})
