import { describe, expect, test } from 'vitest'
import { concatBytes, utf8ToBytes } from '../bytes/hex.ts'
import {
  AddressPrefix,
  multisigCode,
  parseCode,
  programHashOf,
  standardCode,
  standardProgramHash,
} from './ela-address.ts'
import { formatEla, parseEla, SELA_MAX } from './ela-amount.ts'
import { p256PublicKey } from './p256.ts'
import { checkProgram, signatureParameter } from './program-check.ts'

const message = utf8ToBytes('unsigned transaction bytes')
const secrets = [1, 2, 3].map((byte) => new Uint8Array(32).fill(byte))
const keys = secrets.map(p256PublicKey)
const parameter = (...signers: number[]) =>
  concatBytes(...signers.map((at) => signatureParameter(message, secrets[at] as Uint8Array)))

function refusal(code: Uint8Array, owner: Uint8Array, signatures: Uint8Array) {
  const checked = checkProgram({ code, parameter: signatures }, owner, message)
  return checked.ok ? undefined : checked.fault.code
}

describe('standard programs', () => {
  const [key] = keys as [Uint8Array]
  const code = standardCode(key)
  const owner = standardProgramHash(key)

  test('one valid signature of the owner spends', () => {
    expect(refusal(code, owner, parameter(0))).toBeUndefined()
    expect(refusal(code, owner, parameter(1))).toBe('MAIN_PROGRAM_SIGNATURE')
    expect(refusal(code, owner, parameter(0, 0))).toBe('MAIN_PROGRAM_SIGNATURE')
    expect(refusal(code, owner, new Uint8Array(0))).toBe('MAIN_PROGRAM_SIGNATURE')
    expect(refusal(code, owner, parameter(0).fill(0, 0, 1))).toBe('MAIN_PROGRAM_SIGNATURE')
  })

  test('the prefix is part of the owner', () => {
    const crossChain = programHashOf(AddressPrefix.crossChain, code)
    expect(refusal(code, crossChain, parameter(0))).toBe('MAIN_PROGRAM_HASH')
    expect(refusal(code, standardProgramHash(keys[1] as Uint8Array), parameter(0))).toBe(
      'MAIN_PROGRAM_HASH',
    )
  })
})

describe('multisig programs', () => {
  const code = multisigCode(2, keys)
  const owner = programHashOf(AddressPrefix.multisig, code)

  test('m different signers spend, in any order', () => {
    expect(refusal(code, owner, parameter(0, 1))).toBeUndefined()
    expect(refusal(code, owner, parameter(2, 0))).toBeUndefined()
    expect(refusal(code, owner, parameter(2, 0, 1))).toBeUndefined()
    expect(refusal(code, owner, parameter(0))).toBe('MAIN_PROGRAM_SIGNATURE')
    expect(refusal(code, owner, parameter(0, 0))).toBe('MAIN_PROGRAM_SIGNATURE')
    expect(refusal(code, owner, parameter(0, 1, 2, 0))).toBe('MAIN_PROGRAM_SIGNATURE')
  })

  test('arbiters’ and unknown codes do not spend here', () => {
    expect(refusal(multisigCode(2, keys, true), owner, parameter(0, 1))).toBe('MAIN_PROGRAM_CODE')
    const schnorr = concatBytes(Uint8Array.of(0x51, 0x21), keys[0] as Uint8Array)
    expect(refusal(schnorr, owner, parameter(0))).toBe('MAIN_PROGRAM_CODE')
    for (const malformed of [
      new Uint8Array(0),
      Uint8Array.of(0xae),
      code.slice(1),
      Uint8Array.from(code).fill(0x50, 0, 1),
      Uint8Array.from(code).fill(0x58, 0, 1),
      Uint8Array.from(code).fill(0x20, 35, 36),
    ]) {
      expect(parseCode(malformed)).toMatchObject({ fault: { code: 'MAIN_PROGRAM_CODE' } })
    }
  })
})

describe('amounts', () => {
  test('text of 8 decimals', () => {
    expect(formatEla(20_010_000n)).toBe('0.20010000')
    expect(formatEla(-1n)).toBe('-0.00000001')
    expect(parseEla('0.20010000')).toEqual({ ok: true, value: 20_010_000n })
    expect(parseEla('33000000')).toEqual({ ok: true, value: 3_300_000_000_000_000n })
    for (const text of ['', '-1', '1.', '.5', '1.123456789', '1e3', ' 1', '99999999999', '1,5']) {
      expect(parseEla(text)).toMatchObject({ fault: { code: 'ELA_AMOUNT_MALFORMED' } })
    }
    expect(parseEla(formatEla(SELA_MAX))).toEqual({ ok: true, value: SELA_MAX })
  })
})
