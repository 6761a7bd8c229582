import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bytesToHex } from '../bytes/hex.ts'
import { installNativeCrypto } from '../native/install-native-crypto.ts'
import { draftOf, merge, stateRoot } from '../state/ledger.ts'
import { loadLedger } from '../state/ledger-loader.ts'
import { changesOf } from '../state/state-changes.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import type { StateChange } from '../state/record-tables.ts'
import type { Payload, Transaction } from '../types/transactions.ts'
import { applyTransaction, beginBlock, endBlock, executeBlock } from './execute-block.ts'
import { auditSupply } from './supply.ts'
import { keyOf, SampleChain, UNITS } from './testing/sample-chain.ts'

await installNativeCrypto()

const kinds = [
  'transfer',
  'toNode',
  'open',
  'relay',
  'close',
  'closeRail',
  'topUp',
  'leave',
] as const
const flaws = ['signature', 'nonce', 'funds', 'expired', 'tip'] as const

/** What a random actor may try; most of it is legal, some of it never is. */
interface Act {
  readonly kind: (typeof kinds)[number]
  readonly who: number
  readonly to: number
  readonly amount: bigint
  readonly flaw: (typeof flaws)[number] | 'none'
}

const names = ['alice', 'bob', 'carol', 'dave']
const act: fc.Arbitrary<Act> = fc.record({
  kind: fc.constantFrom(...kinds),
  who: fc.nat(3),
  to: fc.nat(5),
  amount: fc.bigInt({ min: 0n, max: 3n * UNITS }),
  flaw: fc.constantFrom('none', 'none', 'none', 'none', 'none', ...flaws),
})
const history = { minLength: 4, maxLength: 14 }

function payloadOf({ kind, to, amount }: Act): Payload {
  const address = keyOf(names[to % 4] ?? 'nobody').address
  const relay = keyOf(to === 5 ? 'nobody' : 'relay').address
  switch (kind) {
    case 'transfer':
      return { selector: 0, value: { to: address, amount } }
    case 'toNode':
      return { selector: 0, value: { to: keyOf('relay').address, amount } }
    case 'open':
      return { selector: 2, value: contractOf(to, amount, address) }
    case 'relay': {
      const value = { node: relay, lockUnits: amount, unitPrice: 3n, reservationPrice: 2n }
      return { selector: 3, value }
    }
    case 'close':
      return { selector: 7, value: { kind: 1, target: to, generation: 0 } }
    case 'closeRail':
      return { selector: 7, value: { kind: 0, target: to, generation: 0 } }
    case 'topUp':
      return { selector: 8, value: { kind: 1 + (to % 2), target: to % 3, generation: 0, amount } }
    case 'leave':
      return { selector: 9, value: { rail: to, lost: false, unpaid: false } }
  }
}

function contractOf(to: number, amount: bigint, delegate: Uint8Array) {
  return {
    salt: new Uint8Array(32).fill(to),
    k: 1 + (to % 3),
    n: to,
    maxLeaves: 500,
    priceCap: amount,
    unitPriceCap: 5n,
    lockUnits: amount / 10n,
    pot: amount / 7n,
    term: to,
    policy: 0,
    delegate,
    delegateFee: 0n,
    label: new Uint8Array(to),
  }
}

function transactionOf(chain: SampleChain, nonces: Map<string, number>, one: Act): Transaction {
  const name = names[one.who] as string
  const payload = payloadOf(one)
  if (one.kind === 'leave') return chain.byNode(keyOf('relay'), payload)
  const isPoor = one.flaw === 'funds' && payload.selector === 0
  const made = chain.byOwner(keyOf(name), payload, {
    nonce: (nonces.get(name) ?? 0) + (one.flaw === 'nonce' ? 1 : 0),
    tip: one.flaw === 'tip' ? 1n << 60n : BigInt(one.to),
    ...(one.flaw === 'expired' ? { validUntil: 0 } : {}),
    ...(isPoor ? { payload: { selector: 0, value: { ...payload.value, amount: 1n << 63n } } } : {}),
  })
  return one.flaw === 'signature' ? { ...made, signature: new Uint8Array(64).fill(3) } : made
}

/** Flaws that no transaction survives; the others depend on what it does. */
function isFatal({ kind, flaw }: Act): boolean {
  return kind !== 'leave' && flaw !== 'none' && flaw !== 'funds'
}

