import { beforeAll, describe, expect, test } from 'vitest'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { ContractPolicy } from '../types/transactions.ts'
import { lotteryOf, lotteryStart } from './claim-slot.ts'
import { isDrawn } from './challenge.ts'
import type { RepairReceipt } from '../types/receipts.ts'
import { checkRepairReceipt } from './explain-repair.ts'
import { repairBudgetKib } from './redeem-repair.ts'
import { type Actor, actor, codeOf, payoutOf, TEST_PRICE, World } from './testing/world.ts'

const payer = actor('payer')
const delegate = actor('delegate')
const [a, b, c] = ['a', 'b', 'c'].map(actor) as [Actor, Actor, Actor]
/** 1,000 units per KiB. */
const UNIT_PRICE = 1000n << 20n
/** Contract slots of four leaves: 1 KiB each. */
const BUDGET_KIB = 2

beforeAll(async () => {
  await installNativeCrypto()
})

/** A contract (2, 3), active and with a delegate, whose slot 0 has just been declared lost. */
function broken(overrides = {}, terms = {}) {
  const world = new World({ fillDeadlineEpochs: 2, ...overrides })
  world.fund(payer, 10n ** 17n)
  world.fixBeacon()
  const policy = ContractPolicy.trustsDelegate
  const shape = {
    k: 2,
    n: 3,
    term: 100,
    policy,
    unitPrice: UNIT_PRICE,
    lockUnits: 5000n,
    pot: 1500n,
  }
  const contract = world.open(payer, { ...shape, delegate, ...terms })
  const rails = [a, b, c].map((node, slot) => world.fill(payer, node, [contract, slot]))
  for (let i = 0; i < 3; i++) {
    world.step()
    for (const node of [a, b, c]) world.prove(node)
  }
  world.leave(a, rails[0] as number, true)
  return { world, contract, rails: rails as [number, number, number] }
}

