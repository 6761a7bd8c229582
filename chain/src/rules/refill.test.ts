import { beforeAll, describe, expect, test } from 'vitest'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { isClearedByProof } from './clear-weight.ts'
import { applyFill } from './fill.ts'
import { minimumEpochs, timeAmount } from './settlement.ts'
import { ContractPolicy } from '../types/transactions.ts'
import { type Actor, actor, codeOf, payoutOf, TEST_PRICE, World } from './testing/world.ts'

const payer = actor('payer')
const delegate = actor('delegate')
const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(actor) as [Actor, Actor, Actor, Actor]
const UNIT_PRICE = 1n << 34n
const FUNDS = 10n ** 17n

beforeAll(async () => {
  await installNativeCrypto()
})

/** A contract (1, 2) on nodes a and b that is active and has a delegate. */
function stored(overrides = {}, terms = {}) {
  const world = new World(overrides)
  world.fund(payer, FUNDS)
  world.fixBeacon()
  const contract = world.open(payer, {
    k: 1,
    n: 2,
    term: 100,
    unitPrice: UNIT_PRICE,
    lockUnits: 5000n,
    delegate,
    ...terms,
  })
  const rails = [world.fill(payer, a, [contract, 0]), world.fill(payer, b, [contract, 1])] as const
  return { world, contract, rails }
}

function refillCode(world: World, who: Actor, node: Actor, place: [number, number], terms = {}) {
  const { fill } = world.buildFill(who, node, place, terms)
  return codeOf(world.execute(node, (draft, context) => applyFill(draft, fill, context)))
}

function epochs(world: World, count: number, ...honest: Actor[]): void {
  for (let i = 0; i < count; i++) {
    world.step()
    for (const node of honest) if (world.isChallenged(node)) world.prove(node, spent(world, node))
  }
}

/** Rails whose weight an honest node clears with its proof. */
function spent(world: World, node: Actor): number[] {
  world.touch(node)
  const record = world.node(node)
  return world.draft
    .inventory(world.nodeIndex(node))
    .map(({ rail }) => rail)
    .filter((rail) => {
      const { challenge } = record
      return isClearedByProof(world.draft, record, world.rail(rail), challenge, world.epoch)
    })
}

/** Lets a node miss its challenges until somebody may evict it, the others proving. */
function evicted(world: World, node: Actor, ...honest: Actor[]): void {
  for (let i = 0; i < 20; i++) {
    if (codeOf(world.evict(node)) === 'ok') return
    epochs(world, 1, ...honest)
  }
  throw new Error(`${node.name} was never evicted`)
}

