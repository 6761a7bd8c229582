import { expect, test } from 'vitest'
import { bytesToHex } from '../bytes/hex.ts'
import { transactionId } from '../types/transaction-codec.ts'
import { type Payload, PayloadKind, type Transaction } from '../types/transactions.ts'
import { notYetIn } from './block-execution.ts'

const redeem: Payload = {
  selector: PayloadKind.redeem,
  value: { rails: [0], vouchers: [], least: 0n },
}
const send: Payload = {
  selector: PayloadKind.transfer,
  value: { to: new Uint8Array(20), amount: 1n },
}

function signed(payload: Payload, validUntil: number): Transaction {
  const sender = new Uint8Array(33).fill(2)
  const body = { sender, nonce: 0, validUntil, maxBaseFee: 0n, tip: 0n, payload }
  return { body, signature: new Uint8Array(64) }
}

test('a redeem that a block below holds is not taken again; a nonce looks after the rest', () => {
  const [first, second] = [signed(redeem, 9), signed(redeem, 10)]
  const transfer = signed(send, 9)
  const held = new Set([first, transfer].map((each) => bytesToHex(transactionId(each))))
  const waiting = [first, second, transfer]
  expect([...notYetIn(waiting, held)]).toEqual([second, transfer])
  expect([...notYetIn(waiting, new Set())]).toEqual(waiting)
})
