import { hashInto } from '@chainsafe/persistent-merkle-tree'
import { assert } from '@ioex/chain/bytes'
import { draftOf, type RecordTable, stateRoot } from '@ioex/chain/state'
import { NodeType, type Rail, RailType } from '@ioex/chain/types'
import { presets } from '@ioex/genesis/presets'
import { BaseLedger, emptyContent } from '../chain/src/state/base-ledger.ts'
import type { TableRecords } from '../chain/src/state/record-tables.ts'
import { type Bench, type Comparison, repeated, type Scale, sized } from './comparison.ts'
import { nodeOfIts, sameNodes } from './node-table.ts'
import { seededBytes, seededIndexes } from './seeded.ts'

const ACCOUNT_BYTES = 64
const ADDRESS_BYTES = 20
const BALANCE_OFFSET = 2 * ADDRESS_BYTES
const PAIR_BYTES = 64

/** Hashes of a node's record: its fields, both lists, the key. */
export const NODE_PAIRS = pairsAbove([0], NodeType.fieldsEntries.length) + 32

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
export function pairsAbove(indexes: readonly number[], count: number): number {
  let pairs = indexes.length
  let row = new Set(indexes)
  for (let width = count; width > 1; width = Math.ceil(width / 2)) {
    row = new Set([...row].map((index) => Math.floor(index / 2)))
    pairs += row.size
  }
  return pairs
}

/** The root after a block that wrote records all over one table; writing is not timed. */
function compare<K extends 'accounts' | 'nodes' | 'rails'>(
  ledger: BaseLedger,
  table: K,
  touched: number,
  { changed, ownPairs }: { changed: (i: number) => TableRecords[K]; ownPairs: number },
): Comparison {
  const { count } = ledger[table]
  const indexes = seededIndexes(`touched of ${count}`, touched, count)
  const records = indexes.map(changed)
  const touchedDraft = () => {
    const draft = draftOf(ledger)
    const target = draft[table] as RecordTable<TableRecords[K]>
    for (const [i, index] of indexes.entries()) target.set(index, records[i] as TableRecords[K])
    return draft
  }
  const pairs = pairsAbove(indexes, count) + touched * (ownPairs - 1)
  const input = seededBytes('pairs', pairs * PAIR_BYTES)
  const output = new Uint8Array(input.length / 2)
  return {
    name: `chain/state::state-root/${table}=${count}/touched=${touched}`,
    unit: `touched ${table}`,
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
    facts: { hashesPerRecord: Number((pairs / touched).toFixed(2)) },
  }
}

/** A rail after a redeem, one of its own for every index. */
function redeemedRail(i: number): Rail {
  return { ...RailType.defaultValue(), live: true, kib: i, paidUnits: BigInt(i), net: BigInt(i) }
}

function* comparisons(scale: Scale): Generator<Comparison> {
  const sizes = scale.smoke ? [100] : [100_000, ...(scale.full ? [1_000_000] : [])]
  for (const count of sizes) {
    const content = { ...emptyContent(), accounts: accountRows(count) }
    const ledger = new BaseLedger(presets.local, new Uint8Array(32), content)
    const changed = (i: number) => {
      const account = ledger.accounts.get(i)
      assert(account, 'a drawn account exists')
      return { ...account, balance: account.balance + 1n }
    }
    for (const touched of scale.smoke ? [8] : [256, 4096]) {
      yield compare(ledger, 'accounts', touched, { changed, ownPairs: 1 })
    }
  }
  const rails = Array.from({ length: sized(scale, 100, 100_000) }, () => RailType.defaultValue())
  const ledger = new BaseLedger(presets.local, new Uint8Array(32), { ...emptyContent(), rails })
  const ownPairs = pairsAbove([0], RailType.fieldsEntries.length) - 1
  yield compare(ledger, 'rails', sized(scale, 8, 256), { changed: redeemedRail, ownPairs })
  const nodes = sameNodes(sized(scale, 100, 100_000))
  const providers = new BaseLedger(presets.local, new Uint8Array(32), { ...emptyContent(), nodes })
  yield compare(providers, 'nodes', sized(scale, 8, 256), {
    changed: (i) => ({ ...nodeOfIts(`node ${i}`), pendingFee: BigInt(i) }),
    ownPairs: NODE_PAIRS,
  })
}

export const stateRoots: Bench = {
  name: 'state-root',
  about: 'the state root after a block, against the bare node hashes',
  comparisons,
}
