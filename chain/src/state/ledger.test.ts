import { setHasher } from '@chainsafe/persistent-merkle-tree'
import { hasher as asSha256 } from '@chainsafe/persistent-merkle-tree/hasher/as-sha256'
import { ByteVectorType, ListCompositeType } from '@chainsafe/ssz'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sha256 } from '../bytes/hash.ts'
import { bytesToHex, compareBytes } from '../bytes/hex.ts'
import { presets } from '../../../genesis/src/presets/presets.ts'
import { credit, debit } from '../rules/accounts.ts'
import { type Account, AccountType, NodeType, RailType } from '../types/records.ts'
import type { LedgerDraft } from './ledger-draft.ts'
import {
  changedRecords,
  clear,
  createLedger,
  draftOf,
  type Ledger,
  merge,
  mergeAndClear,
  stateRoot,
} from './ledger.ts'
import { loadLedger } from './ledger-loader.ts'
import { changesOf } from './state-changes.ts'
import type { StateChange } from './record-tables.ts'

setHasher(asSha256)

const params = presets.ci
const chainId = sha256(Uint8Array.of(1))
const address = (value: number) => sha256(Uint8Array.of(value & 255, value >> 8)).slice(0, 20)
const rootHex = (ledger: LedgerDraft) => bytesToHex(stateRoot(ledger))

function accountsOf(ledger: LedgerDraft): Account[] {
  return Array.from({ length: ledger.accounts.count }, (_, i) => ledger.accounts.get(i) as Account)
}

/** What a database would hold after the given batches. */
function stored(batches: readonly (readonly StateChange[])[]): StateChange[] {
  const entries = new Map<string, Uint8Array>()
  for (const { key, bytes } of batches.flat()) {
    if (bytes === null) entries.delete(key)
    else entries.set(key, bytes)
  }
  return [...entries].map(([key, bytes]) => ({ key, bytes }))
}

function reload(batches: readonly (readonly StateChange[])[]): Ledger {
  const loaded = loadLedger(params, chainId, stored(batches))
  if (!loaded.ok) throw new Error(loaded.fault.message)
  return loaded.value
}

/** The linked list holds all accounts in circular order: what makes absence provable. */
function checkLinks(ledger: LedgerDraft): void {
  const accounts = accountsOf(ledger)
  const sorted = [...accounts].sort((a, b) => compareBytes(a.address, b.address))
  for (const [i, account] of sorted.entries()) {
    const next = sorted[(i + 1) % sorted.length] as Account
    expect(bytesToHex(account.nextAddress)).toBe(bytesToHex(next.address))
  }
}

describe('accounts', () => {
  test('credit and debit agree with a plain map; the linked list stays whole', () => {
    const operation = fc.tuple(fc.boolean(), fc.nat(60), fc.bigInt({ min: 0n, max: 1000n }))
    fc.assert(
      fc.property(fc.array(fc.array(operation, { maxLength: 30 }), { maxLength: 5 }), (blocks) => {
        const ledger = createLedger(params, chainId)
        const model = new Map<string, bigint>()
        for (const operations of blocks) {
          const draft = draftOf(ledger)
          for (const [isCredit, who, amount] of operations) {
            const key = bytesToHex(address(who))
            const balance = model.get(key) ?? 0n
            if (isCredit) {
              credit(draft, address(who), amount)
              if (amount > 0n || model.has(key)) model.set(key, balance + amount)
            } else {
              const result = debit(draft, address(who), amount)
              expect(result.ok).toBe(balance >= amount)
              if (result.ok && model.has(key)) model.set(key, balance - amount)
            }
          }
          const speculative = rootHex(draft)
          merge(draft)
          expect(rootHex(ledger)).toBe(speculative)
        }
        expect(ledger.accounts.count).toBe(model.size)
        for (const account of accountsOf(ledger)) {
          expect(account.balance).toBe(model.get(bytesToHex(account.address)))
        }
        checkLinks(ledger)
      }),
      { numRuns: 50 },
    )
  })

  test('the account table root is the SSZ list of 64-byte records', () => {
    const ledger = createLedger(params, chainId)
    const draft = draftOf(ledger)
    for (let i = 0; i < 5; i++) credit(draft, address(i), BigInt(i + 1))
    merge(draft)
    const list = new ListCompositeType(new ByteVectorType(64), 8)
    const records = accountsOf(ledger).map((account) => AccountType.serialize(account))
    expect(ledger.accounts.tree.root()).toEqual(list.hashTreeRoot(records))
  })
})

