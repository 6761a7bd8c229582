import { bytesToHex, fromHex, utf8ToBytes } from '@ioex/chain/bytes'
import {
  formatElaAddress,
  multisigCode,
  p256PublicKey,
  parseCode,
  parseElaAddress,
  programHashOf,
  signP256,
  standardCode,
  standardProgramHash,
  verifyP256,
} from '@ioex/chain/elastos'
import { describe, expect, test } from 'vitest'
import { readVectors, valueOf } from './vector-file.ts'

interface AddressItem {
  readonly address: string
  readonly code: string
  readonly prefix: string
  readonly program_hash: string
}

interface Vectors {
  readonly one_code_many_prefixes: {
    readonly items: readonly AddressItem[]
    readonly private_key: string
    readonly public_key: string
  }
  readonly multisig_2of2: {
    readonly address: string
    readonly code: string
    readonly crosschain_withdraw_code_2of2: string
    readonly program_hash: string
    readonly public_keys: readonly string[]
  }
  readonly ecdsa: {
    readonly data_hex: string
    readonly public_key: string
    readonly private_key: string
    readonly signature_r_s: string
  }
  readonly known_addresses: readonly { readonly address: string; readonly program_hash: string }[]
  readonly key_pairs: {
    readonly rows: readonly {
      readonly private_key: string
      readonly public_key_compressed: string
      readonly address: string
    }[]
  }
  readonly pubkey_to_address: readonly {
    readonly public_key: string
    readonly expected_address: string
  }[]
  readonly address_to_program_hash: readonly {
    readonly address: string
    readonly program_hash: string
    readonly invalid: readonly string[]
  }[]
  readonly multisig_code_sample: {
    readonly code: string
    readonly code_hash: string
    readonly address_prefix_12: string
  }
}

const vectors = readVectors<Vectors>('addresses-keys.json')

describe('addresses-keys.json', () => {
  test.each(vectors.one_code_many_prefixes.items)('$address from its code', (item) => {
    const prefix = Number.parseInt(item.prefix, 16)
    const programHash = programHashOf(prefix, fromHex(item.code))
    expect(bytesToHex(programHash)).toBe(item.program_hash)
    expect(formatElaAddress(programHash)).toBe(item.address)
    expect(bytesToHex(valueOf(parseElaAddress(item.address)))).toBe(item.program_hash)
    const publicKey = fromHex(vectors.one_code_many_prefixes.public_key)
    expect(bytesToHex(standardCode(publicKey))).toBe(item.code)
  })

  test('multisig: key order, numbers, both tails', () => {
    const { multisig_2of2: vector } = vectors
    const keys = vector.public_keys.map(fromHex)
    const code = multisigCode(2, keys)
    expect(bytesToHex(code)).toBe(vector.code)
    expect(bytesToHex(multisigCode(2, keys, true))).toBe(vector.crosschain_withdraw_code_2of2)
    expect(formatElaAddress(programHashOf(0x12, code))).toBe(vector.address)
    expect(valueOf(parseCode(code))).toMatchObject({ kind: 'multisig', required: 2 })
  })

  test('a 2-of-3 code is read and has its address', () => {
    const { multisig_code_sample: sample } = vectors
    const code = fromHex(sample.code)
    const parsed = valueOf(parseCode(code))
    expect(parsed).toMatchObject({ kind: 'multisig', required: 2, crossChain: false })
    expect(bytesToHex(programHashOf(0x12, code)).slice(2)).toBe(sample.code_hash)
    expect(formatElaAddress(programHashOf(0x12, code))).toBe(sample.address_prefix_12)
  })

  test('P-256 over one SHA-256, high s accepted', () => {
    const data = fromHex(vectors.ecdsa.data_hex)
    const publicKey = fromHex(vectors.ecdsa.public_key)
    const secretKey = fromHex(vectors.ecdsa.private_key)
    expect(verifyP256(fromHex(vectors.ecdsa.signature_r_s), data, publicKey)).toBe(true)
    expect(verifyP256(signP256(data, secretKey), data, publicKey)).toBe(true)
    expect(verifyP256(signP256(data, secretKey), utf8ToBytes('other'), publicKey)).toBe(false)
    expect(verifyP256(new Uint8Array(64), data, publicKey)).toBe(false)
    expect(verifyP256(new Uint8Array(63), data, publicKey)).toBe(false)
    expect(verifyP256(new Uint8Array(64).fill(255), data, new Uint8Array(33))).toBe(false)
  })

  test.each(vectors.known_addresses)('$address is known', (item) => {
    expect(bytesToHex(valueOf(parseElaAddress(item.address)))).toBe(item.program_hash)
    expect(formatElaAddress(fromHex(item.program_hash))).toBe(item.address)
  })

  test.each(vectors.key_pairs.rows)('$address from its secret key', (row) => {
    const publicKey = p256PublicKey(fromHex(row.private_key))
    expect(bytesToHex(publicKey)).toBe(row.public_key_compressed)
    expect(formatElaAddress(standardProgramHash(publicKey))).toBe(row.address)
  })

  test.each(vectors.pubkey_to_address)('$expected_address from its public key', (row) => {
    const programHash = standardProgramHash(fromHex(row.public_key))
    expect(formatElaAddress(programHash)).toBe(row.expected_address)
  })

  test.each(vectors.address_to_program_hash)('$address parses, wrong texts do not', (row) => {
    expect(bytesToHex(valueOf(parseElaAddress(row.address)))).toBe(row.program_hash)
    const misspelt = `${row.address.slice(0, -1)}1`
    for (const text of [...row.invalid, misspelt, row.address.toLowerCase(), '0'.repeat(34)]) {
      expect(parseElaAddress(text)).toMatchObject({ fault: { code: 'ELA_ADDRESS_MALFORMED' } })
    }
  })
})
