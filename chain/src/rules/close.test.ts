import { beforeAll, describe, expect, test } from 'vitest'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { NONE } from '../types/records.ts'
import { CloseKind, TopUpKind } from '../types/transactions.ts'
import { applyClose } from './close.ts'
import { timeAmount } from './settlement.ts'
import { RICH, richWorld } from './testing/rich-world.ts'
import { actor, codeOf, payoutOf, TEST_PRICE } from './testing/world.ts'

const payer = actor('payer')
const node = actor('node')
const other = actor('other')

beforeAll(async () => {
  await installNativeCrypto()
})

describe('close', () => {
  test('asks for the payer, for others only after end and grace; settles for anyone', () => {
    const world = richWorld({ graceEpochs: 3 })
    const rail = world.rent(payer, node, { term: 2 })
    const { end } = world.rail(rail)
    expect(end).toBe(4)
    for (; world.epoch < end + 3; world.step()) {
      expect(codeOf(world.close(other, rail))).toBe('NOT_PAYER')
      if (world.isChallenged(node)) {
        const mayClear = world.node(node).A >= end && world.rail(rail).clearedEpoch === NONE
        world.prove(node, mayClear ? [rail] : [])
      }
    }
    expect(codeOf(world.close(other, rail))).toBe('ok')
    expect(world.rail(rail)).toMatchObject({ askEpoch: 7, askHeight: world.height })
    world.step()
    world.step()
    expect(codeOf(world.close(other, rail))).toBe('ok')
    expect(world.rail(rail).paidTime).toBe(timeAmount(TEST_PRICE, 4, 2))
    world.audit()
  })

  test('names a live rail or contract of the right generation', () => {
    const world = richWorld()
    const rail = world.rent(payer, node)
    const tryClose = (kind: number, target: number, generation: number) =>
      codeOf(
        world.execute(payer, (draft, context) =>
          applyClose(draft, { kind, target, generation }, context),
        ),
      )
    expect(tryClose(CloseKind.rail, rail, 1)).toBe('RAIL_UNKNOWN')
    expect(tryClose(CloseKind.rail, 99, 0)).toBe('RAIL_UNKNOWN')
    expect(tryClose(CloseKind.contract, 0, 1)).toBe('CONTRACT_UNKNOWN')
    expect(tryClose(CloseKind.contract, 99, 0)).toBe('CONTRACT_UNKNOWN')
    expect(tryClose(2, rail, 0)).toBe('CLOSE_KIND')
  })

  test('a whole contract at once: its rails are closing, and it ends with the last of them', () => {
    const world = richWorld()
    const contract = world.open(payer, { k: 1, n: 5, pot: 900n })
    const rails = [0, 1, 2].map((slot) => world.fill(payer, node, [contract, slot]))
    world.step()
    world.prove(node)
    expect(codeOf(world.closeContract(other, contract))).toBe('NOT_PAYER')
    expect(codeOf(world.closeContract(payer, contract))).toBe('ok')
    expect(codeOf(world.closeContract(payer, contract))).toBe('RAILS_LIVE')
    expect(() => world.fill(payer, node, [contract, 3])).toThrow('no fills any more')
    expect(codeOf(world.topUp(payer, TopUpKind.contractPot, contract, 5n))).toBe('CONTRACT_CLOSING')
    expect(codeOf(world.topUp(payer, TopUpKind.railUnits, rails[0] as number, 5n))).toBe(
      'RAIL_CLOSING',
    )
    world.step()
    world.prove(node)
    world.nextEpoch()
    // The beacon of this epoch is to come and may draw from a snapshot that holds the rails.
    expect(codeOf(world.close(other, rails[0] as number))).toBe('CHALLENGE_PENDING')
    world.fixBeacon()
    expect(codeOf(world.close(other, rails[0] as number))).toBe('CHALLENGE_OPEN')
    world.prove(node)
    for (const rail of rails) expect(codeOf(world.close(other, rail))).toBe('ok')
    const [end] = world.receiptsOf('contractEnd')
    expect(end).toMatchObject({
      refundLocks: 2n * timeAmount(TEST_PRICE, 4, 100),
      refundPot: 900n,
      refundDeposit: world.params.contractDepositUnits,
      burned: 0n,
    })
    const { burned, validators, net } = rails
      .map((rail) => world.rail(rail))
      .reduce((sum, rail) => ({
        ...rail,
        burned: sum.burned + rail.burned,
        validators: sum.validators + rail.validators,
        net: sum.net + rail.net,
      }))
    expect(world.balance(payer)).toBe(RICH - burned - validators - net)
    expect(world.draft.globals()).toMatchObject({
      freeRails: [{ index: 0 }, { index: 1 }, { index: 2 }],
      freeContracts: [{ index: 0 }],
    })
    world.audit()
  })

  test('freed indexes come back with another generation', () => {
    const world = richWorld()
    const rail = world.rent(payer, node)
    world.close(payer, rail)
    for (let i = 0; i < 2; i++) {
      world.step()
      world.prove(node)
    }
    expect(codeOf(world.close(payer, rail))).toBe('ok')
    const stale = world.voucher(payer, rail, 5)
    const again = world.rent(payer, node, { lockUnits: 100n, unitPrice: 1n << 20n })
    expect(again).toBe(rail)
    expect(world.rail(again)).toMatchObject({ generation: 1, live: true, contract: 0, kib: 0 })
    const old = { ...stale, voucher: { ...stale.voucher, generation: 0 } }
    expect(codeOf(world.redeem(node, [again], [old]))).toBe('VOUCHER_OTHER_RAIL')
    world.audit()
  })

  test('a contract that nobody filled returns everything after its deadline, to anyone’s call', () => {
    const world = richWorld()
    const contract = world.open(payer, { n: 3, pot: 50n })
    expect(world.balance(payer)).toBeLessThan(RICH)
    expect(codeOf(world.closeContract(other, contract))).toBe('NOT_PAYER')
    for (let i = 0; i < 3; i++) world.step()
    expect(codeOf(world.closeContract(other, contract))).toBe('ok')
    expect(world.balance(payer)).toBe(RICH)
    expect(world.draft.contracts.get(contract)?.live).toBe(false)
    world.audit()
  })

  test('its payer may take it back at once while it has no rail', () => {
    const world = richWorld()
    const contract = world.open(payer, { n: 3 })
    expect(codeOf(world.closeContract(payer, contract))).toBe('ok')
    expect(world.balance(payer)).toBe(RICH)
  })

  test('the hold is paid out by a clean close only', () => {
    for (const end of ['clean', 'lost'] as const) {
      const world = richWorld()
      const rail = world.rent(payer, node, { unitPrice: 1n << 40n })
      world.rent(payer, node)
      for (let i = 0; i < 5; i++) {
        world.step()
        world.prove(node)
      }
      world.redeem(node, [rail])
      const { held } = world.rail(rail)
      expect(held).toBeGreaterThan(0n)
      if (end === 'lost') world.leave(node, rail, true)
      world.close(payer, rail)
      for (let i = 0; i < 2; i++) {
        world.step()
        world.prove(node)
      }
      const before = world.balance(payoutOf(node))
      expect(codeOf(world.close(payer, rail))).toBe('ok')
      const receipt = world.receiptsOf('close').at(-1)
      const rail2 = world.rail(rail)
      expect(receipt?.releasedHeld).toBe(end === 'clean' ? rail2.held : 0n)
      const paid = world.balance(payoutOf(node)) - before
      if (end === 'clean') expect(paid).toBeGreaterThanOrEqual(held)
      else expect(rail2.forfeited).toBe(rail2.held)
      expect(world.node(node).held).toBe(0n)
      world.audit()
    }
  })
})