describe('drafts', () => {
  test('stack, merge upwards and leave the base alone until its turn', () => {
    const ledger = createLedger(params, chainId)
    const empty = rootHex(ledger)
    const first = draftOf(ledger)
    credit(first, address(1), 10n)
    const afterFirst = rootHex(first)
    const second = draftOf(first)
    credit(second, address(2), 20n)
    const transaction = draftOf(second)
    credit(transaction, address(3), 30n)
    const afterAll = rootHex(transaction)
    expect(rootHex(second)).not.toBe(afterAll)
    merge(transaction)
    expect(rootHex(second)).toBe(afterAll)
    expect(rootHex(ledger)).toBe(empty)

    merge(first)
    expect(rootHex(ledger)).toBe(afterFirst)
    expect(rootHex(second)).toBe(afterAll)
    const third = draftOf(second)
    credit(third, address(1), 1n)
    merge(second)
    merge(third)
    expect(accountsOf(ledger).map(({ balance }) => balance)).toEqual([11n, 20n, 30n])
    checkLinks(ledger)
  })

  test('a dropped draft leaves no trace', () => {
    const ledger = createLedger(params, chainId)
    const block = draftOf(ledger)
    credit(block, address(1), 10n)
    const before = rootHex(block)
    const failed = draftOf(block)
    credit(failed, address(2), 5n)
    expect(rootHex(block)).toBe(before)
    expect(block.accountIndex(address(2))).toBeUndefined()
  })

  test('a draft beside the merged one is stale and says so', () => {
    const ledger = createLedger(params, chainId)
    const chosen = draftOf(ledger)
    const sibling = draftOf(ledger)
    credit(chosen, address(1), 1n)
    credit(sibling, address(1), 2n)
    merge(chosen)
    expect(() => stateRoot(sibling)).toThrow('no longer the committed one')
    expect(() => merge(sibling)).toThrow('no longer the committed one')
    expect(() => merge(chosen)).toThrow('only an open draft')
    expect(() => ledger.accounts.set(0, accountsOf(ledger)[0] as Account)).toThrow('merging')
  })

  test('changedRecords tells old and new', () => {
    const ledger = createLedger(params, chainId)
    const first = draftOf(ledger)
    credit(first, address(1), 10n)
    merge(first)
    const second = draftOf(ledger)
    credit(second, address(1), 5n)
    credit(second, address(2), 7n)
    const seen = [...changedRecords(second, 'accounts')].map(({ index, before, after }) => [
      index,
      before?.balance,
      after.balance,
    ])
    expect(seen).toEqual([
      [0, 10n, 15n],
      [1, undefined, 7n],
    ])
  })
})

