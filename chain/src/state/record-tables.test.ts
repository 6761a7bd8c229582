import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { hasher as asSha256 } from '@chainsafe/persistent-merkle-tree/hasher/as-sha256'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bytesToHex } from '../bytes/hex.ts'
import { sha256 } from '../bytes/hash.ts'
import {
  type Account,
  AccountType,
  DelegationType,
  MainHeaderRecordType,
  RailType,
} from '../types/records.ts'
import { flatRootsOf } from '../bytes/flat-roots.ts'
import { recordCodecs, recordLeaves } from './record-tables.ts'

setHasher(asSha256)

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const u32 = fc.nat(0xffff_ffff)
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n })
const accountArbitrary: fc.Arbitrary<Account> = fc.record({
  address: bytes(20),
  nextAddress: bytes(20),
  balance: u64,
  bond: u64,
  nonce: u32,
  flags: u32,
})

/** A record with a value of its own in every field. */
function filled(
  type: typeof RailType | typeof DelegationType | typeof MainHeaderRecordType,
  seed: number,
) {
  const length = type.fixedSize as number
  const content = new Uint8Array(length)
  for (let at = 0; at < length; at++) content[at] = sha256(Uint8Array.of(seed, at, at >> 8))[0] ?? 0
  // Booleans and counts are no arbitrary bytes.
  const value = type.defaultValue() as Record<string, unknown>
  let at = 0
  for (const { fieldName, fieldType } of type.fieldsEntries) {
    const own = content.subarray(at, at + (fieldType.fixedSize as number))
    at += own.length
    const old = value[fieldName]
    if (typeof old === 'boolean') value[fieldName] = seed % 2 === 0
    else if (typeof old === 'number') value[fieldName] = (own[0] as number) % 200
    else value[fieldName] = fieldType.deserialize(own)
  }
  return value
}

describe('record tables', () => {
  test('an account is its SSZ bytes, and its leaf their hash', () => {
    fc.assert(
      fc.property(fc.array(accountArbitrary, { minLength: 1, maxLength: 20 }), (accounts) => {
        const { serialize, deserialize, hashTreeRoot } = recordCodecs.accounts
        const leaves = recordLeaves('accounts', accounts)
        for (const [i, account] of accounts.entries()) {
          const row = serialize(account)
          expect(row).toEqual(AccountType.serialize(account))
          expect(deserialize(row)).toEqual(AccountType.deserialize(row))
          const leaf = leaves.slice(i * 32, (i + 1) * 32)
          expect(bytesToHex(leaf)).toBe(bytesToHex(sha256(row)))
          expect(leaf).toEqual(hashTreeRoot(account))
        }
      }),
    )
    expect(() => recordCodecs.accounts.deserialize(new Uint8Array(63))).toThrow(RangeError)
  })

  test.each([
    ['rails', RailType],
    ['delegations', DelegationType],
    ['mainHeaders', MainHeaderRecordType],
  ] as const)('the batch of %s gives the roots of the type', (table, type) => {
    for (const count of [0, 1, 2, 3, 7]) {
      const records = Array.from({ length: count }, (_, seed) => filled(type, seed))
      const roots = records.map((record) => type.hashTreeRoot(record as never))
      const leaves = recordLeaves(table, records as never)
      expect(bytesToHex(leaves)).toBe(roots.map(bytesToHex).join(''))
      expect(new Set(roots.map(bytesToHex)).size).toBe(count)
    }
  })

  test('a container with a longer field has no flat root: a bug of the caller', () => {
    const fieldsEntries = [{ fieldName: 'list', fieldType: { fixedSize: null, maxChunkCount: 9 } }]
    expect(() => flatRootsOf({ fieldsEntries } as never)).toThrow('a chunk a field')
  })
})
