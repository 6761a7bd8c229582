import { beforeAll, expect, test } from 'vitest'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { ContractPolicy } from '../types/transactions.ts'
import {
  checkDelegateFeeReceipt,
  checkRefillReceipt,
  checkRepairReceipt,
  explainRepair,
} from './explain-repair.ts'
import { type Actor, actor, TEST_PRICE, World } from './testing/world.ts'

const payer = actor('payer')
const delegate = actor('delegate')
const [a, b, c] = ['a', 'b', 'c'].map(actor) as [Actor, Actor, Actor]

beforeAll(async () => {
  await installNativeCrypto()
})

test('what a repair goes by, and receipts that recompute from their own fields', () => {
  const world = new World({ fillDeadlineEpochs: 2, vestingEpochs: 4 })
  world.fund(payer, 10n ** 17n)
  world.fixBeacon()
  const terms = { k: 1, n: 2, term: 60, unitPrice: 1000n << 20n, pot: 9000n, delegateFee: 40n }
  const contract = world.open(payer, { ...terms, delegate, policy: ContractPolicy.trustsDelegate })
  const lost = world.fill(payer, a, [contract, 0])
  const kept = world.fill(payer, b, [contract, 1])
  const explain = (slot: number) => explainRepair(world.draft, contract, slot, world.epoch)
  for (let i = 0; i < 4; i++) {
    world.step()
    for (const node of [a, b]) world.prove(node)
  }
  expect(explain(0).ok || codeOfFault(explain(0))).toBe('SLOT_TAKEN')
  expect(codeOfFault(explainRepair(world.draft, 99, 0, world.epoch))).toBe('CONTRACT_UNKNOWN')
  world.leave(a, lost, true)
  const before = world.draft.contracts.get(contract)
  expect(explain(0)).toMatchObject({
    value: {
      vacancy: { why: 'lost', formerRail: lost, since: 5 },
      nextRefill: 1,
      openRefill: 0,
      kibMax: 1,
      kibPaid: 0,
      pot: 9000n,
      lotteryFrom: 7,
    },
  })
  expect(world.draft.contracts.get(contract)).toBe(before)
  world.redeemRepair(b, [world.repairVoucher(delegate, { slot: 0, rail: kept, kib: 1 })])
  expect(explain(0)).toMatchObject({ value: { kibPaid: 1, pot: 8000n } })
  const explained = explain(0)
  const rail = world.fill(delegate, c, [contract, 0])
  const [refill] = world.receiptsOf('refill')
  expect(refill?.fromFormer).toBeLessThanOrEqual(explained.ok ? explained.value.movable : 0n)
  for (let i = 0; i < 4; i++) {
    world.step()
    for (const node of [b, c]) world.prove(node)
  }
  world.redeem(c, [rail])

  const [repair] = world.receiptsOf('repair')
  const [fee] = world.receiptsOf('delegateFee')
  if (!repair || !refill || !fee) throw new Error('all three left receipts')
  const { params } = world
  const code = (result: { ok: true } | { ok: false; fault: { code: string } }) =>
    result.ok ? 'ok' : result.fault.code
  const repaired = (changes: object) => code(checkRepairReceipt(params, { ...repair, ...changes }))
  expect(repaired({})).toBe('ok')
  expect(repaired({ kibOfOthers: 1 })).toBe('REPAIR_BUDGET')
  expect(repaired({ unitPrice: repair.unitPrice / 2n })).toBe('REPAIR_PRICE')
  expect(repaired({ burned: repair.burned - 1n })).toBe('REPAIR_SHARES')
  expect(repaired({ fromPot: 0n })).toBe('REPAIR_SOURCE')
  const paid = (changes: object) => code(checkDelegateFeeReceipt({ ...fee, ...changes }))
  expect(paid({})).toBe('ok')
  expect(paid({ E: fee.E - 1 })).toBe('DELEGATE_FEE_VESTED')
  const refilled = (changes: object) =>
    code(checkRefillReceipt(params, { ...refill, ...changes }, 5))
  expect(refilled({})).toBe('ok')
  expect(refilled({ price: TEST_PRICE * 2n })).toBe('REFILL_LOCK')
  expect(refilled({ fromPayer: 1n })).toBe('REFILL_FUNDS')
  expect(refilled({ by: 2 })).toBe('REFILL_DRAW')
})

test('the draw of a lottery recomputes from its receipt', () => {
  const world = new World({ fillDeadlineEpochs: 2 })
  world.fund(payer, 10n ** 17n)
  world.fixBeacon()
  const rich = { unitPrice: 1n << 36n, price: TEST_PRICE * 1000n, term: 150 }
  const own = world.rent(payer, c, rich)
  const contract = world.open(payer, { k: 1, n: 2, term: 100 })
  const lost = world.fill(payer, a, [contract, 0])
  world.fill(payer, b, [contract, 1])
  for (let i = 0; i < 6; i++) {
    world.step()
    for (const node of [a, b, c]) world.prove(node)
  }
  world.redeem(c, [own])
  world.leave(a, lost, true)
  for (let i = 0; i < 8; i++) {
    world.step()
    for (const node of [b, c]) if (world.isChallenged(node)) world.prove(node)
  }
  expect(world.claimSlot(c, [contract, 0]).ok).toBe(true)
  const [receipt] = world.receiptsOf('refill')
  if (!receipt) throw new Error('a claim leaves its receipt')
  const ok = (changes: object, epoch = world.epoch) =>
    checkRefillReceipt(world.params, { ...receipt, ...changes }, epoch).ok
  expect(ok({})).toBe(true)
  expect(ok({ draw: receipt.draw + 1n })).toBe(false)
  expect(ok({ node: a.address })).toBe(false)
  expect(ok({ beacon: new Uint8Array(32) })).toBe(false)
  expect(ok({ chance: 1n })).toBe(false)
  expect(ok({}, world.epoch - 6)).toBe(false)
})

function codeOfFault(result: { ok: boolean; fault?: { code: string } }): string | undefined {
  return result.fault?.code
}