describe('vouchers on the pot', () => {
  test('what a rail served for an open slot is paid once, as a fee with its burn and share', () => {
    const { world, contract, rails } = broken()
    const voucher = world.repairVoucher(delegate, { slot: 0, rail: rails[1], kib: 1 })
    expect(codeOf(world.redeemRepair(b, [voucher]))).toBe('ok')
    expect(codeOf(world.redeemRepair(b, [voucher, voucher]))).toBe('ok')
    expect(world.balance(payoutOf(b))).toBe(850n)
    expect(world.contract(contract)).toMatchObject({ pot: 500n, potHeld: 0n })
    const receipts = world.receiptsOf('repair')
    expect(receipts).toHaveLength(1)
    expect(receipts[0]).toMatchObject({
      kib: 1,
      kibOfOthers: 0,
      kibMax: BUDGET_KIB,
      fee: 1000n,
      burned: 100n,
      toValidators: 50n,
      net: 850n,
      fromPot: 1000n,
      delegate: delegate.address,
    })
    world.audit()
  })

  test('the sum over all rails stays within 1.1 x k x slot, and within the pot', () => {
    const { world, contract, rails } = broken({}, { pot: 10_000n })
    expect(repairBudgetKib(world.contract(contract))).toBe(BUDGET_KIB)
    const asked = (rail: number, kib: number) =>
      world.repairVoucher(delegate, { slot: 0, rail, kib })
    expect(codeOf(world.redeemRepair(b, [asked(rails[1], 1)]))).toBe('ok')
    expect(codeOf(world.redeemRepair(c, [asked(rails[2], 1_000_000)]))).toBe('ok')
    expect(codeOf(world.redeemRepair(b, [asked(rails[1], 1_000_000)]))).toBe('ok')
    expect(world.contract(contract).pot).toBe(10_000n - BigInt(BUDGET_KIB) * 1000n)
    const poor = broken({}, { pot: 300n })
    const all = poor.world.repairVoucher(delegate, { slot: 0, rail: poor.rails[1], kib: 2 })
    expect(codeOf(poor.world.redeemRepair(b, [all]))).toBe('ok')
    expect(poor.world.contract(poor.contract).pot).toBe(0n)
    // The rest is payable after a topUp.
    poor.world.topUp(payer, 2, poor.contract, 5000n)
    expect(codeOf(poor.world.redeemRepair(b, [all]))).toBe('ok')
    expect(poor.world.balance(payoutOf(b))).toBe(1700n)
    poor.world.audit()
  })

  test('forfeited holds pay first, whatever touches them', () => {
    const { world, contract, rails } = broken({ strikesToEvict: 1 })
    for (let i = 0; i < 4; i++) {
      world.step()
      for (const node of [b, c]) world.prove(node)
    }
    expect(codeOf(world.redeem(b, [rails[1]]))).toBe('ok')
    const { held } = world.rail(rails[1])
    expect(held).toBeGreaterThan(0n)
    while (codeOf(world.evict(b)) !== 'ok') {
      world.step()
      if (world.isChallenged(c)) world.prove(c)
      if (world.epoch > 30) throw new Error('never evicted')
    }
    const voucher = world.repairVoucher(delegate, { slot: 1, rail: rails[2], kib: 1 })
    expect(codeOf(world.redeemRepair(c, [voucher]))).toBe('ok')
    const toPot = held - (held * 30n + 99n) / 100n
    const [receipt] = world.receiptsOf('repair')
    const fromHeld = toPot < 1000n ? toPot : 1000n
    expect(receipt).toMatchObject({ fromHeld, fromPot: 1000n - fromHeld })
    expect(world.contract(contract)).toMatchObject({
      pot: 1500n + toPot - 1000n,
      potHeld: toPot - fromHeld,
    })
    world.audit()
  })

  test('refused: slot stored, other refill, lost or foreign rail, the open slot’s own, a stranger', () => {
    const { world, contract, rails } = broken()
    const voucher = (served: { slot: number; rail: number }, refill?: number, who = delegate) =>
      world.repairVoucher(who, { kib: 1, ...served }, refill)
    const cases = [
      [b, voucher({ slot: 2, rail: rails[1] }), 'SLOT_TAKEN'],
      [b, voucher({ slot: 0, rail: rails[1] }, 1), 'VOUCHER_REFILL'],
      [a, voucher({ slot: 0, rail: rails[0] }), 'RAIL_UNKNOWN'],
      [c, voucher({ slot: 0, rail: rails[1] }), 'RAIL_UNKNOWN'],
      [b, voucher({ slot: 0, rail: rails[1] }, undefined, payer), 'VOUCHER_DELEGATE'],
      [b, voucher({ slot: 9, rail: rails[1] }), 'SLOT_UNKNOWN'],
      [delegate, voucher({ slot: 0, rail: rails[1] }), 'NODE_UNKNOWN'],
    ] as const
    for (const [node, signed, code] of cases) {
      expect(codeOf(world.redeemRepair(node, [signed]))).toBe(code)
    }
    const good = voucher({ slot: 0, rail: rails[1] })
    const forged = { ...good, voucher: { ...good.voucher, kib: 2 } }
    expect(codeOf(world.redeemRepair(b, [forged]))).toBe('VOUCHER_SIGNATURE')
    const unsafe = { ...good, voucher: { ...good.voucher, kib: Number.MAX_VALUE } }
    expect(codeOf(world.redeemRepair(b, [unsafe]))).toBe('VOUCHER_RANGE')
    world.bytes = 1
    expect(codeOf(world.redeemRepair(b, []))).toBe('ok')
    expect(world.contract(contract)).toMatchObject({ pot: 1500n, repairs: [] })
    // Once refilled the slot is stored again and the voucher is worth nothing.
    world.fill(delegate, actor('d'), [contract, 0])
    expect(codeOf(world.redeemRepair(b, [good]))).toBe('SLOT_TAKEN')
  })

  test('case 9: refill after refill, a delegate and its nodes get no more than the bound for each', () => {
    const { world, contract, rails } = broken({}, { pot: 100_000n })
    let spent = 0n
    for (let refill = 0; refill < 3; refill++) {
      for (const [node, rail] of [
        [b, rails[1]],
        [c, rails[2]],
      ] as const) {
        const signed = world.repairVoucher(delegate, { slot: 0, rail, kib: 1 << 30 })
        world.redeemRepair(node, [signed])
      }
      spent += 1000n * BigInt(BUDGET_KIB)
      expect(world.contract(contract).pot - world.contract(contract).potHeld).toBe(100_000n - spent)
      const next = actor(`next ${refill}`)
      const rail = world.fill(delegate, next, [contract, 0])
      world.leave(next, rail, true)
    }
    world.audit()
  })
})

