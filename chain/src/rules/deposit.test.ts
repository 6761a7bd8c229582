import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { hasher as asSha256 } from '@chainsafe/persistent-merkle-tree/hasher/as-sha256'
import { describe, expect, test } from 'vitest'
import { SELA_MAX } from '../elastos/ela-amount.ts'
import { tableNames } from '../state/record-tables.ts'
import { draftOf, stateRoot } from '../state/ledger.ts'
import { loadLedger } from '../state/ledger-loader.ts'
import { changesOf } from '../state/state-changes.ts'
import { proveRecord, verifyRecord } from '../state/state-proof.ts'
import { DepositFailure, DepositRecordType, DepositState } from '../types/records.ts'
import { DepositOutcome, ReceiptKind } from '../types/receipts.ts'
import { balanceOf } from './accounts.ts'
import { depositOf, failedDepositsOfEpoch, isCredited } from './peg-view.ts'
import { auditSupply } from './supply.ts'
import { keyOf, SampleChain, UNITS } from './testing/sample-chain.ts'
import {
  addressText,
  confirmDeposits,
  depositOn,
  depositTransaction,
  elaAddressOf,
  type MinedDeposit,
  mineDeposits,
  mineEmpty,
  olderDeposit,
  recordHeaders,
} from './testing/sample-deposits.ts'

setHasher(asSha256)

const balance = (chain: SampleChain, name: string) => balanceOf(chain.ledger, keyOf(name).address)
const only = (mined: readonly MinedDeposit[]) => mined[0] as MinedDeposit

/** A chain on which one main-chain transaction has all its confirmations. */
function confirmed(build: (chain: SampleChain) => Parameters<typeof mineDeposits>[1][number]) {
  const chain = new SampleChain()
  const mined = only(confirmDeposits(chain, [build(chain)]))
  return { chain, mined }
}

