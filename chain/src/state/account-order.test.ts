import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compareBytes } from '../bytes/hex.ts'
import { AccountOrder, AddressTwiceError } from './account-order.ts'
import { ACCOUNT_BYTES, ADDRESS_BYTES } from './record-tables.ts'

/** Few values in the first bytes and few in the last: equal prefixes are as likely as others. */
const addressArbitrary = fc
  .tuple(fc.constantFrom(0, 1, 127, 128, 255), fc.constantFrom(0, 255), fc.nat(65_535))
  .map(([first, fourth, end]) => {
    const address = new Uint8Array(ADDRESS_BYTES)
    address[0] = first
    address[3] = fourth
    address[ADDRESS_BYTES - 2] = end >> 8
    address[ADDRESS_BYTES - 1] = end & 255
    return address
  })
const addressesArbitrary = fc.uniqueArray(addressArbitrary, {
  maxLength: 4000,
  size: 'max',
  selector: (address) => address.join(),
})

function rowsOf(addresses: readonly Uint8Array[]): Uint8Array {
  const rows = new Uint8Array(addresses.length * ACCOUNT_BYTES)
  for (const [i, address] of addresses.entries()) rows.set(address, i * ACCOUNT_BYTES)
  return rows
}

/** What the order should say of an address, from a sorted list. */
function model(addresses: readonly Uint8Array[]) {
  const sorted = addresses
    .map((address, account) => ({ address, account }))
    .sort((a, b) => compareBytes(a.address, b.address))
  return {
    get: (asked: Uint8Array) =>
      sorted.find(({ address }) => compareBytes(address, asked) === 0)?.account,
    below: (asked: Uint8Array) =>
      sorted.findLast(({ address }) => compareBytes(address, asked) < 0)?.account,
    greatest: () => sorted.at(-1)?.account,
  }
}

describe('accounts in order of their addresses', () => {
  test('made at once or one by one, it answers as a sorted list', () => {
    const asked = fc.array(addressArbitrary, { maxLength: 20 })
    fc.assert(
      fc.property(addressesArbitrary, fc.double({ min: 0, max: 1, noNaN: true }), asked, check),
      { numRuns: 30 },
    )
    function check(addresses: Uint8Array[], part: number, others: Uint8Array[]) {
      const first = Math.floor(addresses.length * part)
      const order = AccountOrder.of({ rows: rowsOf(addresses) }, first)
      for (const [i, address] of addresses.entries()) if (i >= first) order.add(address, i)
      const expected = model(addresses)
      const step = Math.ceil(addresses.length / 40)
      const some = addresses.filter((_, i) => i % step === 0)
      for (const address of [...some, ...others]) {
        expect(order.get(address)).toBe(expected.get(address))
        expect(order.below(address)).toBe(expected.below(address))
      }
      expect(order.greatest()).toBe(expected.greatest())
    }
  }, 60_000)

  test('runs that are full are split, wherever an address falls', () => {
    for (const isRising of [true, false]) {
      const addresses = Array.from({ length: 3000 }, (_, i) => {
        const address = new Uint8Array(ADDRESS_BYTES)
        new DataView(address.buffer).setUint32(0, isRising ? i : 3000 - i)
        return address
      })
      const order = AccountOrder.of({ rows: rowsOf(addresses) }, 0)
      for (const [i, address] of addresses.entries()) order.add(address, i)
      for (const [i, address] of addresses.entries()) expect(order.get(address)).toBe(i)
      for (let i = 1; i < 3000; i++) {
        const [high, low] = isRising ? [i, i - 1] : [i - 1, i]
        expect(order.below(addresses[high] as Uint8Array)).toBe(low)
      }
    }
  }, 60_000)

  test('no address has two accounts', () => {
    const address = new Uint8Array(ADDRESS_BYTES).fill(7)
    const table = { rows: rowsOf([address, address]) }
    expect(() => AccountOrder.of(table, 2)).toThrow(AddressTwiceError)
    const order = AccountOrder.of(table, 1)
    expect(() => order.add(address, 1)).toThrow('an address has one account')
  })
})
