import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { hasher as asSha256 } from '@chainsafe/persistent-merkle-tree/hasher/as-sha256'
import { describe, expect, test } from 'vitest'
import { concatBytes } from '../bytes/hex.ts'
import { asInternalHash } from '../elastos/hash-orientation.ts'
import { decodeTransaction, encodeTransaction, transactionId } from '../elastos/transaction.ts'
import { SampleChain, UNITS } from './testing/sample-chain.ts'
import {
  addressText,
  confirmDeposits,
  depositOn,
  depositTransaction,
  type MinedDeposit,
  olderDeposit,
} from './testing/sample-deposits.ts'

setHasher(asSha256)

/** Lowest bit, highest bit, all bits of a byte. */
const MASKS = [0x01, 0x80, 0xff]

function* everyChange(bytes: Uint8Array): Generator<{ changed: Uint8Array; where: string }> {
  for (let at = 0; at < bytes.length; at++) {
    for (const mask of MASKS) {
      const changed = Uint8Array.from(bytes)
      changed[at] = (changed[at] as number) ^ mask
      yield { changed, where: `byte ${at} ^ ${mask}` }
    }
  }
}

function confirmed(build: typeof depositTransaction) {
  const chain = new SampleChain()
  const entries = [
    { target: addressText(chain, 'bob'), amount: 5n * UNITS },
    { target: addressText(chain, 'new'), amount: 7n },
  ]
  const program = { parameter: new Uint8Array(65).fill(7), code: new Uint8Array(35).fill(8) }
  const transaction = { ...build(chain, entries), programs: [program] }
  const others = [1n, 2n, 3n].map((amount) => build(chain, [{ target: 'x', amount }]))
  const mined = confirmDeposits(chain, [transaction, ...others])[0] as MinedDeposit
  return { chain, mined }
}

describe.each([
  ['payload version 0', olderDeposit],
  ['payload version 1', depositTransaction],
] as const)('a deposit of %s', (_, build) => {
  const { chain, mined } = confirmed(build)
  const outcome = (changes: Partial<MinedDeposit>) =>
    chain.outcome(depositOn(chain, { ...mined, ...changes }))

  test('is credited as it is', () => {
    expect(outcome({})).toBe('ok')
  })

  test('is refused with any byte of its transaction changed, but for its programs', () => {
    const decoded = decodeTransaction(mined.raw)
    if (!decoded.ok) expect.fail(decoded.fault.message)
    const { unsigned } = decoded.value
    expect(transactionId(decoded.value.transaction)).toEqual(mined.id)
    for (const { changed, where } of everyChange(unsigned)) {
      const raw = concatBytes(changed, mined.raw.subarray(unsigned.length))
      expect(outcome({ raw }), where).toMatch(/^MAIN_/)
    }
    const programs = mined.raw.subarray(unsigned.length)
    let readable = 0
    for (const { changed, where } of everyChange(programs)) {
      const raw = concatBytes(unsigned, changed)
      const other = decodeTransaction(raw)
      const result = outcome({ raw })
      // They lie outside the id: the main chain checked them when it took the transaction.
      expect(result === 'ok', where).toBe(other.ok)
      if (!other.ok) continue
      readable++
      expect(encodeTransaction(other.value.transaction), where).toEqual(raw)
    }
    expect(readable).toBe(MASKS.length * (65 + 35))
  })

  test('is refused with any byte of its branch, its index or its height changed', () => {
    expect(mined.branch.length).toBeGreaterThan(1)
    mined.branch.forEach((hash, i) => {
      for (const { changed, where } of everyChange(hash)) {
        const branch = mined.branch.with(i, asInternalHash(changed))
        expect(outcome({ branch }), `hash ${i}, ${where}`).toBe('MAIN_BRANCH_ROOT')
      }
    })
    for (let bit = 0; bit < 32; bit++) {
      const branchIndex = (mined.branchIndex ^ (1 << bit)) >>> 0
      expect(outcome({ branchIndex }), `bit ${bit} of the index`).toMatch(/^MAIN_BRANCH_/)
      const mainHeight = (mined.mainHeight ^ (1 << bit)) >>> 0
      const refused = outcome({ mainHeight })
      expect(refused, `bit ${bit} of the height`).toMatch(
        /^(MAIN_BRANCH_ROOT|DEPOSIT_HEADER_UNKNOWN|DEPOSIT_UNCONFIRMED)$/,
      )
    }
  })
})