describe('deposit', () => {
  test('is credited at its confirmations, not one block earlier, and once', () => {
    const chain = new SampleChain()
    const target = addressText(chain, 'alice')
    const before = balance(chain, 'alice')
    const mined = only(
      mineDeposits(chain.main, [depositTransaction(chain, [{ target, amount: 7n * UNITS }])]),
    )
    expect(chain.outcome(depositOn(chain, mined))).toBe('DEPOSIT_HEADER_UNKNOWN')
    mineEmpty(chain.main, chain.params.depositConfirmations - 2)
    recordHeaders(chain, chain.main)
    expect(chain.outcome(depositOn(chain, mined))).toBe('DEPOSIT_UNCONFIRMED')
    mineEmpty(chain.main, 1)
    recordHeaders(chain, chain.main)
    const { receipts } = chain.block([depositOn(chain, mined)])
    expect(balance(chain, 'alice') - before).toBe(7n * UNITS)
    expect(chain.ledger.peg()).toMatchObject({ deposited: 7n * UNITS, unbacked: 0n })
    expect(receipts[0]?.body).toMatchObject({
      selector: ReceiptKind.deposit,
      value: { amount: 7n * UNITS, account: keyOf('alice').address, mainTransaction: mined.id },
    })
    expect(chain.outcome(depositOn(chain, mined))).toBe('DEPOSIT_KNOWN')
    expect(depositOf(chain.ledger, mined.id)).toMatchObject({
      index: 0,
      record: { state: DepositState.credited, height: chain.height, entries: 1 },
    })
    expect(auditSupply(draftOf(chain.ledger)).ok).toBe(true)
  })

  test('twice in one block is a block that nobody accepts', () => {
    const { chain, mined } = confirmed((on) =>
      depositTransaction(on, [{ target: addressText(on, 'bob'), amount: 5n }]),
    )
    const twice = [depositOn(chain, mined), depositOn(chain, mined)]
    expect(() => chain.block(twice)).toThrow('DEPOSIT_KNOWN')
  })

  test('credits every entry to this chain and none to another, equal entries each', () => {
    const { chain, mined } = confirmed((on) => {
      const target = addressText(on, 'new')
      return depositTransaction(on, [
        { target, amount: 5n * UNITS },
        { target, amount: 5n * UNITS },
        { target, amount: 9n * UNITS, programHash: new Uint8Array(21).fill(0x4b) },
        { target: addressText(on, 'bob').toUpperCase(), amount: 1n },
      ])
    })
    const before = balance(chain, 'bob')
    const { receipts } = chain.block([depositOn(chain, mined)])
    expect(balance(chain, 'new')).toBe(10n * UNITS)
    expect(balance(chain, 'bob') - before).toBe(1n)
    expect(receipts).toHaveLength(3)
    expect(chain.ledger.peg().deposited).toBe(10n * UNITS + 1n)
  })

  test('of payload version 0 counts each output once', () => {
    const good = confirmed((on) =>
      olderDeposit(on, [
        { target: addressText(on, 'new'), amount: 3n },
        { target: addressText(on, 'new'), amount: 4n },
      ]),
    )
    good.chain.block([depositOn(good.chain, good.mined)])
    expect(balance(good.chain, 'new')).toBe(7n)
    const twice = confirmed((on) =>
      olderDeposit(on, [
        { target: addressText(on, 'new'), amount: 3n },
        { target: addressText(on, 'new'), amount: 3n, outputIndex: 0 },
      ]),
    )
    twice.chain.block([depositOn(twice.chain, twice.mined)])
    expect(balance(twice.chain, 'new')).toBe(0n)
    expect(depositOf(twice.chain.ledger, twice.mined.id)?.record.failure).toBe(DepositFailure.form)
    const beside = confirmed((on) =>
      olderDeposit(on, [
        { target: addressText(on, 'new'), amount: 3n },
        { target: addressText(on, 'new'), amount: 3n, outputIndex: 9 },
      ]),
    )
    beside.chain.block([depositOn(beside.chain, beside.mined)])
    expect(depositOf(beside.chain.ledger, beside.mined.id)?.record.failure).toBe(
      DepositFailure.form,
    )
  })

  test.each([
    ['an address of another chain', () => elaAddressOf('bob'), 5n, 20_000n, DepositFailure.address],
    ['an empty address', () => '', 5n, 20_000n, DepositFailure.address],
    ['a mistyped address', wrongLetter, 5n, 20_000n, DepositFailure.address],
    ['the amount zero', bob, 0n, 20_000n, DepositFailure.amount],
    ['a negative amount', bob, -5n, 20_000n, DepositFailure.amount],
    ['a fee below the minimum', bob, 5n, 10_004n, DepositFailure.amount],
    ['a negative value', bob, 5n, -1n, DepositFailure.amount],
    ['more than can exist', bob, SELA_MAX, SELA_MAX + 10_000n, DepositFailure.amount],
  ] as const)('with %s fails for good', (_, target, amount, value, failure) => {
    const { chain, mined } = confirmed((on) =>
      depositTransaction(on, [
        { target: addressText(on, 'new'), amount: 1n },
        { target: target(on), amount, value },
      ]),
    )
    const { receipts } = chain.block([depositOn(chain, mined)])
    expect(balance(chain, 'new')).toBe(0n)
    expect(chain.ledger.peg().deposited).toBe(0n)
    expect(receipts[0]?.body.value).toMatchObject({ outcome: DepositOutcome.failed, failure })
    const failed = failedDepositsOfEpoch(chain.ledger, chain.epoch)
    expect(failed.map(({ record }) => record.mainTransaction)).toEqual([mined.id])
    expect(failed.some(({ record }) => isCredited(record))).toBe(false)
    expect(failedDepositsOfEpoch(chain.ledger, chain.epoch + 1)).toEqual([])
    expect(chain.outcome(depositOn(chain, mined))).toBe('DEPOSIT_KNOWN')
  })

  test('is refused without proof, of another type, or when it pays others only', () => {
    const { chain, mined } = confirmed((on) =>
      depositTransaction(on, [{ target: addressText(on, 'bob'), amount: 5n }]),
    )
    const outcome = (changes: Partial<MinedDeposit>) =>
      chain.outcome(depositOn(chain, { ...mined, ...changes }))
    const wrongHash = mined.branch.map((hash) => hash.slice().fill(1)) as typeof mined.branch
    expect(outcome({ branch: wrongHash })).toBe('MAIN_BRANCH_ROOT')
    expect(outcome({ branchIndex: 2 })).toBe('MAIN_BRANCH_INDEX')
    expect(outcome({ mainHeight: mined.mainHeight - 1 })).toBe('MAIN_BRANCH_ROOT')
    expect(outcome({ raw: Uint8Array.from([...mined.raw, 0]) })).toMatch(/^MAIN_/)
    expect(outcome({})).toBe('ok')
    const others = confirmed((on) =>
      depositTransaction(on, [
        { target: 'x', amount: 5n, programHash: new Uint8Array(21).fill(0x4b) },
      ]),
    )
    expect(others.chain.outcome(depositOn(others.chain, others.mined))).toBe('DEPOSIT_NOT_OURS')
    const plain = confirmed((on) => ({
      ...depositTransaction(on, []),
      type: 2,
      payloadVersion: 0,
      payload: { kind: 'transfer' as const },
    }))
    expect(plain.chain.outcome(depositOn(plain.chain, plain.mined))).toBe('DEPOSIT_TYPE')
  })

  test('records survive the database and can be proven', () => {
    const { chain, mined } = confirmed((on) =>
      depositTransaction(on, [{ target: addressText(on, 'bob'), amount: 5n }]),
    )
    chain.block([depositOn(chain, mined)])
    const entries = everything(chain)
    const loaded = loadLedger(chain.params, chain.chainId, entries)
    expect(loaded.ok && stateRoot(loaded.value)).toEqual(stateRoot(chain.ledger))
    expect(loaded.ok && loaded.value.depositIndex(mined.id)).toBe(0)
    const proof = proveRecord(chain.ledger, 'deposits', 0)
    const record = depositOf(chain.ledger, mined.id)?.record
    expect(proof && record).toBeDefined()
    if (!proof || !record) return
    const bytes = DepositRecordType.serialize({ ...record })
    expect(verifyRecord(stateRoot(chain.ledger), 'deposits', bytes, proof).ok).toBe(true)
    const other = DepositRecordType.serialize({ ...record, amount: 6n })
    expect(verifyRecord(stateRoot(chain.ledger), 'deposits', other, proof).ok).toBe(false)
  })
})

function bob(chain: SampleChain): string {
  return addressText(chain, 'bob')
}

function wrongLetter(chain: SampleChain): string {
  const text = bob(chain)
  return text.slice(0, -1) + (text.endsWith('q') ? 'p' : 'q')
}

/** All entries of a ledger, as a database would hold them. */
function everything(chain: SampleChain) {
  const draft = draftOf(chain.ledger)
  const { ledger } = chain
  for (const table of tableNames) {
    const from = ledger[table] as { count: number; get(i: number): unknown }
    const to = draft[table] as { set(i: number, record: unknown): void }
    for (let i = 0; i < from.count; i++) to.set(i, from.get(i))
  }
  draft.setPeg({ ...ledger.peg() })
  draft.setGlobals({ ...ledger.globals() })
  return changesOf(draft)
}
