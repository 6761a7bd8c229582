import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { hasher as asSha256 } from '@chainsafe/persistent-merkle-tree/hasher/as-sha256'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bytesToHex } from '../bytes/hex.ts'
import { ReceiptKind, ReceiptListType, type Receipt } from './receipts.ts'
import { rootOfReceipts } from './receipt-roots.ts'
import { bodyRoot, prepareRoots, rootOfTransactions } from './transaction-roots.ts'
import {
  PayloadKind,
  type Payload,
  type Transaction,
  TransactionBodyType,
  TransactionListType,
} from './transactions.ts'

setHasher(asSha256)

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const u32 = fc.nat(0xffff_ffff)
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n })
const payload: fc.Arbitrary<Payload> = fc.oneof(
  fc.record({ to: bytes(20), amount: u64 }).map((value) => ({
    selector: PayloadKind.transfer,
    value,
  })),
  fc.record({ rail: u32, lost: fc.boolean(), unpaid: fc.boolean() }).map((value) => ({
    selector: PayloadKind.leave,
    value,
  })),
)
const transaction: fc.Arbitrary<Transaction> = fc.record({
  body: fc.record({
    sender: bytes(33),
    nonce: u32,
    validUntil: fc.maxSafeNat(),
    maxBaseFee: u64,
    tip: u64,
    payload,
  }),
  signature: bytes(64),
})
const creation = { kind: 1, index: 2, generation: 3, owner: new Uint8Array(20).fill(4) }
const receipt: fc.Arbitrary<Receipt> = fc.record({
  height: fc.maxSafeNat(),
  epoch: u32,
  transaction: u32,
  index: u32,
  body: fc.oneof(
    fc.record({ payer: bytes(20), bytes: u32, baseFee: u64, tip: u64 }).map((value) => ({
      selector: ReceiptKind.fee,
      value,
    })),
    u32.map((index) => ({ selector: ReceiptKind.creation, value: { ...creation, index } })),
  ),
})

describe('roots of a block in batches', () => {
  test('are those of the types, transaction by transaction and as a list', () => {
    fc.assert(
      fc.property(fc.array(transaction, { maxLength: 12 }), (transactions) => {
        const copies = transactions.map(({ body, signature }) => ({ body: { ...body }, signature }))
        prepareRoots(copies)
        for (const { body } of copies) {
          expect(bytesToHex(bodyRoot(body))).toBe(
            bytesToHex(TransactionBodyType.hashTreeRoot(body)),
          )
          // One that nothing was prepared for.
          expect(bodyRoot({ ...body })).toEqual(bodyRoot(body))
        }
        expect(bytesToHex(rootOfTransactions(transactions))).toBe(
          bytesToHex(TransactionListType.hashTreeRoot([...transactions])),
        )
      }),
      { numRuns: 40 },
    )
  })

  test('of receipts too', () => {
    fc.assert(
      fc.property(fc.array(receipt, { maxLength: 12 }), (receipts) => {
        expect(bytesToHex(rootOfReceipts(receipts))).toBe(
          bytesToHex(ReceiptListType.hashTreeRoot([...receipts])),
        )
      }),
      { numRuns: 40 },
    )
  })

  test('a list of one more gives another root', () => {
    const [one] = fc.sample(transaction, { numRuns: 1, seed: 7 })
    if (!one) throw new Error('a sample is one')
    const roots = [[], [one], [one, one]].map((list) => bytesToHex(rootOfTransactions(list)))
    expect(new Set(roots).size).toBe(3)
  })
})
