import { installNativeCrypto } from '@ioex/chain/native'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { signVoucher } from './rail-payer.ts'
import { ReservationPayer } from './reservation-payer.ts'
import { CHAIN_ID, secretKey } from './testing/channel-pair.ts'

const rail = { chainId: CHAIN_ID, rail: 3, generation: 1, ownerKey: secretKey(9) }
const newestOf = (units: number) => (units === 0 ? undefined : signVoucher(rail, 0, units))
const unitsOf = (payer: ReservationPayer, epoch: number) => payer.pay(epoch)?.voucher.reservations

beforeAll(installNativeCrypto)

describe('reservation payer', () => {
  test('signs for the epochs from the grant on, once each', () => {
    const payer = new ReservationPayer(rail, undefined)
    payer.begin({ units: 1, epoch: 20, newest: undefined }, 20)
    expect(payer.own).toEqual({ units: 1, epoch: 20 })
    expect(unitsOf(payer, 20)).toBe(1)
    expect(payer.pay(20)).toBeUndefined()
    for (const epoch of [21, 22, 23]) expect(payer.keep(epoch)).toBe(true)
    expect(payer.keep(23)).toBe(false)
    expect(unitsOf(payer, 23)).toBe(4)
  })

  test('goes on after a restart from what it counted, and first pays what is open', () => {
    const before = new ReservationPayer(rail, undefined)
    before.begin({ units: 1, epoch: 20, newest: undefined }, 20)
    before.pay(20)
    before.keep(21)
    const after = new ReservationPayer(rail, before.own)
    expect(after.opening().voucher.reservations).toBe(2)
    after.begin({ units: 3, epoch: 25, newest: newestOf(2) }, 25)
    expect(unitsOf(after, 25)).toBe(3)
    expect(after.own).toEqual({ units: 3, epoch: 25 })
  })

  test('within one epoch a restart counts nothing twice', () => {
    const before = new ReservationPayer(rail, undefined)
    before.begin({ units: 1, epoch: 20, newest: undefined }, 20)
    const after = new ReservationPayer(rail, before.own)
    after.begin({ units: 1, epoch: 20, newest: newestOf(1) }, 20)
    expect(after.pay(20)).toBeUndefined()
    expect(after.own.units).toBe(1)
  })

  test('pays nothing for the time that the device slept', () => {
    const payer = new ReservationPayer(rail, undefined)
    payer.begin({ units: 1, epoch: 20, newest: undefined }, 20)
    payer.keep(90)
    expect(payer.own).toEqual({ units: 2, epoch: 90 })
    expect(unitsOf(payer, 90)).toBeLessThanOrEqual(3)
  })

  test('with its folder lost it trusts its own signature, not the relay’s count', () => {
    const payer = new ReservationPayer(rail, undefined)
    payer.begin({ units: 60, epoch: 25, newest: newestOf(40) }, 25)
    expect(payer.own.units).toBe(41)
    expect(unitsOf(payer, 25)).toBe(42)
  })

  test('refuses a voucher that is not its own, and a relay that lives in another time', () => {
    const payer = new ReservationPayer(rail, undefined)
    const foreign = signVoucher({ ...rail, ownerKey: secretKey(8) }, 0, 5)
    const shows = (newest: typeof foreign) => () => payer.begin({ units: 6, epoch: 20, newest }, 20)
    expect(shows(foreign)).toThrow('did not sign')
    expect(shows(signVoucher({ ...rail, generation: 2 }, 0, 5))).toThrow('did not sign')
    const raised = signVoucher(rail, 0, 5)
    expect(shows({ ...raised, voucher: { ...raised.voucher, reservations: 50 } })).toThrow(
      'did not sign',
    )
    const late = () => payer.begin({ units: 1, epoch: 9, newest: undefined }, 20)
    expect(late).toThrow('not now')
  })

  test('a relay that says more than was used never gets more than one unit for it', () => {
    const event = fc.oneof(
      fc.record({ kind: fc.constant('epochs' as const), by: fc.integer({ min: 0, max: 3 }) }),
      fc.record({ kind: fc.constant('claim' as const), by: fc.integer({ min: -2, max: 1000 }) }),
      fc.record({ kind: fc.constant('restart' as const), by: fc.constant(0) }),
    )
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        let payer = new ReservationPayer(rail, undefined)
        let epoch = 100
        let signed = 0
        const seen = new Set<number>()
        let linked = false
        for (const { kind, by } of events) {
          if (kind === 'restart') {
            payer = new ReservationPayer(rail, payer.own)
            linked = false
          } else if (kind === 'epochs') {
            for (let passed = 0; passed < by; passed++) {
              epoch += 1
              if (linked) seen.add(epoch)
            }
            payer.keep(epoch)
          } else {
            payer.begin({ units: signed + Math.max(0, by), epoch, newest: newestOf(signed) }, epoch)
            linked = true
            seen.add(epoch)
          }
          signed = Math.max(signed, unitsOf(payer, epoch) ?? 0)
          expect(signed).toBeLessThanOrEqual(seen.size + 1)
        }
      }),
    )
  })
})
