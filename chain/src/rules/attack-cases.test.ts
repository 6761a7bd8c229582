import { beforeAll, describe, expect, test } from 'vitest'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { NONE } from '../types/records.ts'
import { isClearedByProof } from './clear-weight.ts'
import { epochsOf } from './settle-rail.ts'
import { timeAmount } from './settlement.ts'
import { ALWAYS, NEVER, proveIn, quietUntil, richWorld } from './testing/rich-world.ts'
import { actor, codeOf, TEST_PRICE } from './testing/world.ts'

/**
 * Attacks that broke earlier drafts of the rules. Each goes on losing on the production rules.
 */
const payer = actor('payer')
const node = actor('node')
const sybil = actor('sybil')

beforeAll(async () => {
  await installNativeCrypto()
})

describe('dilution', () => {
  test('case 1: filler of price 0 is never drawn, however many bytes it has', () => {
    const world = richWorld()
    const paid = world.rent(payer, node, { leaves: 1 })
    for (let i = 0; i < 9; i++) world.rent(payer, node, { price: 0n, leaves: 200 })
    expect(world.node(node).inventorySum).toBe(256n * TEST_PRICE)
    world.dropped.add(paid)
    for (let i = 0; i < 6; i++) {
      world.step()
      if (world.isChallenged(node)) expect(world.tryProve(node)).toBeUndefined()
    }
    expect(world.node(node).P).toBe(0)
  })

  test('case 1: half the paid weight dropped passes about once in 2^8', () => {
    let passed = 0
    const world = richWorld({ strikesToEvict: 255 })
    const kept = world.rent(payer, node)
    world.dropped.add(world.rent(payer, node))
    for (let i = 0; i < 400; i++) {
      world.step()
      if (world.isChallenged(node) && codeOf(world.tryProve(node)) === 'ok') passed += 1
    }
    // Expected 200 challenges / 256; a chance of 1e-6 to see ten.
    expect(passed).toBeLessThan(10)
    expect(kept).not.toBe(NONE)
  })

  test('case 18: an ended rail of a huge price spoils the proof until its weight is cleared', () => {
    const world = richWorld()
    world.rent(payer, node, { term: 200 })
    const filler = world.rent(payer, node, { term: 1, price: TEST_PRICE * 1000n })
    const spoiled: string[] = []
    for (let i = 0; i < 12; i++) {
      world.step()
      if (world.isChallenged(node)) spoiled.push(codeOf(world.tryProve(node)))
    }
    // End 3, W = 2: from the first challenge after A = 5 on, drawing it is invalid.
    expect(spoiled.slice(0, 4)).toEqual(['ok', 'ok', 'ok', 'ok'])
    expect(new Set(spoiled.slice(4))).toEqual(new Set(['RAIL_SPENT']))
    const { end } = world.rail(filler)
    expect(codeOf(world.clearWeight(filler))).toBe('ok')
    expect(codeOf(world.clearWeight(filler))).toBe('NOTHING_TO_CLEAR')
    expect(world.rail(filler)).toMatchObject({ end, askEpoch: NONE, live: true })
    expect(world.node(node).inventorySum).toBe(256n * TEST_PRICE)
    while (world.isChallenged(node)) world.step()
    world.step()
    if (!world.node(node).evicted && world.isChallenged(node)) world.prove(node)
    world.audit()
  })

  test('case 18: an honest node can always clear in time', () => {
    const world = richWorld()
    world.rent(payer, node, { term: 200 })
    const ended = world.rent(payer, node, { term: 1 })
    for (let i = 0; i < 8; i++) {
      world.step()
      const { A } = world.node(node)
      const isOver = A >= world.rail(ended).end && world.rail(ended).clearedEpoch === NONE
      world.prove(node, isOver ? [ended] : [])
    }
    expect(world.node(node)).toMatchObject({ strikes: 0, P: 8 })
    expect(world.rail(ended).clearedEpoch).toBe(4)
  })

  test('case 18: nor does a payer who never settles what it asked spoil an honest node’s proofs', () => {
    for (const ask of ['rail', 'contract', 'deadline'] as const) {
      const world = richWorld({ fillDeadlineEpochs: ask === 'deadline' ? 3 : 20 })
      world.rent(payer, node, { term: 200 })
      const contract = world.open(payer, { k: 2, n: 4 })
      const rail = world.fill(payer, node, [contract, 0])
      if (ask === 'rail') world.close(payer, rail)
      if (ask === 'contract') world.closeContract(payer, contract)
      for (let i = 0; i < 10; i++) {
        world.step()
        world.touch(node)
        const { draft, epoch } = world
        const may = isClearedByProof(draft, world.node(node), world.rail(rail), epoch, epoch)
        world.prove(node, may ? [rail] : [])
      }
      expect(world.node(node)).toMatchObject({ strikes: 0, P: 10 })
      expect(world.rail(rail).clearedEpoch).toBe(ask === 'deadline' ? 4 : 2)
      expect(codeOf(world.close(sybil, rail))).toBe('ok')
      // It still gets the minimum charge: its closing resolution was passed before the clearing.
      const least = timeAmount(TEST_PRICE, 4, world.params.minimumChargeEpochs)
      expect(world.rail(rail).paidTime).toBeGreaterThanOrEqual(least)
      world.audit()
    }
  })

  test('the weight of a rail that can still earn cannot be cleared, by anyone', () => {
    const world = richWorld()
    const rail = world.rent(payer, node)
    world.step()
    world.prove(node)
    expect(codeOf(world.clearWeight(rail))).toBe('RAIL_EARNING')
    expect(codeOf(world.clearWeight(rail, node))).toBe('RAIL_EARNING')
    world.step()
    expect(codeOf(world.tryProve(node, [rail]))).toBe('RAIL_EARNING')
    expect(codeOf(world.tryProve(node))).toBe('ok')
  })
})