describe('a delegate that its payer does not trust with the pot', () => {
  /** Slot 0 is lost after its node redeemed; `held` is what that forfeited. */
  function forfeiting(delegateFee = 0n) {
    const price = TEST_PRICE / 100n
    const shape = { price, policy: 0, pot: 100_000n, term: 100, delegateFee }
    const world = new World({ fillDeadlineEpochs: 2 })
    world.fund(payer, 10n ** 17n)
    world.fixBeacon()
    const terms = { k: 2, n: 3, unitPrice: UNIT_PRICE, lockUnits: 5000n, delegate, ...shape }
    const contract = world.open(payer, terms)
    const rails = [a, b, c].map((node, slot) => world.fill(payer, node, [contract, slot]))
    for (let i = 0; i < 5; i++) {
      world.step()
      for (const node of [a, b, c]) world.prove(node)
    }
    expect(codeOf(world.redeem(a, [rails[0] as number]))).toBe('ok')
    const { held } = world.rail(rails[0] as number)
    world.leave(a, rails[0] as number, true)
    return { world, contract, rails: rails as [number, number, number], held }
  }

  test('vouchers are paid up to what the lost rail forfeited, whoever serves', () => {
    const { world, contract, rails, held } = forfeiting()
    expect(held).toBeGreaterThan(1n)
    const asked = (rail: number) => world.repairVoucher(delegate, { slot: 0, rail, kib: 1 })
    expect(codeOf(world.redeemRepair(b, [asked(rails[1])]))).toBe('ok')
    expect(codeOf(world.redeemRepair(c, [asked(rails[2])]))).toBe('ok')
    const paid = world.receiptsOf('repair').reduce((sum, { fee }) => sum + fee, 0n)
    expect(paid).toBe(held < 2000n ? held : 2000n)
    // The burned part of the forfeit is made up from the payer's part of the pot, no more.
    const burned = (held * 30n + 99n) / 100n
    expect(world.contract(contract)).toMatchObject({ potHeld: 0n, pot: 100_000n - burned })
    for (const receipt of world.receiptsOf('repair')) {
      expect(receipt.budget).toBe(held)
      expect(checkRepairReceipt(world.params, receipt).ok).toBe(true)
    }
    const last = world.receiptsOf('repair').at(-1) as RepairReceipt
    const forged = checkRepairReceipt(world.params, { ...last, budget: held - 1n })
    expect(codeOf(forged)).toBe('REPAIR_UNCOVERED')
    world.audit()
  })

  test('a rail that forfeited nothing leaves nothing to be paid with', () => {
    const { world, contract, rails } = broken({}, { policy: 0, pot: 10_000n })
    const voucher = world.repairVoucher(delegate, { slot: 0, rail: rails[1], kib: 2 })
    expect(codeOf(world.redeemRepair(b, [voucher]))).toBe('ok')
    expect(world.contract(contract).pot).toBe(10_000n)
    expect(world.receiptsOf('repair')).toEqual([])
  })

  test('its fee has what serving rails left of the forfeit', () => {
    const { world, contract, rails, held } = forfeiting(192_000n)
    const voucher = world.repairVoucher(delegate, { slot: 0, rail: rails[1], kib: 1 })
    expect(codeOf(world.redeemRepair(b, [voucher]))).toBe('ok')
    const [served] = world.receiptsOf('repair')
    const rail = world.fill(delegate, actor('d'), [contract, 0])
    const left = held - (served?.fee ?? 0n)
    const { need } = world.rail(rail)
    expect(world.rail(rail).delegateFee).toBe(left < need ? left : need)
  })
})

