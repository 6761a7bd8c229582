import { hkdfSync } from 'node:crypto'
import { bytesToHex } from '@ioex/chain/bytes'
import { expect, test } from 'vitest'
import {
  cellAssociatedData,
  cellNonce,
  counterBlock,
  envelopeNonce,
  labelKey,
  maskKey,
  packKeySalt,
  packKeys,
  slotMaskKey,
} from './pack-keys.ts'

const master = new Uint8Array(32).fill(1)
const salt = new Uint8Array(32).fill(2)
const keySalt = new Uint8Array(32).fill(3)

test('every purpose, contract, pack and slot has its own key', () => {
  const other = new Uint8Array(32).fill(9)
  const mask = maskKey(master, salt)
  const keys = [
    labelKey(master, salt),
    labelKey(master, other),
    labelKey(other, salt),
    mask,
    maskKey(master, other),
    slotMaskKey(mask, salt, 0),
    slotMaskKey(mask, salt, 1),
    slotMaskKey(mask, other, 0),
    ...Object.values(packKeys(master, salt, keySalt)),
    ...Object.values(packKeys(master, other, keySalt)),
    ...Object.values(packKeys(master, salt, other)),
    packKeySalt(master, Uint8Array.of(1)),
    packKeySalt(master, Uint8Array.of(2)),
  ]
  expect(new Set(keys.map(bytesToHex)).size).toBe(keys.length)
  for (const key of keys) expect(key.length).toBe(32)
})

test('slot mask key as the document defines it (RFC 5869)', () => {
  const mask = maskKey(master, salt)
  const expectedMask = hkdfSync('sha256', master, salt, 'ioex/v1/mask', 32)
  expect(bytesToHex(mask)).toBe(Buffer.from(expectedMask).toString('hex'))
  const info = Buffer.concat([Buffer.from('ioex/v1/slot-mask'), Buffer.of(5, 0, 0, 0)])
  const expected = Buffer.from(hkdfSync('sha256', mask, salt, info, 32))
  expect(bytesToHex(slotMaskKey(mask, salt, 5))).toBe(expected.toString('hex'))
})

test('known values, which change only with the protocol', () => {
  const { cellKey, manifestKey } = packKeys(master, salt, keySalt)
  expect([labelKey(master, salt), cellKey, manifestKey].map(bytesToHex)).toMatchInlineSnapshot(`
    [
      "77896652da2fd61513d1ebd887bcaf1507282be093b9a81caa1b2451650ec2ac",
      "ba1527fbd444d699bae5a65868caf4040444d81a6625380c0eb058c0d44d97d0",
      "a02b96bad14b1cfc45856ef5d54272eedad7b110ceeb895a0ddc1fb7d82a957c",
    ]
  `)
})

test('nonces, associated data and counters', () => {
  expect(bytesToHex(cellNonce(0x010203))).toBe('030201000000000000000000')
  expect(bytesToHex(cellAssociatedData(salt, 258))).toBe(`${'02'.repeat(32)}0201000000000000`)
  expect(bytesToHex(counterBlock(65_536 * 3 + 5))).toBe('00000000000000000000000000003000')
  expect(bytesToHex(counterBlock(2 ** 45))).toBe('00000000000000000000020000000000')
  const nonces = [envelopeNonce(master, Uint8Array.of(1)), envelopeNonce(master, Uint8Array.of(2))]
  expect(new Set(nonces.map(bytesToHex)).size).toBe(2)
})

test('our own mistakes are assertions', () => {
  expect(() => labelKey(new Uint8Array(31), salt)).toThrow('at least 32 bytes')
  expect(() => labelKey(master, new Uint8Array(31))).toThrow('32 bytes')
  expect(() => slotMaskKey(master, salt, 256)).toThrow('slot numbers')
  expect(() => counterBlock(-1)).toThrow('starts at 0')
})