describe('challenges', () => {
  test('case 2: one open challenge per node; a late proof pays up to its own epoch only', () => {
    const world = richWorld({ proofWindowEpochs: 4 })
    const rail = world.rent(payer, node)
    world.step()
    world.prove(node)
    for (let i = 0; i < 3; i++) {
      world.step()
      world.touch(node)
      expect(world.node(node).challenge).toBe(3)
    }
    world.prove(node)
    expect(world.node(node)).toMatchObject({ A: 3, P: 2, seen: 6, challenge: NONE })
    world.step()
    world.touch(node)
    expect(world.node(node).challenge).toBe(6)
    expect(epochsOf(world.draft, world.rail(rail), world.epoch)).toEqual({ E: 1, elapsed: 1 })
  })

  test('case 3: debt beyond 32 proofs makes a proof invalid until it is paid', () => {
    const world = richWorld({ baseFeePerByte: 1n, debtProofsMax: 2 })
    const rail = world.rent(payer, node)
    const codes = Array.from({ length: 4 }, () => {
      world.step()
      return codeOf(world.tryProve(node))
    })
    expect(codes).toEqual(['ok', 'ok', 'ok', 'DEBT_TOO_HIGH'])
    expect(codeOf(world.redeem(node, [rail]))).toBe('ok')
    expect(world.node(node).debt).toBe(0n)
    expect(codeOf(world.tryProve(node))).toBe('ok')
    world.audit()
  })

  test('a node without weight is neither challenged nor struck', () => {
    const world = richWorld()
    world.rent(payer, node, { price: 0n })
    for (let i = 0; i < 20; i++) world.step()
    world.touch(node)
    expect(world.node(node)).toMatchObject({ strikes: 0, A: 1, P: 0, seen: 22 })
  })

  test('case 21: idle years do not become proven epochs with one pass', () => {
    const world = richWorld()
    world.rent(payer, node, { price: 0n })
    quietUntil(world, 500)
    world.step()
    world.rent(payer, node)
    expect(world.node(node)).toMatchObject({ A: 500, P: 0 })
    world.step()
    world.prove(node)
    expect(world.node(node)).toMatchObject({ A: 501, P: 1 })
  })

  test('a node untouched for longer than the ring lapses every W until evicted', () => {
    const world = richWorld({ beaconRingEpochs: 30, strikesToEvict: 5 })
    world.rent(payer, node)
    quietUntil(world, 60)
    world.step()
    expect(codeOf(world.evict(node))).toBe('ok')
    const forfeits = world.receiptsOf('forfeit')
    expect(forfeits.map(({ epoch, toEpoch }) => [epoch, toEpoch])).toEqual([
      [2, 4],
      [4, 6],
      [6, 8],
      [8, 10],
      [10, 12],
    ])
    expect(world.node(node)).toMatchObject({ evicted: true, strikes: 5, inventorySum: 0n })
  })

  test('no challenge and no forfeit in an epoch whose beacon was not fixed', () => {
    const world = richWorld()
    world.rent(payer, node)
    for (let i = 0; i < 10; i++) world.nextEpoch()
    world.touch(node)
    expect(world.node(node)).toMatchObject({ strikes: 0, A: 1, seen: 11 })
    expect(world.receiptsOf('forfeit')).toEqual([])
  })
})

