import { beforeAll, expect, test } from 'vitest'
import { bytesEqual, bytesToHex } from '../bytes/hex.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { stateRoot } from '../state/ledger.ts'
import { pruneBlock, transactionsOf } from '../types/pruned-block.ts'
import { transactionBytes, transactionId } from '../types/transaction-codec.ts'
import type { PayloadKind, Transaction } from '../types/transactions.ts'
import { HeaderType } from '../types/consensus-objects.ts'
import { applyTransaction, endBlock } from './execute-block.ts'
import { withShapedOpenings } from './shaped-openings.ts'
import { validTransactions } from './testing/valid-transactions.ts'

beforeAll(() => installNativeCrypto())

const KINDS = ['fill', 'prove', 'claimSlot'] as const satisfies readonly PayloadKind[]

function withoutOpenings(transaction: Transaction): Transaction {
  const header = HeaderType.defaultValue()
  const pruned = pruneBlock({ header, body: { transactions: [transaction] } })
  const [left] = pruned ? transactionsOf(pruned) : []
  if (!left) throw new Error('it has openings')
  return left
}

test.each(KINDS)('a %s without openings leaves what it left with them', (kind) => {
  const { stage, transaction } = validTransactions[kind]('this chain')
  const whole = stage.begin()
  expect(applyTransaction(whole, transaction).ok).toBe(true)
  const execution = stage.begin()
  const pruned = withoutOpenings(transaction)
  const shaped = withShapedOpenings(execution.draft, pruned, execution.block.epoch)
  expect(transactionBytes(shaped)).toBe(transactionBytes(transaction))
  expect(bytesEqual(transactionId(shaped), transactionId(transaction))).toBe(true)
  const applied = applyTransaction(execution, shaped, { believesOpenings: true })
  expect(applied).toEqual({ ok: true, value: undefined })
  expect(bytesToHex(stateRoot(execution.draft))).toBe(bytesToHex(stateRoot(whole.draft)))
  expect(endBlock(execution).roots).toEqual(endBlock(whole).roots)
})

test.each(KINDS)('a %s without openings is refused by whoever does not ask to believe', (kind) => {
  const { stage, transaction } = validTransactions[kind]('this chain')
  const pruned = withoutOpenings(transaction)
  const { draft, block } = stage.begin()
  for (const tried of [pruned, withShapedOpenings(draft, pruned, block.epoch)]) {
    const refused = applyTransaction(stage.begin(), tried)
    expect(refused).toMatchObject({ ok: false, fault: { code: expect.stringMatching(/^OPENING/) } })
  }
})
