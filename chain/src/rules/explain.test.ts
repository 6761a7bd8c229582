import { beforeAll, describe, expect, test } from 'vitest'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import type { Receipt } from '../types/receipts.ts'
import { claimable, explainRedeem, phaseOf } from './explain.ts'
import { statementOf } from './statement.ts'
import { actor, codeOf, payoutOf, World } from './testing/world.ts'
import { challengeOf } from './touch-node.ts'

const payer = actor('payer')
const node = actor('node')
const other = actor('other')

beforeAll(async () => {
  await installNativeCrypto()
})

function earningWorld(): { world: World; rail: number } {
  const world = new World({ baseFeePerByte: 1n })
  world.fund(payer, 10n ** 17n)
  world.fixBeacon()
  const rail = world.rent(payer, node, { unitPrice: 1n << 30n, lockUnits: 1_000_000n })
  world.rent(payer, other)
  for (let i = 0; i < 6; i++) {
    world.step()
    world.prove(node)
    world.prove(other)
  }
  return { world, rail }
}

describe('explaining a redeem', () => {
  test('the preview is what the redeem then books, and changes nothing', () => {
    const { world, rail } = earningWorld()
    const voucher = world.voucher(payer, rail, 700)
    const before = world.rail(rail)
    const explained = explainRedeem(world.draft, rail, world.epoch, voucher)
    expect(world.rail(rail)).toBe(before)
    if (!explained.ok || !explained.value) throw new Error('nothing explained')
    const { booking, heldNow, epochs, base, start, stop, A, P } = explained.value
    expect({ epochs, base, start, stop, A, P }).toEqual({
      epochs: { E: 5, elapsed: 5 },
      base: { base: 2, baseProven: 1 },
      start: 2,
      stop: 102,
      A: 7,
      P: 6,
    })
    const preview = claimable(world.draft, rail, world.epoch, voucher)
    expect(preview).toEqual({ ok: true, value: booking.proceeds })
    expect(codeOf(world.redeem(node, [rail], [voucher]))).toBe('ok')
    expect(world.receiptsOf('storage')[0]).toMatchObject({
      E: 5,
      kib: 700,
      fee: booking.fee,
      burned: booking.burned,
      toValidators: booking.validators,
      held: heldNow,
      paid: booking.proceeds,
    })
    expect(world.receiptsOf('payout')[0]?.proceeds).toBe(booking.proceeds)
    expect(claimable(world.draft, rail, world.epoch)).toEqual({ ok: true, value: 0n })
    expect(claimable(world.draft, 99, world.epoch)).toEqual({ ok: true, value: 0n })
    const preview2 = (who: typeof payer, kib: number) =>
      codeOf(claimable(world.draft, rail, world.epoch, world.voucher(who, rail, kib)))
    expect(preview2(other, 1)).toBe('VOUCHER_PAYER')
    expect(preview2(payer, 2 ** 53)).toBe('VOUCHER_RANGE')
  })

  test('it sees lapses that no transaction has touched yet', () => {
    const { world, rail } = earningWorld()
    const now = claimable(world.draft, rail, world.epoch)
    world.step()
    world.step()
    world.step()
    expect(world.node(node).strikes).toBe(0)
    const explained = explainRedeem(world.draft, rail, world.epoch)
    if (!explained.ok || !explained.value) throw new Error('nothing explained')
    expect(explained.value.epochs).toEqual({ E: 5, elapsed: 8 })
    expect(explained.value.booking.proceeds).toBe(now.ok ? now.value : -1n)
    expect(explained.value.booking.burned).toBeGreaterThan(0n)
    expect(world.node(node).strikes).toBe(0)
    const open = challengeOf(world.draft, world.nodeIndex(node), world.epoch)
    expect(open).toMatchObject({ epoch: 10, lapsesIn: 12, openedAt: world.height })
  })

  test('phases of a rail', () => {
    const { world, rail } = earningWorld()
    const phase = () => phaseOf(world.draft, world.rail(rail), world.epoch)
    expect(phase()).toBe('running')
    world.leave(node, rail)
    expect(phase()).toBe('leaving')
    world.close(payer, rail)
    expect(phase()).toBe('closing')
    world.leave(node, rail, true)
    expect(phase()).toBe('lost')
    expect(phaseOf(world.draft, world.rail(1), 200)).toBe('ended')
    expect(codeOf(world.evict(other))).toBe('STRIKES_TOO_FEW')
    while (codeOf(world.evict(other)) !== 'ok') world.step()
    expect(phaseOf(world.draft, world.rail(1), world.epoch)).toBe('evicted')
  })
})

describe('statement', () => {
  test('adds up from receipts to what reached the payout address', () => {
    const { world, rail } = earningWorld()
    world.redeem(node, [rail], [world.voucher(payer, rail, 300)])
    world.redeem(other, [1])
    world.redeem(node, [rail], [world.voucher(payer, rail, 600)])
    const epoch = world.epoch
    const receipts = () =>
      world.receipts.map(
        ({ at, ...body }, index): Receipt => ({
          height: 1,
          epoch: at,
          transaction: 0,
          index,
          body,
        }),
      )
    const record = () => world.draft.epochs.get(epoch) as never
    const due = statementOf(world.params, epoch, record(), node.address, receipts())
    expect(due.subsidyCredited).toBe(false)
    expect(due.paid).toBe(due.net - due.held + due.released - due.byteFees - due.debtPaid)
    expect(due.paid).toBe(world.balance(payoutOf(node)))
    expect(due.inputs.F).toBeGreaterThan(due.fees)
    expect(due.subsidy).toBe((due.inputs.M * due.fees) / due.inputs.F)
    world.step()
    world.touch(node)
    const credited = statementOf(world.params, epoch, record(), node.address, receipts())
    expect(credited).toMatchObject({ subsidy: due.subsidy, subsidyCredited: true })
    expect(world.balance(payoutOf(node))).toBe(credited.paid + credited.subsidy)
  })
})