describe('epochs that are paid', () => {
  test('case 7: forfeited epochs are not made good by proven ones after the term', () => {
    const world = richWorld()
    quietUntil(world, 10)
    const rail = world.rent(payer, node, { term: 100 })
    proveIn(world, node, 10)
    expect(epochsOf(world.draft, world.rail(rail), world.epoch).E).toBe(0)
    quietUntil(world, 58)
    world.nextEpoch(ALWAYS)
    world.fixBeacon()
    // Misses 58; struck, so challenged at once in 60.
    world.nextEpoch(NEVER)
    world.nextEpoch(NEVER)
    world.fixBeacon()
    world.prove(node)
    proveIn(world, node, 200)
    // 10..60 forfeited, 60..200 proven, end 110: 50 of 100.
    expect(world.node(node).P).toBe(1 + 140)
    expect(epochsOf(world.draft, world.rail(rail), world.epoch)).toEqual({ E: 50, elapsed: 100 })
    expect(codeOf(world.redeem(node, [rail]))).toBe('ok')
    const [receipt] = world.receiptsOf('storage')
    expect(receipt?.fee).toBe(timeAmount(TEST_PRICE, 4, 50))
    // phi is due on the forfeited epochs too.
    expect(receipt?.burned).toBe((timeAmount(TEST_PRICE, 4, 100) * 10n + 99n) / 100n)
    world.audit()
  })

  test('case 5 of the review: a rail filled just before a proof earns only its own epochs', () => {
    const world = richWorld()
    const old = world.rent(payer, node, { term: 300 })
    proveIn(world, node, 100)
    quietUntil(world, 190)
    const late = world.rent(payer, node, { term: 300 })
    proveIn(world, node, 190)
    expect(epochsOf(world.draft, world.rail(late), world.epoch)).toEqual({ E: 0, elapsed: 0 })
    proveIn(world, node, 200)
    expect(epochsOf(world.draft, world.rail(late), world.epoch)).toEqual({ E: 10, elapsed: 10 })
    expect(epochsOf(world.draft, world.rail(old), world.epoch)).toEqual({ E: 100, elapsed: 100 })
  })

  test('case 7: a challenge of the very epoch of the fill does not count for it', () => {
    for (const isBefore of [true, false]) {
      const world = richWorld()
      world.rent(payer, node, { term: 300 })
      quietUntil(world, 11)
      world.nextEpoch(ALWAYS)
      if (!isBefore) world.fixBeacon()
      const rail = world.rent(payer, node, { term: 300 })
      if (isBefore) world.fixBeacon()
      world.prove(node)
      expect(world.node(node).A).toBe(11)
      expect(epochsOf(world.draft, world.rail(rail), world.epoch)).toEqual({ E: 0, elapsed: 0 })
      proveIn(world, node, 20)
      proveIn(world, node, 30)
      expect(epochsOf(world.draft, world.rail(rail), world.epoch).E).toBe(10)
    }
  })

  test('case 19: a lost rail earns up to the last resolution before the loss, and no more', () => {
    const world = richWorld()
    world.rent(payer, node)
    const lost = world.rent(payer, node)
    proveIn(world, node, 2)
    proveIn(world, node, 6)
    quietUntil(world, 9)
    expect(codeOf(world.leave(node, lost, true))).toBe('ok')
    world.dropped.add(lost)
    for (const epoch of [10, 20, 40]) proveIn(world, node, epoch)
    expect(world.node(node)).toMatchObject({ P: 39, strikes: 0 })
    expect(epochsOf(world.draft, world.rail(lost), world.epoch)).toEqual({ E: 4, elapsed: 4 })
  })

  test('case 19: a loss declared after the challenge opened does not escape it', () => {
    const world = richWorld()
    const lost = world.rent(payer, node)
    world.step()
    world.prove(node)
    world.step()
    world.touch(node)
    world.dropped.add(lost)
    expect(codeOf(world.leave(node, lost, true))).toBe('ok')
    expect(world.isChallenged(node)).toBe(true)
    expect(world.tryProve(node)).toBeUndefined()
    world.step()
    world.step()
    world.touch(node)
    expect(world.node(node)).toMatchObject({ strikes: 1, A: 5 })
    world.step()
    world.touch(node)
    expect(world.node(node)).toMatchObject({ strikes: 1, challenge: NONE })
  })
})
