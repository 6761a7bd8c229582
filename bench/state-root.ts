import { hashInto } from '@chainsafe/persistent-merkle-tree'
import { assert } from '@ioex/chain/bytes'
import { draftOf, stateRoot } from '@ioex/chain/state'
import { presets } from '@ioex/genesis/presets'
import { BaseLedger, emptyContent } from '../chain/src/state/base-ledger.ts'
import { type Bench, type Comparison, repeated, type Scale } from './comparison.ts'
import { seededBytes, seededIndexes } from './seeded.ts'

const ACCOUNT_BYTES = 64
const ADDRESS_BYTES = 20
const BALANCE_OFFSET = 2 * ADDRESS_BYTES
const PAIR_BYTES = 64

/** Accounts in their stored form. The roots do not ask whether the address circle is closed. */
function accountRows(count: number): Uint8Array {
  const addresses = seededBytes('accounts of a state root', count * ADDRESS_BYTES)
  const rows = new Uint8Array(count * ACCOUNT_BYTES)
  for (let i = 0; i < count; i++) {
    const address = addresses.subarray(i * ADDRESS_BYTES, (i + 1) * ADDRESS_BYTES)
    rows.set(address, i * ACCOUNT_BYTES)
    rows[i * ACCOUNT_BYTES + BALANCE_OFFSET] = 1
  }
  return rows
}

/** Hashes that no implementation avoids: each touched record, then each node above one. */
function pairsAbove(indexes: readonly number[], count: number): number {
  let pairs = indexes.length
  let row = new Set(indexes)
  for (let width = count; width > 1; width = Math.ceil(width / 2)) {
    row = new Set([...row].map((index) => Math.floor(index / 2)))
    pairs += row.size
  }
  return pairs
}

/** The root after a block that wrote accounts all over the ledger; writing is not timed. */
function compare(ledger: BaseLedger, touched: number): Comparison {
  const { count } = ledger.accounts
  const indexes = seededIndexes(`touched of ${count}`, touched, count)
  const records = indexes.map((index) => {
    const account = ledger.accounts.get(index)
    assert(account, 'a drawn account exists')
    return { ...account, balance: account.balance + 1n }
  })
  const touchedDraft = () => {
    const draft = draftOf(ledger)
    for (const [i, index] of indexes.entries()) {
      draft.accounts.set(index, records[i] as (typeof records)[number])
    }
    return draft
  }
  const pairs = pairsAbove(indexes, count)
  const input = seededBytes('pairs', pairs * PAIR_BYTES)
  const output = new Uint8Array(input.length / 2)
  return {
    name: `chain/state::state-root/accounts=${count}/touched=${touched}`,
    unit: 'touched accounts',
    work: touched,
    subject: () => {
      const draft = touchedDraft()
      return () => stateRoot(draft)
    },
    against: {
      name: 'as many node hashes in one hashtree batch',
      workload: repeated(() => hashInto(input, output)),
    },
    result: stateRoot(touchedDraft()),
    facts: { hashesPerAccount: Number((pairs / touched).toFixed(2)) },
  }
}

function* comparisons(scale: Scale): Generator<Comparison> {
  const sizes = scale.smoke ? [100] : [100_000, ...(scale.full ? [1_000_000] : [])]
  for (const count of sizes) {
    const content = { ...emptyContent(), accounts: accountRows(count) }
    const ledger = new BaseLedger(presets.local, new Uint8Array(32), content)
    for (const touched of scale.smoke ? [8] : [256, 4096]) yield compare(ledger, touched)
  }
}

export const stateRoots: Bench = {
  name: 'state-root',
  about: 'the state root after a block, against the bare node hashes',
  comparisons,
}
