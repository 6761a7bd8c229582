import { beforeAll, describe, expect, test } from 'vitest'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { NONE } from '../types/records.ts'
import { TopUpKind } from '../types/transactions.ts'
import { isEvictable } from './evict.ts'
import { timeAmount } from './settlement.ts'
import { emissionOf, subsidyOf } from './subsidy.ts'
import { quietUntil, richWorld } from './testing/rich-world.ts'
import { actor, codeOf, payoutOf, TEST_PRICE } from './testing/world.ts'

/** Attacks on money that broke earlier drafts of the rules (see attack-cases.test.ts). */
const payer = actor('payer')
const node = actor('node')
const sybil = actor('sybil')

beforeAll(async () => {
  await installNativeCrypto()
})

describe('money', () => {
  test('case 8: not activating is not free: filled rails are due the minimum charge', () => {
    const world = richWorld({ minimumChargeEpochs: 5, fillDeadlineEpochs: 6 })
    const contract = world.open(payer, { k: 4, n: 12, term: 50 })
    const rails = Array.from({ length: 7 }, (_, slot) => {
      const host = actor(`host ${slot}`)
      return { host, rail: world.fill(payer, host, [contract, slot]) }
    })
    expect(world.draft.contracts.get(contract)).toMatchObject({ filled: 7, active: false })
    for (let epoch = 2; epoch <= 7; epoch++) {
      world.step()
      if (epoch === 7) continue
      for (const { host } of rails) world.prove(host)
    }
    // From epoch 7 on all rails are closing; nobody has to say so.
    const late = world.buildFill(payer, actor('late'), [contract, 7], {})
    expect(late.fill.grant.slot).toBe(7)
    expect(() => world.fill(payer, actor('late'), [contract, 7])).toThrow('no fills any more')
    for (const { host } of rails.slice(1)) world.prove(host)
    world.step()
    for (const { host } of rails.slice(1)) world.prove(host)
    world.step()
    for (const { host } of rails.slice(1)) world.prove(host)
    const minimum = timeAmount(TEST_PRICE, 4, 5)
    const before = world.balance(payer)
    for (const { rail } of rails.slice(1)) expect(codeOf(world.close(sybil, rail))).toBe('ok')
    while (codeOf(world.close(sybil, rails[0]?.rail as number)) !== 'ok') world.step()
    // The one whose closing resolution lapsed is due what it proved: 3..6.
    expect(world.rail(rails[0]?.rail as number).paidTime).toBe(timeAmount(TEST_PRICE, 4, 4))
    for (const { rail } of rails.slice(1)) expect(world.rail(rail).paidTime).toBe(minimum)
    const [end] = world.receiptsOf('contractEnd')
    expect(end).toMatchObject({ refundLocks: 5n * timeAmount(TEST_PRICE, 4, 50) })
    expect(world.balance(payer)).toBeGreaterThan(before)
    expect(world.draft.contracts.get(contract)?.live).toBe(false)
    world.audit()
  })

  test('case 8: asking right after the fill does not dodge the minimum charge', () => {
    const world = richWorld({ minimumChargeEpochs: 5 })
    const rail = world.rent(payer, node, { term: 50 })
    world.height += 1
    expect(codeOf(world.close(payer, rail))).toBe('ok')
    world.step()
    world.prove(node)
    expect(codeOf(world.clearWeight(rail))).toBe('RAIL_EARNING')
    world.step()
    world.prove(node)
    expect(codeOf(world.clearWeight(rail))).toBe('ok')
    expect(codeOf(world.close(payer, rail))).toBe('ok')
    expect(world.rail(rail).paidTime).toBe(timeAmount(TEST_PRICE, 4, 5))
    world.audit()
  })

  test('case 8: leaving, or failing the closing challenge, forgoes the minimum charge', () => {
    for (const way of ['leaves', 'fails'] as const) {
      const world = richWorld({ minimumChargeEpochs: 5 })
      const rail = world.rent(payer, node, { term: 50 })
      if (way === 'leaves') expect(codeOf(world.leave(node, rail))).toBe('ok')
      expect(codeOf(world.close(payer, rail))).toBe('ok')
      world.step()
      if (way === 'leaves') world.prove(node)
      world.step()
      world.step()
      while (codeOf(world.close(payer, rail)) !== 'ok') world.step()
      expect(world.rail(rail).paidTime).toBe(0n)
      world.audit()
    }
  })

  test('case 6: held pay is forfeited also by one who never redeemed before the eviction', () => {
    const world = richWorld()
    const unitPrice = 2n ** 30n
    const rail = world.rent(payer, node, { unitPrice, lockUnits: 1_000_000n })
    // One's own rails beside it take nothing from the honest pot: held is per rail.
    const own = world.rent(payer, node, { leaves: 2, price: TEST_PRICE * 50n, unitPrice })
    const { contract } = world.rail(rail)
    for (let i = 0; i < 6; i++) {
      world.step()
      world.prove(node)
    }
    while (!world.node(node).evicted) {
      world.step()
      world.touch(node)
    }
    expect(codeOf(world.redeem(node, [rail, own]))).toBe('ok')
    const { net, held, forfeited } = world.rail(rail)
    expect(held).toBe(net / 2n < world.rail(rail).need ? net / 2n : world.rail(rail).need)
    expect(held).toBeGreaterThan(0n)
    expect(forfeited).toBe(held)
    const burned = (held * 30n + 99n) / 100n
    expect(world.draft.contracts.get(contract)).toMatchObject({
      pot: held - burned,
      potHeld: held - burned,
    })
    expect(world.node(node).held).toBe(0n)
    world.audit()
    // The payer does not profit from it: at the end that part of the pot burns.
    expect(codeOf(world.close(payer, rail))).toBe('ok')
    world.step()
    world.step()
    expect(codeOf(world.close(sybil, rail))).toBe('ok')
    expect(world.receiptsOf('contractEnd').at(-1)).toMatchObject({
      refundPot: 0n,
      burned: held - burned,
    })
    world.audit()
  })

  test('case 6: what was held at the eviction moves to the pot at anyone’s touch', () => {
    const world = richWorld()
    const rail = world.rent(payer, node, { unitPrice: 2n ** 30n, pot: 500n })
    for (let i = 0; i < 6; i++) {
      world.step()
      world.prove(node)
    }
    world.redeem(node, [rail])
    const { held } = world.rail(rail)
    expect(world.node(node).held).toBe(held)
    while (!isEvictable(world.draft, world.node(node), world.epoch)) {
      expect(codeOf(world.evict(node))).toBe('STRIKES_TOO_FEW')
      world.step()
    }
    expect(codeOf(world.evict(node))).toBe('ok')
    expect(codeOf(world.evict(node))).toBe('NODE_EVICTED')
    expect(world.rail(rail).forfeited).toBe(0n)
    expect(codeOf(world.clearWeight(rail))).toBe('ok')
    expect(codeOf(world.clearWeight(rail))).toBe('NOTHING_TO_CLEAR')
    expect(world.rail(rail).forfeited).toBe(held)
    const toPot = held - (held * 30n + 99n) / 100n
    const { contract } = world.rail(rail)
    expect(world.draft.contracts.get(contract)).toMatchObject({ pot: 500n + toPot, potHeld: toPot })
    world.audit()
  })

  test('case 10: a thousand units burn 100 and share 50, redeemed in any number of parts', () => {
    for (const parts of [1, 10, 100, 1000]) {
      const world = richWorld()
      world.rent(payer, node)
      const rail = world.relay(payer, node, 1000n, 1n << 20n)
      for (let part = 1; part <= parts; part++) {
        const voucher = world.voucher(payer, rail, (1000 * part) / parts)
        expect(codeOf(world.redeem(node, [rail], [voucher]))).toBe('ok')
      }
      expect(world.rail(rail)).toMatchObject({ burned: 100n, validators: 50n, net: 850n })
      expect(world.balance(payoutOf(node))).toBe(850n)
    }
  })

  test('case 11: burns rounded up by dust redeemers mint nothing for a washer', () => {
    const params = richWorld().params
    // 1,000 units of one washer burn 100; 580 dust rails of 1 unit burn 580.
    expect(emissionOf(params, { fees: 1580n, burned: 680n })).toBe(79n)
    const emission = emissionOf(params, { fees: 1580n, burned: 680n })
    expect(subsidyOf({ fees: 1580n, emission }, 1000n)).toBe(50n)
    // Burns on forfeited epochs above phi F mint nothing either.
    expect(emissionOf(params, { fees: 1000n, burned: 5000n })).toBe(50n)
    expect(emissionOf(params, { fees: 0n, burned: 5000n })).toBe(0n)
  })

  test('case 12: a subsidy credited in an epoch that burned nothing counts for its source', () => {
    const world = richWorld()
    const rail = world.rent(payer, node)
    for (let i = 0; i < 4; i++) {
      world.step()
      world.prove(node)
    }
    world.redeem(node, [rail])
    const source = world.epoch
    quietUntil(world, 30)
    world.touch(node)
    const minted = (epoch: number) => world.draft.epochs.get(epoch)?.minted
    expect(minted(source)).toBeGreaterThan(0n)
    expect(minted(world.epoch)).toBe(0n)
    world.audit()
  })

  test('case 13: tiny rails are refused at open and at fill', () => {
    const world = richWorld({ minimumChargeEpochs: 24 })
    expect(codeOf(world.tryOpen(payer, { price: 100n }))).toBe('CONTRACT_DUST')
    const contract = world.open(payer, { price: 10_000n })
    expect(() => world.fill(payer, node, [contract, 0], { price: 100n })).toThrow('below one unit')
    expect(codeOf(world.tryOpen(payer, { price: 0n }))).toBe('ok')
  })

  test('case 13: what no redeem was worth is settled at the close', () => {
    const world = richWorld({ baseFeePerByte: 1n })
    const rail = world.rent(payer, node, { price: 4_000_000n, term: 4 })
    for (let i = 0; i < 5; i++) {
      world.step()
      world.prove(node, i === 4 ? [rail] : [])
    }
    expect(codeOf(world.redeem(node, [rail]))).toBe('PROCEEDS_BELOW_FEE')
    expect(codeOf(world.close(payer, rail))).toBe('ok')
    world.step()
    world.step()
    expect(codeOf(world.close(payer, rail))).toBe('ok')
    const total = timeAmount(4_000_000n, 4, 4)
    expect(world.rail(rail).paidTime).toBe(total)
    expect(world.rail(rail).burned).toBeGreaterThan(0n)
    world.audit()
  })

  test('case 14: the rail of a relay-only node closes by epochs, vouchers count until then', () => {
    const world = richWorld()
    world.rent(payer, node, { price: 0n })
    const rail = world.relay(payer, node, 10_000n, 1n << 20n)
    expect(codeOf(world.close(sybil, rail))).toBe('NOT_PAYER')
    expect(codeOf(world.close(payer, rail))).toBe('ok')
    expect(codeOf(world.close(payer, rail))).toBe('CLOSE_TOO_EARLY')
    world.step()
    const voucher = world.voucher(payer, rail, 300)
    expect(codeOf(world.redeem(node, [rail], [voucher]))).toBe('ok')
    world.step()
    expect(codeOf(world.close(sybil, rail))).toBe('ok')
    expect(world.receiptsOf('close').at(-1)).toMatchObject({
      refundTime: 0n,
      refundUnits: 9_700n,
      contract: NONE,
    })
    expect(codeOf(world.redeem(node, [rail], [voucher]))).toBe('RAIL_UNKNOWN')
    world.audit()
  })

  test('case 15: topUp names epochs, costs nothing at price 0, and respects a leave', () => {
    const world = richWorld()
    const gift = world.rent(payer, node, { price: 0n, term: 5 })
    const before = world.balance(payer)
    expect(codeOf(world.topUp(payer, TopUpKind.railEpochs, gift, 7n))).toBe('ok')
    expect(world.rail(gift)).toMatchObject({ end: 14, term: 12, lockTime: 0n })
    expect(world.balance(payer)).toBe(before)
    const rail = world.rent(payer, node, { term: 5 })
    expect(codeOf(world.leave(node, rail))).toBe('ok')
    expect(world.rail(rail)).toMatchObject({ left: true, end: 4 })
    for (const kind of [TopUpKind.railEpochs, TopUpKind.railUnits]) {
      expect(codeOf(world.topUp(payer, kind, rail, 7n))).toBe('RAIL_CLOSING')
    }
    const long = BigInt(world.params.termMaxEpochs)
    expect(codeOf(world.topUp(payer, TopUpKind.railEpochs, gift, long))).toBe('CONTRACT_TERM')
  })

  test('case 15: the cost of more epochs is floor(new total) - floor(old)', () => {
    const world = richWorld()
    const price = 12_345_678n
    const rail = world.rent(payer, node, { price, term: 7 })
    const before = world.balance(payer)
    for (let i = 0; i < 10; i++) world.topUp(payer, TopUpKind.railEpochs, rail, 1n)
    expect(before - world.balance(payer)).toBe(timeAmount(price, 4, 17) - timeAmount(price, 4, 7))
    expect(world.rail(rail).lockTime).toBe(timeAmount(price, 4, 17))
    world.audit()
  })

  test('case 21: rails that are lost, without weight or of an evicted node do close', () => {
    const world = richWorld()
    const gift = world.rent(payer, node, { price: 0n })
    const lost = world.rent(payer, node)
    const kept = world.rent(payer, node)
    expect(codeOf(world.leave(node, lost, true))).toBe('ok')
    for (const rail of [gift, lost, kept]) expect(codeOf(world.close(payer, rail))).toBe('ok')
    world.nextEpoch()
    world.nextEpoch()
    expect([gift, lost, kept].map((rail) => codeOf(world.close(sybil, rail)))).toEqual([
      'ok',
      'ok',
      'CLOSE_UNRESOLVED',
    ])
    for (let i = 0; i < 14; i++) world.step()
    expect(codeOf(world.close(sybil, kept))).toBe('ok')
    expect(world.node(node)).toMatchObject({ evicted: true, inventoryCount: 0 })
    expect(world.draft.globals().nodesClass2).toBe(0)
    world.audit()
  })

  test('case 21: a rail of term 1 that nobody closes is due its minimum charge in the end', () => {
    const world = richWorld({ minimumChargeEpochs: 1, graceEpochs: 4 })
    const rail = world.rent(payer, node, { term: 1 })
    // End 3; anyone may ask from 7 on. The node keeps its weight and passes.
    const codes: string[] = []
    for (let i = 0; i < 6; i++) {
      world.step()
      if (world.epoch <= 3) world.prove(node)
      codes.push(codeOf(world.close(sybil, rail)))
    }
    expect(codes).toEqual(['NOT_PAYER', 'NOT_PAYER', 'NOT_PAYER', 'NOT_PAYER', 'NOT_PAYER', 'ok'])
    world.audit()
  })

  test('case 21: the burn of a forfeited hold does not depend on how often it is booked', () => {
    const forfeits = (redeems: boolean) => {
      const world = richWorld()
      const rail = world.rent(payer, node, { unitPrice: 2n ** 30n, lockUnits: 500n })
      const backup = world.rent(payer, node)
      world.step()
      world.prove(node)
      world.leave(node, rail, true)
      for (let i = 1; i <= 50; i++) {
        const voucher = world.voucher(payer, rail, i)
        if (redeems) world.redeem(node, [rail], [voucher])
        if (i === 50) world.redeem(node, [rail, backup], [voucher])
      }
      world.audit()
      return world.draft.globals().burnedForfeit
    }
    expect(forfeits(true)).toBe(forfeits(false))
  })
})
