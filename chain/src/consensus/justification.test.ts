import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bytesToHex } from '../bytes/hex.ts'
import { blockHash } from '../types/block.ts'
import { type Justification, VoteKind } from '../types/consensus-objects.ts'
import { assembleCertificate, signersOf } from './certificate.ts'
import { isJustified, type Slot } from './justification.ts'
import { leaderSchedule } from './leader-schedule.ts'
import { quorumOf } from './quorum.ts'
import { keyedCrypto, MachineBench } from './testing/machine-bench.ts'

const bench = new MachineBench({ self: undefined })
const context = { setup: bench.setup, crypto: keyedCrypto(0), known: () => undefined }
const hash = new Uint8Array(32).fill(3)
const slot: Slot = { view: 9, parentView: 5, parentHash: bytesToHex(hash) }
const skips = [6, 7, 8].map((view) => bench.certificate(VoteKind.nullify, view))
const parent = [bench.certificate(VoteKind.notarize, 5, hash)]

describe('justification: parent certified and every view between skipped', () => {
  test('holds with a notarize or finalize certificate and all skips in order', () => {
    expect(isJustified({ parent, skips }, slot, context)).toBe(true)
    const final = [bench.certificate(VoteKind.finalize, 5, hash)]
    expect(isJustified({ parent: final, skips }, slot, context)).toBe(true)
    expect(isJustified({ parent, skips: [] }, { ...slot, view: 6 }, context)).toBe(true)
  })

  const [six, seven, eight] = skips as [
    (typeof skips)[number],
    (typeof skips)[number],
    (typeof skips)[number],
  ]
  const wrong: [string, Justification, Partial<Slot>][] = [
    ['no parent', { parent: [], skips }, {}],
    ['a missing skip', { parent, skips: [six, eight] }, {}],
    ['a repeated skip', { parent, skips: [six, seven, seven] }, {}],
    ['another order', { parent, skips: [seven, six, eight] }, {}],
    ['one skip too many', { parent, skips: [...skips, eight] }, {}],
    ['another parent view', { parent, skips: [seven, eight] }, { parentView: 6 }],
    ['another parent block', { parent, skips }, { parentHash: '00'.repeat(32) }],
    ['a parent at the own view', { parent, skips: [] }, { parentView: 9 }],
    ['a negative parent view', { parent, skips }, { parentView: -1 }],
    ['a nullified parent', { parent: [bench.certificate(VoteKind.nullify, 5)], skips }, {}],
    [
      'a skip that was notarized',
      { parent, skips: [six, seven, bench.certificate(VoteKind.notarize, 8, hash)] },
      {},
    ],
    [
      'a skip below the quorum',
      { parent, skips: [six, seven, bench.certificate(VoteKind.nullify, 8, undefined, [1, 2])] },
      {},
    ],
  ]
  test.each(wrong)('fails with %s', (_, justification, change) => {
    expect(isJustified(justification, { ...slot, ...change }, context)).toBe(false)
  })

  test('fails when any byte of any signature changes', () => {
    const choice = fc.tuple(fc.nat(3), fc.nat(2), fc.nat(63), fc.integer({ min: 1, max: 255 }))
    fc.assert(
      fc.property(choice, ([which, signer, byte, flip]) => {
        const all = structuredClone([...parent, ...skips])
        const signature = all[which]?.signatures[signer] as Uint8Array
        signature[byte] = (signature[byte] as number) ^ flip
        const changed = { parent: all.slice(0, 1), skips: all.slice(1) }
        return !isJustified(changed, slot, context)
      }),
    )
  })

  test('at view 0 stands the last block of the previous epoch with its own certificate', () => {
    const start = bench.setup.start
    const zero: Slot = { view: 1, parentView: 0, parentHash: start.hash }
    expect(isJustified({ parent: [], skips: [] }, zero, context)).toBe(true)
    expect(isJustified({ parent, skips: [] }, zero, context)).toBe(false)
    const genesisHash = blockHash(start.header)
    const previous = bench.certificate(VoteKind.finalize, 40, genesisHash)
    const setup = {
      ...bench.setup,
      epoch: 2,
      previousValidators: bench.setup.validators,
      start: { ...start, certificate: previous },
    }
    const later = { ...context, setup }
    expect(isJustified({ parent: [previous], skips: [] }, zero, later)).toBe(true)
    const bySome = bench.certificate(VoteKind.finalize, 41, genesisHash, [0, 1, 2])
    expect(isJustified({ parent: [bySome], skips: [] }, zero, later)).toBe(true)
    expect(isJustified({ parent: [], skips: [] }, zero, later)).toBe(false)
    const unfinal = bench.certificate(VoteKind.notarize, 40, genesisHash)
    expect(isJustified({ parent: [unfinal], skips: [] }, zero, later)).toBe(false)
  })
})

describe('weights', () => {
  test('two quorums share more than a third; blocking weight holds an honest validator', () => {
    const weights = fc.array(fc.integer({ min: 1, max: 2 ** 32 - 1 }), {
      minLength: 1,
      maxLength: 100,
    })
    fc.assert(
      fc.property(weights, (list) => {
        const validators = list.map((weight) => ({ publicKey: new Uint8Array(33), weight }))
        const { total, quorum, blocking } = quorumOf(validators)
        const faulty = Math.ceil(total / 3) - 1
        return 3 * (2 * quorum - total) > total && blocking > faulty && quorum <= total - faulty
      }),
    )
  })

  test('signers come back from the bitmap they were put into', () => {
    const all = Array.from({ length: 20 }, (_, index) => index)
    fc.assert(
      fc.property(fc.subarray(all), (signers) => {
        const votes = new Map(signers.map((i) => [i, bench.vote(i, VoteKind.nullify, 1)]))
        const certificate = assembleCertificate(bench.statement(VoteKind.nullify, 1), votes, 20)
        expect(signersOf(certificate)).toEqual(signers)
      }),
    )
  })

  test('leaders are a pure function of set, start and epoch, in proportion to weight', () => {
    const set = (weights: number[]) =>
      weights.map((weight) => ({ publicKey: new Uint8Array(33), weight }))
    const count = (list: readonly number[], index: number) =>
      list.filter((each) => each === index).length
    const start = '11'.repeat(32)
    expect(leaderSchedule(set([5, 5, 5, 5]), start, 3)).toHaveLength(4)
    const weighted = leaderSchedule(set([1, 2, 3]), start, 3)
    expect([0, 1, 2].map((index) => count(weighted, index))).toEqual([1, 2, 3])
    const skewed = leaderSchedule(set([1, 4_000_000_000, 2_000_000_000]), start, 1)
    expect(skewed.length).toBeLessThanOrEqual(1000)
    expect(count(skewed, 0)).toBe(1)
    expect(Math.round(count(skewed, 1) / count(skewed, 2))).toBe(2)
    const orders = new Set(
      [1, 2, 3, 4, 5, 6].map((epoch) => leaderSchedule(set([1, 1, 1, 1]), start, epoch).join()),
    )
    expect(orders.size).toBeGreaterThan(1)
    expect(leaderSchedule(set([1, 1, 1, 1]), start, 1)).toEqual(
      leaderSchedule(set([1, 1, 1, 1]), start, 1),
    )
  })
})
