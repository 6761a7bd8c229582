import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { concatBytes, fromHex } from '../bytes/hex.ts'
import { asInternalHash, doubleHash } from '../elastos/hash-orientation.ts'
import { type DecodedTransaction, decodeTransaction } from '../elastos/transaction.ts'
import { isForeignTransaction } from './foreign-transaction.ts'

const file = new URL('../../../test/vectors/elastos/transactions.json', import.meta.url)
const real: DecodedTransaction[] = JSON.parse(readFileSync(file, 'utf8'))
  .vectors.map(({ raw }: { raw: string }) => decodeTransaction(fromHex(raw)))
  .flatMap((decoded: ReturnType<typeof decodeTransaction>) => (decoded.ok ? [decoded.value] : []))

/** A type that no main node has. */
const UNKNOWN_TYPE = 0xee

function withType({ unsigned, raw, transaction }: DecodedTransaction) {
  const changed = unsigned.slice()
  changed[transaction.version >= 9 ? 1 : 0] = UNKNOWN_TYPE
  if (transaction.version < 9) changed.set([9, UNKNOWN_TYPE], 0)
  const programs = raw.slice(unsigned.length)
  return { raw: concatBytes(changed, programs), id: doubleHash(changed), unsigned: changed }
}

describe('a transaction that we cannot read', () => {
  test('is told by its id: of a type nobody knows yet, with any programs', async () => {
    for (const each of real) {
      const { raw, id, unsigned } = withType(each)
      expect(decodeTransaction(raw).ok).toBe(false)
      expect(await isForeignTransaction(raw, id)).toBe(true)
      expect(await isForeignTransaction(unsigned, id)).toBe(true)
    }
  })

  test('is not one that we can read, given with damaged programs or none at all', async () => {
    expect(real.length).toBeGreaterThan(10)
    for (const { raw, unsigned, id } of real) {
      expect(await isForeignTransaction(concatBytes(raw, Uint8Array.of(0)), id)).toBe(false)
      expect(await isForeignTransaction(unsigned, id)).toBe(false)
    }
  })

  test('is not whatever bytes of another id', async () => {
    for (const each of real.slice(0, 3)) {
      const { raw } = withType(each)
      expect(await isForeignTransaction(raw, each.id)).toBe(false)
      expect(await isForeignTransaction(raw, asInternalHash(new Uint8Array(32)))).toBe(false)
    }
    expect(await isForeignTransaction(new Uint8Array(0), doubleHash(new Uint8Array(0)))).toBe(false)
    const long = new Uint8Array(20_000).fill(7)
    expect(await isForeignTransaction(long, asInternalHash(new Uint8Array(32)))).toBe(false)
  })
})
