import { fromHex, utf8ToBytes } from '@ioex/chain/bytes'
import {
  aggregatePublicKeys,
  checkProgramSignatures,
  doubleHash,
  formatElaAddress,
  parseCode,
  programHashOf,
  toInternalHex,
  verifySchnorr,
} from '@ioex/chain/elastos'
import { describe, expect, test } from 'vitest'
import { internal, readVectors, valueOf } from './vector-file.ts'

const vector = readVectors<{
  address: string
  aggregate_public_key: string
  message: string
  message_sha256d_of: string
  public_keys: readonly string[]
  redeem_script: string
  signature: string
}>('schnorr.json')

const key = fromHex(vector.aggregate_public_key)
const signature = fromHex(vector.signature)
const message = internal(vector.message)

describe('schnorr.json', () => {
  test('keys add up, the signature is valid, the program spends', () => {
    expect(aggregatePublicKeys(vector.public_keys.map(fromHex))).toEqual(key)
    const unsigned = fromHex(vector.message_sha256d_of)
    expect(toInternalHex(doubleHash(unsigned))).toBe(vector.message)
    expect(verifySchnorr(signature, message, key)).toBe(true)
    const code = fromHex(vector.redeem_script)
    expect(valueOf(parseCode(code))).toEqual({ kind: 'schnorr', publicKey: key })
    expect(formatElaAddress(programHashOf(0x21, code))).toBe(vector.address)
    expect(checkProgramSignatures({ code, parameter: signature }, unsigned).ok).toBe(true)
  })

  test('every changed byte of signature, message or key is noticed', () => {
    const changed = (bytes: Uint8Array, at: number) => {
      const copy = Uint8Array.from(bytes)
      copy[at] = (copy[at] as number) ^ 1
      return copy
    }
    for (let at = 0; at < 64; at++) {
      expect(verifySchnorr(changed(signature, at), message, key), `byte ${at}`).toBe(false)
    }
    for (let at = 0; at < 33; at++) {
      expect(verifySchnorr(signature, message, changed(key, at)), `byte ${at}`).toBe(false)
    }
    expect(verifySchnorr(signature, doubleHash(utf8ToBytes('other')), key)).toBe(false)
  })

  test('what is malformed is no signature', () => {
    for (const bytes of [new Uint8Array(64), new Uint8Array(63), new Uint8Array(64).fill(255)]) {
      expect(verifySchnorr(bytes, message, key)).toBe(false)
    }
    expect(verifySchnorr(signature, message, new Uint8Array(33))).toBe(false)
    expect(aggregatePublicKeys([new Uint8Array(33)])).toBeUndefined()
    // A key and its negative add up to nothing.
    const negative = Uint8Array.from(key).fill((key[0] as number) ^ 1, 0, 1)
    expect(aggregatePublicKeys([key, negative])).toBeUndefined()
  })
})
