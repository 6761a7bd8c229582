import { BlockBodyType, ContractType, NONE, PayloadKind, ReceiptListType } from '@ioex/chain/types'
import { AccountType, NodeType, ReceiptBodyType, ReceiptKind } from '@ioex/chain/types'
import { RailType, TransactionType } from '@ioex/chain/types'
import { expect, test } from 'vitest'
import { jsonSchemaOf, sszToJson } from './ssz-json.ts'

test('renders money as strings, addresses as text, none as null', () => {
  const account = { ...AccountType.defaultValue(), balance: 2n ** 64n - 1n, nonce: 7 }
  account.address = new Uint8Array(20).fill(1)
  const json = sszToJson(AccountType, account, 'ioex')
  expect(json.balance).toBe('18446744073709551615')
  expect(json.nonce).toBe(7)
  expect(json.address).toMatch(/^ioex1/)
  const rail = sszToJson(RailType, { ...RailType.defaultValue(), contract: NONE }, 'ioex')
  expect(rail.contract).toBeNull()
  expect(rail.root).toBe('00'.repeat(32))
})

test('every kind of payload and receipt has its name and fits its schema', () => {
  const transaction = TransactionType.defaultValue()
  const transactionSchema = jsonSchemaOf(TransactionType)
  for (const [name, selector] of Object.entries(PayloadKind)) {
    transaction.body.payload = {
      selector,
      value: TransactionType.fields.body.fields.payload.types[selector]?.defaultValue() as never,
    }
    const json = sszToJson(TransactionType, transaction, 'ioex')
    expect(json.body.payload.type).toBe(name)
    expect(transactionSchema.safeParse(json).error).toBeUndefined()
  }
  const receiptSchema = jsonSchemaOf(ReceiptBodyType)
  for (const [name, selector] of Object.entries(ReceiptKind)) {
    const value = ReceiptBodyType.types[selector]?.defaultValue() as never
    const json = sszToJson(ReceiptBodyType, { selector, value }, 'ioex')
    expect(json.type).toBe(name)
    expect(receiptSchema.safeParse(json).error).toBeUndefined()
  }
})

test('default records fit their schemas', () => {
  for (const type of [AccountType, NodeType, RailType, ContractType, BlockBodyType]) {
    const json = sszToJson(type, type.defaultValue() as never, 'ioex')
    expect(jsonSchemaOf<typeof type>(type).safeParse(json).error).toBeUndefined()
    expect(() => JSON.stringify(json)).not.toThrow()
  }
  expect(sszToJson(ReceiptListType, [], 'ioex')).toEqual([])
})