function store(entries: Map<string, Uint8Array>, changes: readonly StateChange[]): void {
  for (const { key, bytes } of changes) {
    if (bytes === null) entries.delete(key)
    else entries.set(key, bytes)
  }
}

function reloadedRoot(chain: SampleChain, entries: ReadonlyMap<string, Uint8Array>): string {
  const list = [...entries].map(([key, bytes]) => ({ key, bytes }))
  const loaded = loadLedger(chain.params, chain.chainId, list)
  if (!loaded.ok) throw new Error(loaded.fault.message)
  return bytesToHex(stateRoot(loaded.value))
}

describe('any history of acts', () => {
  test('conserves every unit; a faulting one leaves no trace; the store brings all back', {
    timeout: 60_000,
  }, () => {
    let taken = 0
    let refused = 0
    fc.assert(
      fc.property(fc.array(fc.array(act, { minLength: 3, maxLength: 6 }), history), (blocks) => {
        const balances = { alice: 9n * UNITS, bob: 4n * UNITS, carol: 1_000_000n }
        const params = { baseFeePerByte: 3n }
        const chain = new SampleChain({ nodes: ['relay'], balances, params })
        const entries = new Map<string, Uint8Array>()
        store(entries, chain.genesis.entries)
        const nonces = new Map<string, number>()
        for (const acts of blocks) {
          const draft = draftOf(chain.ledger)
          const begun = beginBlock(draft, chain.next())
          if (!begun.ok) throw new Error(begun.fault.message)
          for (const one of acts) {
            const before = bytesToHex(stateRoot(draft))
            const applied = applyTransaction(begun.value, transactionOf(chain, nonces, one))
            if (!applied.ok) {
              refused++
              expect(bytesToHex(stateRoot(draft))).toBe(before)
              continue
            }
            taken++
            expect(isFatal(one)).toBe(false)
            const name = names[one.who] as string
            if (one.kind !== 'leave') nonces.set(name, (nonces.get(name) ?? 0) + 1)
          }
          const outcome = endBlock(begun.value)
          // Anyone who gets the block finds the same roots.
          const again = executeBlock(draftOf(chain.ledger), outcome.transactions, chain.next())
          expect(again.ok && again.value.roots).toEqual(outcome.roots)
          store(entries, changesOf(draft))
          merge(draft)
          chain.hashes.push(outcome.roots.stateRoot)
          const audit = auditSupply(chain.ledger)
          expect(audit.ok ? '' : audit.fault.message).toBe('')
        }
        expect(reloadedRoot(chain, entries)).toBe(bytesToHex(stateRoot(chain.ledger)))
      }),
      { numRuns: 40 },
    )
    expect(taken).toBeGreaterThan(100)
    expect(refused).toBeGreaterThan(100)
  })
})

describe('auditSupply', () => {
  const spoil = (write: (draft: LedgerDraft) => void) => {
    const chain = new SampleChain()
    const draft = draftOf(chain.ledger)
    write(draft)
    merge(draft)
    const audit = auditSupply(chain.ledger)
    return audit.ok ? 'ok' : audit.fault.code
  }
  const addUnit = (draft: LedgerDraft) => {
    const account = draft.accounts.get(0)
    if (account) draft.accounts.set(0, { ...account, balance: account.balance + 1n })
  }
  const setEpoch = (changes: { minted?: bigint; burned?: bigint }) => (draft: LedgerDraft) => {
    const record = draft.epochs.get(1)
    if (record) draft.epochs.set(1, { ...record, ...changes })
  }

  test('finds a unit from nowhere, a mint above the ceiling, totals that differ', () => {
    expect(spoil(() => {})).toBe('ok')
    expect(spoil(addUnit)).toBe('SUPPLY_MISMATCH')
    expect(spoil(setEpoch({ minted: 6n, burned: 10n }))).toBe('MINT_ABOVE_CEILING')
    expect(spoil(setEpoch({ burned: 10n }))).toBe('SUPPLY_TOTALS')
  })

  test('a block that makes a unit from nowhere, or mints too much, is never finished', () => {
    const finish = (write: (draft: LedgerDraft) => void) => {
      const chain = new SampleChain()
      const draft = draftOf(chain.ledger)
      const begun = beginBlock(draft, chain.next())
      if (!begun.ok) throw new Error(begun.fault.message)
      write(draft)
      return endBlock(begun.value)
    }
    expect(() => finish(addUnit)).toThrow('supply is off by 1')
    expect(() => finish(setEpoch({ minted: 6n, burned: 10n }))).toThrow('more than rho')
  })
})
