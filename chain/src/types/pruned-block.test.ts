import { beforeAll, describe, expect, test } from 'vitest'
import { bytesToHex } from '../bytes/hex.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { validTransactions } from '../rules/testing/valid-transactions.ts'
import { BLOCK_BYTES_MAX, type Block, BlockType } from './block.ts'
import { HeaderType } from './consensus-objects.ts'
import { hasOpenings, PrunedBlockType, pruneBlock, transactionsOf } from './pruned-block.ts'
import {
  encodeTransaction,
  transactionId,
  transactionListRoot,
  verifyTransaction,
} from './transaction-codec.ts'
import { PayloadKind, type Transaction } from './transactions.ts'

beforeAll(() => installNativeCrypto())

const kinds = Object.keys(PayloadKind) as PayloadKind[]
const header = { ...HeaderType.defaultValue(), height: 7 }
const blockOf = (transactions: Transaction[]): Block => ({ header, body: { transactions } })
const ids = (transactions: readonly Transaction[]) =>
  transactions.map((transaction) => bytesToHex(transactionId(transaction)))

describe('a block without openings', () => {
  test('has the ids, the signatures and the root that it had, for every kind', () => {
    const valid = kinds.map((kind) => validTransactions[kind]('this chain'))
    const transactions = valid.map(({ transaction }) => transaction)
    const block = blockOf(transactions)
    const pruned = pruneBlock(block)
    if (!pruned) throw new Error('some of them carry openings')
    const bytes = PrunedBlockType.serialize(pruned)
    const decoded = decodeCanonical(PrunedBlockType, bytes, BLOCK_BYTES_MAX)
    if (!decoded.ok) throw new Error(decoded.fault.message)
    const left = transactionsOf(decoded.value)
    expect(ids(left)).toEqual(ids(transactions))
    expect(transactionListRoot(left)).toEqual(transactionListRoot(transactions))
    for (const [i, { stage, secretKey }] of valid.entries()) {
      if (secretKey) expect(verifyTransaction(left[i] as Transaction, stage.chainId)).toBe(true)
    }
    // All that has no openings is there byte for byte.
    for (const [i, transaction] of left.entries()) {
      if (hasOpenings(transaction)) continue
      expect(encodeTransaction(transaction)).toEqual(
        encodeTransaction(transactions[i] as Transaction),
      )
    }
    const gone = left.filter(hasOpenings)
    expect(gone.map(({ body }) => body.payload.selector)).toEqual([
      PayloadKind.fill,
      PayloadKind.prove,
      PayloadKind.claimSlot,
    ])
    for (const { body } of gone) expect(body.payload.value).toMatchObject({ openings: [] })
  })

  test('is a small part of a block of proofs, and taken by nobody for a whole one', () => {
    const { transaction } = validTransactions.prove('this chain')
    const block = blockOf([transaction, transaction, transaction])
    const pruned = pruneBlock(block)
    if (!pruned) throw new Error('proofs carry openings')
    const whole = BlockType.serialize({ ...block })
    const bytes = PrunedBlockType.serialize(pruned)
    expect(bytes.length - HeaderType.serialize(header).length).toBeLessThan(3 * 300)
    expect(bytes.length * 5).toBeLessThan(whole.length)
    expect(decodeCanonical(BlockType, bytes, BLOCK_BYTES_MAX).ok).toBe(false)
    expect(decodeCanonical(PrunedBlockType, whole, BLOCK_BYTES_MAX).ok).toBe(false)
  })

  test('a changed opening is another root: what was pruned cannot be made up later', () => {
    const { transaction } = validTransactions.fill('this chain')
    const { payload } = transaction.body
    if (payload.selector !== PayloadKind.fill) throw new Error('a fill')
    const openings = payload.value.openings.with(0, payload.value.openings[1] as never)
    const body = {
      ...transaction.body,
      payload: { ...payload, value: { ...payload.value, openings } },
    }
    const [own, other] = [transaction, { ...transaction, body }].map((one) => {
      const pruned = pruneBlock(blockOf([one]))
      return pruned && ids(transactionsOf(pruned))
    })
    expect(own).toEqual(ids([transaction]))
    expect(other).not.toEqual(own)
  })

  test('is not made of a block that has none', () => {
    const { transaction } = validTransactions.transfer('this chain')
    expect(pruneBlock(blockOf([transaction]))).toBeUndefined()
    expect(pruneBlock(blockOf([]))).toBeUndefined()
  })
})
