import { expect, test } from 'vitest'
import type { DisplayHash } from '../elastos/hash-orientation.ts'
import { TransactionKind } from '../elastos/transaction-payload.ts'
import { isSpendable } from './memo-transaction.ts'

const txid = '00'.repeat(32) as DisplayHash
const output = { txid, index: 0, address: '', sela: 1n, outputLock: 0 }
const coinbase = { ...output, transactionType: TransactionKind.coinbase }
const transfer = { ...output, transactionType: TransactionKind.transfer }

test('what a block earned needs 100 more above it, what was paid none', () => {
  expect(isSpendable({ ...coinbase, confirmations: 100 }, 500)).toBe(false)
  expect(isSpendable({ ...coinbase, confirmations: 101 }, 500)).toBe(true)
  expect(isSpendable({ ...transfer, confirmations: 1 }, 500)).toBe(true)
  expect(isSpendable({ ...transfer, outputLock: 7, confirmations: 1 }, 500)).toBe(false)
})

test('what genesis gives is spendable, also where a block came since the blocks were counted', () => {
  expect(isSpendable({ ...coinbase, confirmations: 12 }, 12)).toBe(true)
  expect(isSpendable({ ...coinbase, confirmations: 13 }, 12)).toBe(true)
  expect(isSpendable({ ...coinbase, confirmations: 11 }, 12)).toBe(false)
})