describe('leave and topUp', () => {
  test('a leave gives notice once; the rail earns until then', () => {
    const world = richWorld({ leaveNoticeEpochs: 4 })
    const rail = world.rent(payer, node)
    expect(codeOf(world.leave(other, rail))).toBe('NODE_UNKNOWN')
    world.rent(payer, other)
    expect(codeOf(world.leave(other, rail))).toBe('RAIL_UNKNOWN')
    expect(codeOf(world.leave(node, rail))).toBe('ok')
    expect(codeOf(world.leave(node, rail))).toBe('RAIL_CLOSING')
    for (let i = 0; i < 8; i++) {
      world.step()
      const isOver = world.node(node).A >= 5 && world.rail(rail).clearedEpoch === NONE
      if (world.isChallenged(node)) world.prove(node, isOver ? [rail] : [])
    }
    expect(codeOf(world.redeem(node, [rail]))).toBe('ok')
    expect(world.rail(rail).paidTime).toBe(timeAmount(TEST_PRICE, 4, 3))
    world.audit()
  })

  test('a leave costs its byte fee as debt', () => {
    const world = richWorld({ baseFeePerByte: 1n })
    const rail = world.rent(payer, node)
    world.leave(node, rail)
    expect(world.node(node).debt).toBe(1000n)
    const relay = world.relay(payer, node, 10n, 1n)
    expect(codeOf(world.leave(node, relay, true))).toBe('NOTHING_TO_LOSE')
    expect(codeOf(world.leave(node, rail, true))).toBe('ok')
    expect(codeOf(world.leave(node, rail, true))).toBe('NOTHING_TO_LOSE')
  })

  test('more units let an older voucher be paid in full', () => {
    const world = richWorld()
    world.rent(payer, node)
    const relay = world.relay(payer, node, 100n, 1n << 20n)
    const voucher = world.voucher(payer, relay, 150)
    world.redeem(node, [relay], [voucher])
    expect(world.rail(relay).paidUnits).toBe(100n)
    world.fund(other, 1000n)
    expect(codeOf(world.topUp(other, TopUpKind.railUnits, relay, 70n))).toBe('ok')
    expect(codeOf(world.topUp(other, TopUpKind.railUnits, relay, 10_000n))).toBe(
      'INSUFFICIENT_FUNDS',
    )
    world.redeem(node, [relay])
    expect(world.rail(relay).paidUnits).toBe(150n)
    expect(codeOf(world.topUp(other, TopUpKind.railEpochs, relay, 1n))).toBe('TOP_UP_KIND')
    expect(codeOf(world.topUp(other, 9, relay, 1n))).toBe('TOP_UP_KIND')
    expect(codeOf(world.topUp(other, TopUpKind.railUnits, relay, 0n))).toBe('AMOUNT_ZERO')
    world.audit()
  })

  test('a pot grows by anyone’s gift and returns to the payer', () => {
    const world = richWorld()
    const contract = world.open(payer, { pot: 10n })
    world.fund(other, 1000n)
    expect(codeOf(world.topUp(other, TopUpKind.contractPot, contract, 990n))).toBe('ok')
    expect(world.draft.contracts.get(contract)).toMatchObject({ pot: 1000n, potHeld: 0n })
    world.closeContract(payer, contract)
    expect(world.balance(payer)).toBe(RICH + 990n)
    expect(codeOf(world.topUp(other, TopUpKind.contractPot, contract, 1n))).toBe('CONTRACT_UNKNOWN')
  })
})