describe('refill of an emptied slot', () => {
  test('a lost slot is filled again under the same root, from what its rail no longer owes', () => {
    const { world, contract, rails } = stored()
    epochs(world, 4, a, b)
    expect(refillCode(world, payer, c, [contract, 0])).toBe('SLOT_TAKEN')
    expect(codeOf(world.leave(a, rails[0], true))).toBe('ok')
    const before = world.balance(payer)
    const rail = world.fill(payer, c, [contract, 0])
    expect(world.balance(payer)).toBe(before)
    const { end } = world.rail(rails[0])
    expect(world.rail(rail)).toMatchObject({
      payer: payer.address,
      root: world.rail(rails[0]).root,
      slot: 0,
      price: TEST_PRICE,
      need: world.rail(rails[0]).need,
      end,
      fillEpoch: world.epoch,
    })
    expect(world.contract(contract)).toMatchObject({ detached: 1, filled: 2 })
    expect(world.contract(contract).rails[0]).toMatchObject({ rail, refill: 1 })
    const [receipt] = world.receiptsOf('refill')
    expect(receipt).toMatchObject({ formerRail: rails[0], openSince: 5, by: 0, refill: 1, rail })
    expect(receipt?.fromFormer).toBe(world.rail(rail).lockTime + world.rail(rail).lockUnits)
    world.audit()
    // Both rails go on: the new one is proven and paid, the old one settled and refunded.
    epochs(world, 6, b, c)
    expect(codeOf(world.redeem(c, [rail]))).toBe('ok')
    expect(world.rail(rail).paidTime).toBe(timeAmount(TEST_PRICE, 4, 5))
    expect(codeOf(world.close(payer, rails[0]))).toBe('ok')
    epochs(world, 2, b, c)
    expect(codeOf(world.close(payer, rails[0]))).toBe('ok')
    expect(world.rail(rails[0]).paidTime).toBe(timeAmount(TEST_PRICE, 4, 3))
    expect(world.contract(contract)).toMatchObject({ live: true, detached: 0 })
    expect(world.contract(contract).rails[0]).toMatchObject({ rail, refill: 1 })
    world.audit()
  })

  test('what a lost rail may still owe stays locked: an open challenge, phi on what it forfeits', () => {
    for (const answers of [true, false]) {
      const { world, contract, rails } = stored()
      epochs(world, 4, a, b)
      world.step()
      world.touch(a)
      expect(world.node(a).challenge).toBe(6)
      expect(codeOf(world.leave(a, rails[0], true))).toBe('ok')
      const rail = world.fill(payer, c, [contract, 0])
      world.audit()
      if (answers) world.prove(a)
      epochs(world, 9, b, c)
      expect(codeOf(world.close(payer, rails[0]))).toBe('ok')
      epochs(world, 2, b, c)
      expect(codeOf(world.close(payer, rails[0]))).toBe('ok')
      expect(world.rail(rails[0]).paidTime).toBe(timeAmount(TEST_PRICE, 4, answers ? 4 : 3))
      expect(world.rail(rail).live).toBe(true)
      world.audit()
    }
  })

  test('an evicted node’s slot, again and again; each refill has its number', () => {
    const { world, contract } = stored({ strikesToEvict: 2 })
    const nodes = [a, c, d]
    for (const [i, node] of nodes.entries()) {
      epochs(world, 3, node, b)
      evicted(world, node, b)
      const next = nodes[i + 1]
      if (!next) break
      expect(refillCode(world, payer, next, [contract, 0], { refill: i })).toBe('GRANT_REFILL')
      const rail = world.fill(payer, next, [contract, 0])
      expect(world.contract(contract).rails[0]).toMatchObject({ rail, refill: i + 1 })
      // A grant for this refill is spent.
      expect(refillCode(world, payer, next, [contract, 0], { refill: i + 1 })).toBe('SLOT_TAKEN')
      world.audit()
    }
    expect(world.contract(contract).detached).toBe(2)
  })

  test('another root, other leaves, a first grant and a stranger’s grant are refused', () => {
    const { world, contract, rails } = stored()
    epochs(world, 3, a, b)
    world.leave(a, rails[0], true)
    const { fill } = world.buildFill(payer, c, [contract, 0], {})
    const other = { ...fill, grant: { ...fill.grant, root: new Uint8Array(32).fill(7) } }
    const code = (value: typeof fill) =>
      codeOf(world.execute(c, (draft, context) => applyFill(draft, value, context)))
    expect(code(other)).toBe('SLOT_ROOT')
    expect(code({ ...fill, grant: { ...fill.grant, leaves: 3 } })).toBe('SLOT_UNEQUAL')
    expect(refillCode(world, payer, c, [contract, 0], { refill: 0 })).toBe('GRANT_REFILL')
    expect(refillCode(world, d, c, [contract, 0])).toBe('GRANT_PAYER')
    expect(refillCode(world, payer, a, [contract, 0])).toBe('OWN_LOST_SLOT')
    expect(refillCode(world, payer, c, [contract, 2])).toBe('SLOT_UNKNOWN')
    expect(code(fill)).toBe('ok')
  })

  test('the delegate grants refills, never first fills; its fee vests with proven epochs', () => {
    const { world, contract, rails } = stored(
      { vestingEpochs: 4 },
      { n: 3, pot: 1000n, delegateFee: 48n, policy: ContractPolicy.trustsDelegate },
    )
    expect(refillCode(world, delegate, c, [contract, 2])).toBe('GRANT_PAYER')
    epochs(world, 3, a, b)
    world.leave(a, rails[0], true)
    const rail = world.fill(delegate, c, [contract, 0])
    expect(world.receiptsOf('refill')[0]).toMatchObject({ by: 1, delegateFee: 48n })
    epochs(world, 4, b, c)
    expect(codeOf(world.redeem(c, [rail]))).toBe('ok')
    // Three of four epochs proven since the base.
    expect(world.balance(delegate)).toBe(36n)
    epochs(world, 4, b, c)
    world.redeem(c, [rail])
    world.redeem(c, [rail])
    expect(world.balance(delegate)).toBe(48n)
    expect(world.contract(contract).pot).toBe(952n + world.contract(contract).potHeld)
    expect(world.receiptsOf('delegateFee').map(({ E, paidTotal }) => [E, paidTotal])).toEqual([
      [3, 36n],
      [7, 48n],
    ])
    world.audit()
  })

  test('a refill that nobody stores vests nothing; an empty pot pays when it is topped up', () => {
    const { world, contract, rails } = stored(
      { vestingEpochs: 4, strikesToEvict: 2 },
      { delegateFee: 48n, policy: ContractPolicy.trustsDelegate },
    )
    epochs(world, 3, a, b)
    world.leave(a, rails[0], true)
    const rail = world.fill(delegate, c, [contract, 0])
    evicted(world, c, b)
    world.redeem(c, [rail])
    expect(world.balance(delegate)).toBe(0n)
    const again = world.fill(delegate, d, [contract, 0])
    epochs(world, 4, b, d)
    world.redeem(d, [again])
    expect(world.balance(delegate)).toBe(0n)
    expect(codeOf(world.topUp(payer, 2, contract, 40n))).toBe('ok')
    epochs(world, 1, b, d)
    world.redeem(d, [again])
    expect(world.balance(delegate)).toBe(40n)
    world.audit()
  })

  test('a slot that its payer closed is refilled by the payer only, who locks anew', () => {
    const { world, contract, rails } = stored()
    epochs(world, 3, a, b)
    world.close(payer, rails[0])
    epochs(world, 2, a, b)
    expect(codeOf(world.close(payer, rails[0]))).toBe('ok')
    expect(refillCode(world, delegate, c, [contract, 0])).toBe('REFILL_UNFUNDED')
    const before = world.balance(payer)
    const rail = world.fill(payer, c, [contract, 0])
    const { lockTime, lockUnits, end } = world.rail(rail)
    expect([end, lockUnits]).toEqual([1 + 1 + 100, 5000n])
    expect(before - world.balance(payer)).toBe(lockTime + lockUnits)
    world.audit()
  })

  test('a payer who asks for its lost rail back gets it: nobody refills from it meanwhile', () => {
    const { world, contract, rails } = stored()
    epochs(world, 3, a, b)
    world.leave(a, rails[0], true)
    expect(codeOf(world.close(payer, rails[0]))).toBe('ok')
    expect(refillCode(world, delegate, c, [contract, 0])).toBe('SLOT_TAKEN')
    epochs(world, 2, b)
    expect(codeOf(world.close(payer, rails[0]))).toBe('ok')
    expect(refillCode(world, delegate, c, [contract, 0])).toBe('REFILL_UNFUNDED')
    expect(refillCode(world, payer, c, [contract, 0])).toBe('ok')
    world.audit()
  })

  test('a hand-over ends the notice: the bytes are never paid for twice', () => {
    const { world, contract, rails } = stored()
    epochs(world, 3, a, b)
    expect(codeOf(world.leave(a, rails[0]))).toBe('ok')
    const rail = world.fill(payer, c, [contract, 0])
    // Its lock pays to 102; the epoch of the hand-over is the first node's.
    expect(world.rail(rail).end).toBe(102 - 1)
    const { end } = world.rail(rails[0])
    expect(end).toBe(world.epoch + 1)
    while (world.epoch <= end) epochs(world, 1, a, b, c)
    world.redeem(a, [rails[0]])
    expect(world.rail(rails[0]).paidTime).toBe(timeAmount(TEST_PRICE, 4, end - 2))
    expect(codeOf(world.close(payer, rails[0]))).toBe('ok')
    epochs(world, 3, b, c, a)
    expect(codeOf(world.close(payer, rails[0]))).toBe('ok')
    world.audit()
  })

  test('a refill inherits the minimum charge: hand-over after hand-over is due it once', () => {
    const { world, contract, rails } = stored({ minimumChargeEpochs: 6 })
    epochs(world, 3, a, b)
    const first = world.rail(rails[0]).fillEpoch
    world.leave(a, rails[0])
    const rail = world.fill(payer, c, [contract, 0])
    expect(world.rail(rail).chargedBefore).toBe(world.epoch - first)
    expect(minimumEpochs(world.params, world.rail(rail))).toBe(6 - (world.epoch - first))
    expect(minimumEpochs(world.params, world.rail(rails[1]))).toBe(6)
    // A slot that its payer closed starts anew.
    world.close(payer, rail)
    epochs(world, 4, a, b, c)
    expect(codeOf(world.close(payer, rail))).toBe('ok')
    const anew = world.fill(payer, d, [contract, 0])
    expect(world.rail(anew).chargedBefore).toBe(0)
  })

  test('refused: inactive, closing, too late, and a contract whose last refill is closed ends', () => {
    const { world, contract, rails } = stored({}, { n: 4, term: 9 })
    world.leave(a, rails[0], true)
    expect(refillCode(world, payer, c, [contract, 0])).toBe('CONTRACT_INACTIVE')
    world.fill(payer, d, [contract, 2])
    const rail = world.fill(payer, c, [contract, 0])
    world.leave(c, rail, true)
    epochs(world, 9, b, d)
    expect(refillCode(world, payer, a, [contract, 0])).toBe('REFILL_TERM')
    expect(codeOf(world.closeContract(payer, contract))).toBe('ok')
    expect(refillCode(world, payer, a, [contract, 0])).toBe('CONTRACT_CLOSING')
    epochs(world, 3, b, d)
    const live = () =>
      Array.from({ length: world.draft.rails.count }, (_, i) => i).filter((i) => world.rail(i).live)
    expect(live().map((i) => codeOf(world.close(payer, i)))).toEqual(['ok', 'ok', 'ok', 'ok'])
    expect(world.contract(contract)).toMatchObject({ live: false, detached: 0 })
    world.audit()
  })

  test('the pot pays the byte fee of a refill, holds first; what it lacks the node owes', () => {
    const { world, contract, rails } = stored({ baseFeePerByte: 1n, fillBytes: 700 }, { pot: 500n })
    epochs(world, 3, a, b)
    world.leave(a, rails[0], true)
    const owed = world.draft.nodeIndex(c.address)
    expect(owed).toBeUndefined()
    world.fill(payer, c, [contract, 0])
    expect(world.receiptsOf('refill')[0]).toMatchObject({
      feeFromHeld: 0n,
      feeFromPot: 500n,
      feeAsDebt: 200n,
    })
    expect(world.node(c).debt).toBe(200n)
    expect(world.contract(contract).pot).toBe(0n)
    world.audit()
  })

  test('evict and refill never profits: one owner of both nodes, the payer and the delegate', () => {
    const stay = coalition('stays')
    for (const way of ['lost', 'evicted', 'left'] as const) {
      const gone = coalition(way)
      expect(gone, way).toBeLessThanOrEqual(stay)
    }
  })

  test('nor with the money of a payer that is not in it, unless that payer trusts the delegate', () => {
    const stay = coalition('stays', { foreignPayer: true })
    const bound = stay + POT
    for (const way of ['lost', 'evicted', 'left'] as const) {
      const bounded = coalition(way, { foreignPayer: true })
      expect(bounded, way).toBeLessThanOrEqual(stay)
      const policy = ContractPolicy.trustsDelegate
      const trusted = coalition(way, { foreignPayer: true, policy })
      expect(trusted, way).toBeLessThanOrEqual(bound)
      // What trust gives away is real: a slot handed over in peace forfeits nothing.
      if (way === 'left') expect(trusted).toBeGreaterThan(bounded)
    }
  })
})

