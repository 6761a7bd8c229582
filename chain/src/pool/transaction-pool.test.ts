import { describe, expect, test } from 'vitest'
import { fault, ok, type Result } from '../bytes/result.ts'
import { addressOf } from '../bytes/signature.ts'
import { transactionId } from '../types/transaction-codec.ts'
import { bytesToHex } from '../bytes/hex.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { ZERO_KEY, ZERO_SIGNATURE } from '../types/primitives.ts'
import { type Payload, PayloadKind, type Transaction } from '../types/transactions.ts'
import { POOL_PER_ACCOUNT_MAX, POOL_TRANSACTIONS_MAX, TransactionPool } from './transaction-pool.ts'

const key = (seed: number) => new Uint8Array(33).fill(seed).fill(2, 0, 1)
const transfer: Payload = {
  selector: PayloadKind.transfer,
  value: { to: new Uint8Array(20), amount: 1n },
}
const leave = (rail: number): Payload => ({
  selector: PayloadKind.leave,
  value: { rail, lost: false },
})

function transaction(change: Partial<Transaction['body']>): Transaction {
  const body = {
    sender: key(1),
    nonce: 0,
    validUntil: 10,
    maxBaseFee: 1n,
    tip: 0n,
    payload: transfer,
    ...change,
  }
  return { body, signature: ZERO_SIGNATURE }
}

const idOf = (tx: Transaction) => bytesToHex(transactionId(tx))
const ledgerAt = (height: number) => ({ globals: () => ({ height }) }) as unknown as LedgerDraft

function poolWith(trial: (tx: Transaction) => Result<unknown> = () => ok()) {
  const pool = new TransactionPool((tx) => trial(tx))
  const add = (tx: Transaction) => {
    const added = pool.add(idOf(tx), tx, 200)
    return added.ok ? 'ok' : added.fault.code
  }
  return { pool, add }
}

describe('transaction pool', () => {
  test('admits what the rules admit, once', () => {
    const { pool, add } = poolWith()
    const first = transaction({})
    expect(add(first)).toBe('ok')
    expect(add(first)).toBe('ALREADY_KNOWN')
    expect(add(transaction({ maxBaseFee: 2n }))).toBe('POOL_SLOT_TAKEN')
    expect(pool.size).toBe(1)
  })

  test('passes on the fault of the rule and keeps nothing', () => {
    const { pool, add } = poolWith(() => fault('INSUFFICIENT_FUNDS', 'poor'))
    expect(add(transaction({}))).toBe('INSUFFICIENT_FUNDS')
    expect(pool.size).toBe(0)
  })

  test('refuses the system lane from outside', () => {
    const headers: Payload = { selector: PayloadKind.mainHeaders, value: { headers: [] } }
    expect(poolWith().add(transaction({ sender: ZERO_KEY, payload: headers }))).toBe('SYSTEM_LANE')
  })

  test('bounds an account and counts its nonces', () => {
    const { pool, add } = poolWith()
    for (let nonce = 0; nonce < POOL_PER_ACCOUNT_MAX; nonce++) add(transaction({ nonce }))
    expect(add(transaction({ nonce: POOL_PER_ACCOUNT_MAX }))).toBe('POOL_ACCOUNT_FULL')
    expect(pool.nextNonce(addressOf(key(1)), 3)).toBe(POOL_PER_ACCOUNT_MAX)
    expect(pool.nextNonce(addressOf(key(2)), 3)).toBe(3)
  })

  test('keeps one transaction of a node per kind', () => {
    const { add } = poolWith()
    expect(add(transaction({ payload: leave(1) }))).toBe('ok')
    expect(add(transaction({ payload: leave(2) }))).toBe('POOL_SLOT_TAKEN')
    expect(add(transaction({ sender: key(2), payload: leave(2) }))).toBe('ok')
  })

  test('gives node-signed ones first, then accounts by tip in nonce order', () => {
    const { pool, add } = poolWith()
    const cheap = transaction({ sender: key(3) })
    const dear = transaction({ sender: key(4), tip: 5n })
    const dearNext = transaction({ sender: key(4), nonce: 1 })
    const early = transaction({ sender: key(5), payload: leave(1) })
    for (const tx of [cheap, dear, dearNext, early]) add(tx)
    expect([...pool.best()].map(idOf)).toEqual([early, dear, dearNext, cheap].map(idOf))
  })

  test('after a block drops the included, the expired and what no longer executes', () => {
    let refused = ''
    const { pool, add } = poolWith((tx) => (idOf(tx) === refused ? fault('OLD', 'old') : ok()))
    const [included, expired, stale, staleTail, fresh] = [
      transaction({ sender: key(1) }),
      transaction({ sender: key(2), validUntil: 5 }),
      transaction({ sender: key(3) }),
      transaction({ sender: key(3), nonce: 1 }),
      transaction({ sender: key(4) }),
    ] as const
    for (const tx of [included, expired, stale, staleTail, fresh]) add(tx)
    refused = idOf(stale)
    pool.afterBlock([idOf(included)], ledgerAt(5))
    expect([...pool.best()].map(idOf)).toEqual([idOf(fresh)])
  })

  test('is bounded as a whole', () => {
    const { add } = poolWith()
    for (let i = 0; i < POOL_TRANSACTIONS_MAX; i++) {
      const sender = key(0)
      new DataView(sender.buffer).setUint32(1, i)
      add(transaction({ sender }))
    }
    expect(add(transaction({ sender: key(7) }))).toBe('POOL_FULL')
  })
})
