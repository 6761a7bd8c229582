import { beforeAll, expect, test } from 'vitest'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { applyLeave } from './leave.ts'
import { type Actor, actor, codeOf, World } from './testing/world.ts'
import { stepKib, stepReservations, unpaidStep } from './unpaid-step.ts'

const payer = actor('payer')
const [relay, other] = ['relay', 'other'].map(actor) as [Actor, Actor]
const FUNDS = 10n ** 15n
/** 1,000 units per KiB. */
const UNIT_PRICE = 1000n << 20n
const LOCK = 10_000_000n

beforeAll(async () => {
  await installNativeCrypto()
})

/** A relay rail over which so many KiB were signed for. */
function relayed(kib: number, lock = LOCK) {
  const world = new World()
  world.fund(payer, FUNDS)
  world.fixBeacon()
  world.rent(payer, relay, { price: 0n, term: 90 })
  world.rent(payer, other, { price: 0n, term: 90 })
  const before = world.balance(payer)
  const rail = world.relay(payer, relay, lock, UNIT_PRICE)
  if (kib > 0) world.redeem(relay, [rail], [world.voucher(payer, rail, kib)])
  return { world, rail, before }
}

/** Closes it; gives what it cost its payer in all. */
function closed({ world, rail, before }: ReturnType<typeof relayed>, says: boolean): bigint {
  expect(codeOf(world.close(payer, rail))).toBe('ok')
  if (says) expect(codeOf(world.sayUnpaid(relay, rail))).toBe('ok')
  for (let i = 0; i < world.params.proofWindowEpochs; i++) world.step()
  expect(codeOf(world.close(payer, rail))).toBe('ok')
  world.audit()
  return before - world.balance(payer)
}

test('a step grows with what was paid, as a server lets it', () => {
  expect([0, 100, 1000, 7680, 1 << 30].map(stepKib)).toEqual([256, 306, 756, 4096, 4096])
  const nothing = { kib: 0, unitPrice: 0n, reservations: 0, reservationPrice: 0n }
  expect(unpaidStep({ ...nothing, unitPrice: UNIT_PRICE })).toBe(256_000n)
  expect(unpaidStep({ ...nothing, unitPrice: 1n })).toBe(1n)
  expect([0, 1, 2, 9, 30, 1 << 30].map(stepReservations)).toEqual([1, 1, 2, 5, 16, 16])
  expect(unpaidStep({ ...nothing, reservations: 4, reservationPrice: 7n })).toBe(21n)
})

test('who does not sign for the last step loses its price at the close; it goes to nobody', () => {
  for (const kib of [0, 100, 1000]) {
    const silent = relayed(kib)
    const honest = closed(silent, false)
    const scene = relayed(kib)
    const node = actor('relay payout')
    const burnt = scene.world.draft.globals().burnedForfeit
    const cost = closed(scene, true)
    const step = BigInt(stepKib(kib)) * 1000n
    expect(cost - honest).toBe(step)
    expect(scene.world.balance(node)).toBe(silent.world.balance(node))
    expect(scene.world.draft.globals().burnedForfeit - burnt).toBe(step)
    expect(scene.world.receiptsOf('close').at(-1)).toMatchObject({ burnedUnits: step })
  }
})

test('no more burns than the lock has left, and the vouchers come first', () => {
  const scene = relayed(0, 100_000n)
  const { world, rail, before } = scene
  world.close(payer, rail)
  expect(codeOf(world.sayUnpaid(relay, rail))).toBe('ok')
  expect(codeOf(world.redeem(relay, [rail], [world.voucher(payer, rail, 60)]))).toBe('ok')
  for (let i = 0; i < world.params.proofWindowEpochs; i++) world.step()
  expect(codeOf(world.close(payer, rail))).toBe('ok')
  expect(before - world.balance(payer)).toBe(100_000n)
  expect(world.receiptsOf('close').at(-1)).toMatchObject({ refundUnits: 0n, burnedUnits: 40_000n })
  world.audit()
})

test('said of an ending rail, once, by its node, and not of lost bytes', () => {
  const { world, rail } = relayed(10)
  expect(codeOf(world.sayUnpaid(relay, rail))).toBe('RAIL_RUNNING')
  world.close(payer, rail)
  expect(codeOf(world.sayUnpaid(other, rail))).toBe('RAIL_UNKNOWN')
  expect(codeOf(world.sayUnpaid(payer, rail))).toBe('NODE_UNKNOWN')
  const debt = world.node(relay).debt
  expect(codeOf(world.sayUnpaid(relay, rail))).toBe('ok')
  expect(world.node(relay).debt).toBe(debt)
  expect(codeOf(world.sayUnpaid(relay, rail))).toBe('NOTHING_UNPAID')
  const both = { rail, lost: true, unpaid: true }
  expect(codeOf(world.execute(relay, (draft, at) => applyLeave(draft, both, at)))).toBe(
    'LEAVE_KIND',
  )
  const free = world.relay(payer, relay, 1n, 0n)
  world.close(payer, free)
  expect(codeOf(world.sayUnpaid(relay, free))).toBe('NOTHING_UNPAID')
})

test('a storage rail whose payer read without paying loses the same at its close', () => {
  const world = new World()
  world.fund(payer, FUNDS)
  world.fixBeacon()
  const terms = { unitPrice: UNIT_PRICE, lockUnits: LOCK, term: 50 }
  const rail = world.rent(payer, relay, terms)
  for (let i = 0; i < 3; i++) {
    world.step()
    world.prove(relay)
  }
  world.close(payer, rail)
  expect(codeOf(world.sayUnpaid(relay, rail))).toBe('ok')
  for (let i = 0; i < world.params.proofWindowEpochs; i++) {
    world.step()
    world.prove(relay)
  }
  expect(codeOf(world.close(payer, rail))).toBe('ok')
  const receipt = world.receiptsOf('close').at(-1)
  expect(receipt).toMatchObject({ burnedUnits: 256_000n, refundUnits: LOCK - 256_000n })
  world.audit()
})

test('a payer that leaves before it signed for its last reserved hour loses the price of it', () => {
  const world = new World()
  world.fund(payer, FUNDS)
  world.fixBeacon()
  world.rent(payer, relay, { price: 0n, term: 90 })
  const before = world.balance(payer)
  const rail = world.relay(payer, relay, LOCK, 0n, 1000n)
  expect(codeOf(world.redeem(relay, [rail], [world.voucher(payer, rail, 0, 60)]))).toBe('ok')
  expect(world.receiptsOf('relay').at(-1)).toMatchObject({ reservations: 60, fee: 60_000n })
  world.close(payer, rail)
  expect(codeOf(world.sayUnpaid(relay, rail))).toBe('ok')
  for (let i = 0; i < world.params.proofWindowEpochs; i++) world.step()
  expect(codeOf(world.close(payer, rail))).toBe('ok')
  expect(before - world.balance(payer)).toBe(60_000n + 16_000n)
  expect(world.receiptsOf('close').at(-1)).toMatchObject({ burnedUnits: 16_000n })
  world.audit()
})
