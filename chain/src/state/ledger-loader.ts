import { fault, ok, type Result } from '../bytes/result.ts'
import type { NetworkParams } from '../params/network-params.ts'
import { GlobalsType, type InventoryEntry, PegType } from '../types/records.ts'
import { AddressTwiceError } from './account-order.ts'
import { AccountReader } from './account-reader.ts'
import { BaseLedger } from './base-ledger.ts'
import type { Ledger } from './ledger.ts'
import type { RewardLeaf } from './ledger-draft.ts'
import {
  chunkKey,
  InventoryChunkType,
  RewardChunkType,
  recordCodecs,
  recordKey,
  type StateChange,
  snapshotKey,
  stateTags,
  type TableName,
  type TableRecords,
  tableNames,
} from './record-tables.ts'

const sideListTags: ReadonlySet<string> = new Set([
  stateTags.inventories,
  stateTags.snapshots,
  stateTags.rewardLeaves,
])

/** Takes stored entries one by one, in any order, and builds the ledger they describe. */
export interface LedgerLoader {
  /** Faults with STATE_DAMAGED on an entry that cannot be read. Keeps the bytes, not an account's. */
  add(entry: StateChange): Result<undefined>
  /** Faults with STATE_DAMAGED where entries are missing. The caller compares the state root. */
  finish(): Result<Ledger>
}

export function ledgerLoader(params: NetworkParams, chainId: Uint8Array): LedgerLoader {
  const accounts = new AccountReader()
  const entries = new Map<string, Uint8Array>()
  const lists = new Map<string, Uint8Array[]>()
  return {
    add(entry) {
      if (entry.bytes === null) return damaged(entry.key)
      const tag = entry.key.charAt(0)
      if (tag === stateTags.accounts) {
        if (!accounts.add(entry.key, entry.bytes)) return damaged(entry.key)
      } else if (sideListTags.has(tag)) {
        const chunk = Number.parseInt(entry.key.slice(-8), 16)
        const list = entry.key.slice(0, -8)
        const chunks = lists.get(list) ?? []
        chunks[chunk] = entry.bytes
        lists.set(list, chunks)
      } else {
        entries.set(entry.key, entry.bytes)
      }
      return ok()
    },
    finish: () => readLedger(params, chainId, { accounts, entries, lists }),
  }
}

/** Rebuilds a ledger from all stored entries, as changesOf gave them. */
export function loadLedger(
  params: NetworkParams,
  chainId: Uint8Array,
  entries: Iterable<StateChange>,
): Result<Ledger> {
  const loader = ledgerLoader(params, chainId)
  for (const entry of entries) {
    const added = loader.add(entry)
    if (!added.ok) return added
  }
  return loader.finish()
}

/** A damaged entry met while reading; caught at this file's door. */
class DamagedEntry extends Error {
  readonly key: string
  constructor(key: string) {
    super(key)
    this.key = key
  }
}

function damaged(key: string) {
  return fault('STATE_DAMAGED', `the stored state is damaged at entry "${key}"`, { key })
}

type Entries = ReadonlyMap<string, Uint8Array>
type ChunkedLists = ReadonlyMap<string, readonly Uint8Array[]>

function readLedger(
  params: NetworkParams,
  chainId: Uint8Array,
  { accounts, entries, lists }: { accounts: AccountReader; entries: Entries; lists: ChunkedLists },
): Result<Ledger> {
  try {
    const rows = accounts.finish()
    if (rows === undefined) throw new DamagedEntry('an account before the last')
    const ledger = new BaseLedger(params, chainId, {
      accounts: rows,
      nodes: readTable('nodes', entries),
      rails: readTable('rails', entries),
      contracts: readTable('contracts', entries),
      validators: readTable('validators', entries),
      delegations: readTable('delegations', entries),
      epochs: readTable('epochs', entries),
      mainHeaders: readTable('mainHeaders', entries),
      deposits: readTable('deposits', entries),
      withdrawals: readTable('withdrawals', entries),
    })
    ledger.currentPeg = readSingle(PegType, stateTags.peg, entries)
    ledger.currentGlobals = readSingle(GlobalsType, stateTags.globals, entries)
    readSideLists(ledger, lists)
    const singles = 2
    const records = tableNames.reduce((sum, table) => sum + ledger[table].count, singles)
    if (records !== entries.size + ledger.accounts.count) throw new DamagedEntry('count of entries')
    return ok(ledger)
  } catch (error) {
    if (error instanceof DamagedEntry) return damaged(error.key)
    if (error instanceof AddressTwiceError) return damaged('an address of two accounts')
    throw error
  }
}

function decode<T>(type: { deserialize(bytes: Uint8Array): T }, key: string, bytes: Uint8Array): T {
  try {
    return type.deserialize(bytes)
  } catch {
    throw new DamagedEntry(key)
  }
}

function readSingle<T>(
  type: { deserialize(bytes: Uint8Array): T },
  key: string,
  entries: Entries,
): T {
  const bytes = entries.get(key)
  if (bytes === undefined) throw new DamagedEntry(key)
  return decode(type, key, bytes)
}

/** Records of one table in order; a gap shows as a wrong total count. */
function* rows(table: TableName, entries: Entries): Iterable<{ key: string; bytes: Uint8Array }> {
  for (let index = 0; ; index++) {
    const key = recordKey(table, index)
    const bytes = entries.get(key)
    if (bytes === undefined) return
    yield { key, bytes }
  }
}

function readTable<K extends Exclude<TableName, 'accounts'>>(
  table: K,
  entries: Entries,
): TableRecords[K][] {
  const records: TableRecords[K][] = []
  for (const { key, bytes } of rows(table, entries)) {
    records.push(decode(recordCodecs[table], key, bytes))
  }
  return records
}

function readSideLists(ledger: BaseLedger, lists: ChunkedLists): void {
  for (const [list, chunks] of lists) {
    const owner = Number.parseInt(list.slice(1, 9), 16)
    if (list.startsWith(stateTags.inventories)) {
      ledger.inventories.set(owner, readChunks<InventoryEntry>(InventoryChunkType, list, chunks))
    } else if (list.startsWith(stateTags.rewardLeaves)) {
      ledger.rewards.set(owner, readChunks<RewardLeaf>(RewardChunkType, list, chunks))
    }
  }
  for (let node = 0; node < ledger.nodes.count; node++) {
    const snapshots = ledger.nodes.get(node)?.snapshots ?? []
    if (snapshots.length === 0) continue
    const entries = snapshots.map(({ epoch }) => {
      const list = snapshotKey(node, epoch)
      return readChunks<InventoryEntry>(InventoryChunkType, list, lists.get(list) ?? [])
    })
    ledger.snapshots.set(node, entries)
  }
}

function readChunks<T>(
  type: { deserialize(bytes: Uint8Array): T[] },
  list: string,
  chunks: readonly Uint8Array[],
): T[] {
  const all: T[] = []
  for (let chunk = 0; chunk < chunks.length; chunk++) {
    const bytes = chunks[chunk]
    if (bytes === undefined) throw new DamagedEntry(chunkKey(list, chunk))
    for (const entry of decode(type, chunkKey(list, chunk), bytes)) all.push(entry)
  }
  return all
}