describe('the lottery of last resort', () => {
  /** Nodes with held pay elsewhere, as many as asked. */
  function withHolders(count: number, overrides = {}) {
    const world = new World({ fillDeadlineEpochs: 2, ...overrides })
    world.fund(payer, 10n ** 17n)
    world.fixBeacon()
    const holders = Array.from({ length: count }, (_, i) => actor(`holder ${i}`))
    const rich = { unitPrice: 1n << 36n, price: TEST_PRICE * 1000n, term: 150 }
    const own = holders.map((node) => world.rent(payer, node, rich))
    const contract = world.open(payer, { k: 1, n: 2, term: 100 })
    const lost = world.fill(payer, a, [contract, 0])
    world.fill(payer, b, [contract, 1])
    for (let i = 0; i < 8; i++) {
      world.step()
      for (const node of [a, b, ...holders]) world.prove(node)
    }
    for (const [i, node] of holders.entries()) world.redeem(node, [own[i] as number])
    world.leave(a, lost, true)
    return { world, holders, contract, lost }
  }

  function wait(world: World, epochs: number, nodes: readonly Actor[]): void {
    for (let i = 0; i < epochs; i++) {
      world.step()
      for (const node of [b, ...nodes]) if (world.isChallenged(node)) world.prove(node)
    }
  }

  test('opens when nobody granted in time; the window doubles until all are in', () => {
    const { world, holders, contract, lost } = withHolders(8)
    const since = world.epoch
    const first = holders[0] as Actor
    expect(codeOf(world.claimSlot(first, [contract, 0]))).toBe('LOTTERY_NOT_OPEN')
    wait(world, 2, holders)
    expect(world.epoch).toBe(lotteryStart(world.draft, since))
    const place = { contract, slot: 0, refill: 1, since }
    const drawn = (epochs: number) =>
      holders.filter((node) => {
        const draw = lotteryOf(world.draft, place, node.address, world.epoch + epochs)
        return draw && isDrawn(draw)
      })
    const counts = [0, 1, 2, 3, 4].map((epochs) => drawn(epochs).length)
    expect(counts).toEqual([...counts].sort((x, y) => x - y))
    expect(drawn(0).length).toBeLessThan(holders.length)
    expect(drawn(4)).toHaveLength(holders.length)
    const loser = holders.find((node) => !drawn(0).includes(node)) as Actor
    expect(codeOf(world.claimSlot(loser, [contract, 0]))).toBe('CLAIM_NOT_DRAWN')
    wait(world, 4, holders)
    expect(codeOf(world.claimSlot(loser, [contract, 0], 0))).toBe('CLAIM_REFILL')
    expect(codeOf(world.claimSlot(loser, [contract, 0]))).toBe('ok')
    const [receipt] = world.receiptsOf('refill')
    expect(receipt).toMatchObject({ by: 2, nodes: 9, formerRail: lost, fromPayer: 0n })
    expect(receipt?.draw).toBeLessThan(receipt?.chance as bigint)
    const { rail } = world.contract(contract).rails[0] as { rail: number }
    expect(world.rail(rail)).toMatchObject({ price: TEST_PRICE, root: world.rail(lost).root })
    expect(codeOf(world.claimSlot(first, [contract, 0]))).toBe('SLOT_TAKEN')
    world.audit()
  })

  test('held pay must cover all: no free allowance, no newcomers, nobody of the contract', () => {
    const { world, holders, contract } = withHolders(2)
    wait(world, 9, holders)
    expect(codeOf(world.claimSlot(a, [contract, 0]))).toBe('CLAIM_IN_CONTRACT')
    expect(codeOf(world.claimSlot(b, [contract, 0]))).toBe('CLAIM_IN_CONTRACT')
    expect(codeOf(world.claimSlot(actor('nobody'), [contract, 0]))).toBe('NODE_UNKNOWN')
    world.rent(payer, actor('young'))
    expect(codeOf(world.claimSlot(actor('young'), [contract, 0]))).toBe('CLAIM_TOO_YOUNG')
    const poor = withHolders(2, { repairFloorPrice: 1n << 60n })
    wait(poor.world, 9, poor.holders)
    expect(codeOf(poor.world.claimSlot(poor.holders[0] as Actor, [poor.contract, 0]))).toBe(
      'BYTES_NOT_ASSIGNABLE',
    )
  })

  test('only slots that were lost: one that its payer closed is not drawn for', () => {
    const { world, holders, contract, lost } = withHolders(1)
    world.close(payer, lost)
    wait(world, 2, holders)
    expect(codeOf(world.close(payer, lost))).toBe('ok')
    wait(world, 9, holders)
    expect(codeOf(world.claimSlot(holders[0] as Actor, [contract, 0]))).toBe('LOTTERY_NOT_OPEN')
  })
})
