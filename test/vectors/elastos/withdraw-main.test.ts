import { bytesToHex, fromHex } from '@ioex/chain/bytes'
import {
  checkProgram,
  crossChainProgramHash,
  decodeTransaction,
  encodeTransaction,
  parseCode,
  parseElaAddress,
  parseSignatures,
  p256PublicKey,
  toDisplayHash,
  toInternalHex,
  verifyP256,
} from '@ioex/chain/elastos'
import { describe, expect, test } from 'vitest'
import { faultCode, internal, readVectors, valueOf } from './vector-file.ts'

interface Vectors {
  readonly arbiter_keys: readonly { readonly priv: string; readonly pub: string }[]
  readonly accepted: readonly {
    readonly name: string
    readonly raw: string
    readonly unsigned_bytes: string
    readonly hash_internal: string
    readonly expected_txid_display: string
    readonly multisig: {
      readonly m: number
      readonly n: number
      readonly public_keys: readonly string[]
    }
  }[]
  readonly rejected: readonly { readonly name: string; readonly raw?: string }[]
}

const vectors = readVectors<Vectors>('withdraw-main.json')
const DID_GENESIS = 'a3c455a90843db2acd22554f2768a8d4233fafbf8dd549e6b261c2786993be56'

describe('withdraw-main.json', () => {
  test.each(vectors.accepted)('$name', (vector) => {
    const { transaction, id, unsigned } = valueOf(decodeTransaction(fromHex(vector.raw)))
    expect(bytesToHex(encodeTransaction(transaction))).toBe(vector.raw)
    expect(bytesToHex(unsigned)).toBe(vector.unsigned_bytes)
    expect(toInternalHex(id)).toBe(vector.hash_internal)
    expect(toDisplayHash(id)).toBe(vector.expected_txid_display)
    const [program] = transaction.programs
    if (!program) expect.fail('the program is missing')
    const code = valueOf(parseCode(program.code))
    if (code.kind !== 'multisig') expect.fail('the code is not a multisig')
    expect(code).toMatchObject({ required: vector.multisig.m, crossChain: true })
    expect(code.publicKeys.map(bytesToHex)).toEqual(vector.multisig.public_keys)
    const signatures = valueOf(parseSignatures(program.parameter))
    expect(signatures).toHaveLength(vector.multisig.m)
    for (const signature of signatures) {
      expect(code.publicKeys.some((key) => verifyP256(signature, unsigned, key))).toBe(true)
    }
  })

  test.each(vectors.rejected.filter((vector) => vector.raw))('$name cannot spend', (vector) => {
    const { transaction, unsigned } = valueOf(decodeTransaction(fromHex(vector.raw as string)))
    expect(bytesToHex(encodeTransaction(transaction))).toBe(vector.raw)
    const [program] = transaction.programs
    if (!program) expect.fail('the program is missing')
    const deposit = crossChainProgramHash(internal(DID_GENESIS))
    expect(deposit).toEqual(valueOf(parseElaAddress('XKUh4GLhFJiqAMTF6HyWQrV9pK9HcGUdfJ')))
    expect(['MAIN_PROGRAM_CODE', 'MAIN_PROGRAM_HASH']).toContain(
      faultCode(checkProgram(program, deposit, unsigned)),
    )
  })

  test('arbiter keys', () => {
    for (const { priv, pub } of vectors.arbiter_keys) {
      expect(bytesToHex(p256PublicKey(fromHex(priv)))).toBe(pub)
    }
  })
})