const POT = 100_000n

/**
 * Wealth of delegate, nodes and, unless it is foreign, payer after 70 epochs in which nodes follow
 * one another.
 */
function coalition(
  way: 'stays' | 'lost' | 'evicted' | 'left',
  { foreignPayer = false, policy = 0 } = {},
): bigint {
  const { world, contract, rails } = stored(
    { strikesToEvict: 2, vestingEpochs: 2 },
    { pot: POT, delegateFee: 48n, term: 90, policy },
  )
  const crew = Array.from({ length: 4 }, (_, i) => actor(`crew ${i}`))
  let node = a
  let [rail] = rails as readonly [number, number]
  for (const next of crew) {
    epochs(world, 6, node, b)
    world.redeem(node, [rail])
    if (way === 'stays') continue
    if (way === 'lost') world.leave(node, rail, true)
    if (way === 'left') world.leave(node, rail)
    if (way === 'evicted') evicted(world, node, b)
    const voucher = world.repairVoucher(delegate, { slot: 0, rail: rails[1], kib: 1 })
    world.redeemRepair(b, [voucher])
    rail = world.fill(delegate, next, [contract, 0])
    node = next
  }
  while (world.epoch < 70) epochs(world, 1, node, b)
  world.closeContract(payer, contract)
  epochs(world, 6, ...[node, b].filter((one) => !world.node(one).evicted))
  for (let i = 0; i < world.draft.rails.count; i++) if (world.rail(i).live) world.close(payer, i)
  world.step()
  const everybody = [
    ...(foreignPayer ? [] : [payer]),
    delegate,
    payoutOf(a),
    payoutOf(b),
    ...crew.map(payoutOf),
  ]
  for (const one of [a, b, ...crew]) {
    if (world.draft.nodeIndex(one.address) !== undefined) world.touch(one)
  }
  world.audit()
  for (let i = 0; i < world.draft.rails.count; i++) expect(world.rail(i).live).toBe(false)
  expect(world.contract(contract).live).toBe(false)
  return everybody.reduce((sum, one) => sum + world.balance(one), 0n)
}
