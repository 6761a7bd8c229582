import { beforeAll, describe, expect, test } from 'vitest'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { NONE } from '../types/records.ts'
import { TopUpKind } from '../types/transactions.ts'
import { timeAmount } from './settlement.ts'
import { RICH, richWorld } from './testing/rich-world.ts'
import { actor, codeOf, payoutOf, TEST_PRICE } from './testing/world.ts'

const payer = actor('payer')
const node = actor('node')

beforeAll(async () => {
  await installNativeCrypto()
})

describe('a rail from fill to close', () => {
  test('is paid for proven epochs after its first resolution, and no unit is lost', () => {
    const world = richWorld()
    const rail = world.rent(payer, node, { term: 100 })
    expect(world.node(node)).toMatchObject({ registered: 1, A: 1, P: 0, inventoryCount: 1 })
    for (let i = 0; i < 5; i++) {
      world.step()
      world.prove(node)
    }
    expect(world.node(node)).toMatchObject({ A: 6, P: 5 })
    expect(codeOf(world.redeem(node, [rail]))).toBe('ok')
    const [receipt] = world.receiptsOf('storage')
    // Filled in epoch 1, base is the resolution of epoch 2: epochs 3..6 count.
    expect(receipt).toMatchObject({ E: 4, elapsed: 4, fee: timeAmount(TEST_PRICE, 4, 4) })
    const { fee, burned, toValidators, net, held, paid } = receipt as never as Record<
      string,
      bigint
    >
    expect(burned).toBe(((fee as bigint) * 10n + 99n) / 100n)
    expect(toValidators).toBe(((fee as bigint) * 5n) / 100n)
    expect((net as bigint) + (burned as bigint) + (toValidators as bigint)).toBe(fee)
    expect(world.balance(payoutOf(node))).toBe(paid)
    expect((paid as bigint) + (held as bigint)).toBe(net)
    world.audit()

    expect(codeOf(world.close(payer, rail))).toBe('ok')
    world.step()
    world.prove(node)
    expect(codeOf(world.close(payer, rail))).toBe('CLOSE_TOO_EARLY')
    world.step()
    expect(codeOf(world.close(payer, rail))).toBe('CHALLENGE_OPEN')
    world.prove(node)
    expect(codeOf(world.close(payer, rail))).toBe('ok')
    expect(world.rail(rail)).toMatchObject({ live: false, generation: 1, entry: NONE })
    expect(world.node(node)).toMatchObject({ held: 0n, inventoryCount: 0, inventorySum: 0n })
    const totals = world.rail(rail)
    expect(world.balance(payer) + totals.burned + totals.validators + totals.net).toBe(
      RICH - world.draft.globals().burnedBaseFee,
    )
    expect(world.balance(payoutOf(node))).toBeGreaterThan(totals.net - 1n)
    world.audit()
  })

  test('subsidy of an epoch is credited at the next touch after it, once', () => {
    const world = richWorld()
    const rail = world.rent(payer, node)
    for (let i = 0; i < 3; i++) {
      world.step()
      world.prove(node)
    }
    world.redeem(node, [rail])
    expect(world.receiptsOf('reward')).toEqual([])
    const before = world.balance(payoutOf(node))
    world.step()
    world.touch(node)
    world.touch(node)
    const [reward, ...more] = world.receiptsOf('reward')
    expect(more).toEqual([])
    const epoch = world.draft.epochs.get(4)
    expect(reward).toMatchObject({ epoch: 4, amount: epoch?.emission })
    // The only earner of the epoch gets all of M = rho x floor(phi x F).
    expect(epoch?.emission).toBe(((((epoch?.fees ?? 0n) * 10n) / 100n) * 50n) / 100n)
    expect(world.balance(payoutOf(node)) - before).toBe(reward?.amount)
    expect(world.draft.globals().minted).toBe(reward?.amount)
    world.audit()
  })

  test('topUp prolongs it, also after its end and when its weight was cleared', () => {
    const world = richWorld()
    const rail = world.rent(payer, node, { term: 3 })
    const other = world.rent(payer, node, { term: 90 })
    for (let i = 0; i < 6; i++) {
      world.step()
      const isOver = world.node(node).A >= world.rail(rail).end
      world.prove(node, isOver && world.rail(rail).clearedEpoch === NONE ? [rail] : [])
    }
    expect(world.rail(rail)).toMatchObject({ end: 5, clearedEpoch: 6 })
    expect(world.node(node).inventorySum).toBe(256n * TEST_PRICE)
    expect(codeOf(world.topUp(payer, TopUpKind.railEpochs, rail, 10n))).toBe('ok')
    // It is now as if filled in epoch 7: base at 8, epochs 9 and 10 proven, 3 earned before.
    for (let i = 0; i < 3; i++) {
      world.step()
      world.prove(node)
    }
    expect(world.rail(rail)).toMatchObject({ fillEpoch: 7, end: 18, term: 13, carriedE: 3 })
    expect(codeOf(world.redeem(node, [rail, other]))).toBe('ok')
    const receipts = world.receiptsOf('storage')
    expect(receipts.map(({ E, elapsed }) => [E, elapsed])).toEqual([
      [5, 5],
      [8, 8],
    ])
    world.audit()
  })
})