describe('stored state', () => {
  test('all tables, singles and side lists come back', () => {
    const ledger = createLedger(params, chainId)
    const batches: StateChange[][] = []
    const commit = (write: (draft: LedgerDraft) => void) => {
      const draft = draftOf(ledger)
      write(draft)
      batches.push(changesOf(draft))
      merge(draft)
    }
    const entry = (rail: number) => ({ rail, generation: 0, weight: BigInt(rail) })
    const entries = Array.from({ length: 600 }, (_, i) => entry(i))
    const snapshot = (epoch: number) => ({ epoch, root: sha256(), sum: 1n, bytes: 1, count: 1 })
    const node = { ...NodeType.defaultValue(), nodeKey: new Uint8Array(33).fill(2) }
    commit((draft) => {
      for (let i = 0; i < 40; i++) credit(draft, address(i), 100n)
      draft.nodes.set(0, { ...node, snapshots: [snapshot(1), snapshot(2)] })
      draft.setInventory(0, entries)
      draft.setInventorySnapshots(0, [entries.slice(0, 300), entries.slice(0, 10)])
      draft.setRewardLeaf(1, 0, { node: address(1), fee: 3n })
      draft.rails.set(0, { ...RailType.defaultValue(), live: true, lockTime: 9n })
      draft.setGlobals({ ...draft.globals(), height: 1, minted: 5n })
      draft.setPeg({ ...draft.peg(), deposited: 4n })
    })
    commit((draft) => {
      credit(draft, address(3), 1n)
      draft.setInventory(0, entries.slice(0, 290))
      draft.nodes.set(0, { ...node, snapshots: [snapshot(2), snapshot(3)] })
      draft.setInventorySnapshots(0, [entries.slice(0, 10), entries])
    })
    // Only the changed chunks are written: the first 256 entries stayed.
    const keys = (batches[1] ?? []).map(({ key }) => key)
    expect(keys.filter((key) => key.startsWith('i'))).toEqual([
      'i0000000000000001',
      'i0000000000000002',
    ])
    const loaded = reload(batches)
    expect(rootHex(loaded)).toBe(rootHex(ledger))
    expect(loaded.inventory(0)).toEqual(ledger.inventory(0))
    expect(loaded.inventorySnapshots(0)).toEqual(ledger.inventorySnapshots(0))
    expect(loaded.rewardLeaves(1)).toEqual(ledger.rewardLeaves(1))
    expect(loaded.globals()).toEqual(ledger.globals())
    expect(loaded.peg()).toEqual(ledger.peg())
    checkLinks(loaded)
    const draft = draftOf(loaded)
    credit(draft, address(99), 1n)
    merge(draft)
    checkLinks(loaded)
  })

  test('a missing or broken entry is a fault, never a smaller ledger', () => {
    const ledger = createLedger(params, chainId)
    const draft = draftOf(ledger)
    for (let i = 0; i < 4; i++) credit(draft, address(i), 1n)
    draft.setGlobals({ ...draft.globals(), height: 1 })
    draft.setPeg({ ...draft.peg() })
    draft.setInventory(0, [{ rail: 1, generation: 0, weight: 1n }])
    const entries = changesOf(draft)
    expect(loadLedger(params, chainId, entries).ok).toBe(true)
    for (const { key } of entries) {
      if (key.startsWith('i') || key === 'a00000003') continue
      const without = entries.filter((entry) => entry.key !== key)
      const loaded = loadLedger(params, chainId, without)
      expect(loaded.ok ? key : loaded.fault.code).toBe('STATE_DAMAGED')
    }
    for (const { key, bytes } of entries) {
      const shortened = { key, bytes: bytes?.slice(1) ?? null }
      const damaged = entries.map((entry) => (entry.key === key ? shortened : entry))
      const loaded = loadLedger(params, chainId, damaged)
      expect(loaded.ok ? key : loaded.fault.code).toBe('STATE_DAMAGED')
    }
  })

  test('entries come in any order; a gap, a key of no record, an address twice are faults', () => {
    const ledger = createLedger(params, chainId)
    const draft = draftOf(ledger)
    for (let i = 0; i < 40; i++) credit(draft, address(i), BigInt(i + 1))
    draft.setGlobals({ ...draft.globals(), height: 1 })
    draft.setPeg({ ...draft.peg() })
    const entries = changesOf(draft)
    const root = rootHex(draft)
    fc.assert(
      fc.property(fc.shuffledSubarray(entries, { minLength: entries.length }), (shuffled) => {
        const loaded = loadLedger(params, chainId, shuffled)
        expect(loaded.ok && rootHex(loaded.value)).toBe(root)
      }),
      { numRuns: 20 },
    )
    const account = entries.find(({ key }) => key === 'a00000007') as StateChange
    const other = (key: string) => ({ ...account, key })
    for (const key of [
      'a00000029',
      'affffffff',
      'a0000002',
      'a0000002G',
      'a0000002:',
      'a0000002A',
    ]) {
      const loaded = loadLedger(params, chainId, [...entries, other(key)])
      expect(loaded.ok ? key : loaded.fault.code).toBe('STATE_DAMAGED')
    }
    // The next index is no gap, but the account stands there already.
    const twice = loadLedger(params, chainId, [...entries, other('a00000028')])
    expect(twice.ok || twice.fault.message).toContain('an address of two accounts')
  })
})

test('a draft used again for every attempt leaves what fresh drafts would', () => {
  const step = fc.record({ to: fc.nat(5), amount: fc.bigInt(1n, 9n), isKept: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const [fresh, reused] = [
        draftOf(createLedger(params, chainId)),
        createLedger(params, chainId),
      ]
      const block = draftOf(reused)
      const attempt = draftOf(block)
      for (const { to, amount, isKept } of steps) {
        // The same object, as a transaction asks for its sender again and again.
        const account = address(to)
        credit(attempt, account, amount)
        expect(attempt.accountIndex(account)).toBeDefined()
        if (isKept) mergeAndClear(attempt)
        else clear(attempt)
        expect(attempt.accountIndex(account)).toBe(block.accountIndex(account))
        if (!isKept) continue
        const one = draftOf(fresh)
        credit(one, account, amount)
        merge(one)
      }
      expect(rootHex(attempt)).toBe(rootHex(fresh))
      expect(changesOf(attempt)).toEqual([])
      expect(accountsOf(block)).toEqual(accountsOf(fresh))
    }),
  )
})
