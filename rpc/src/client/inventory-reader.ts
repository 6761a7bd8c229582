import type { Type } from '@chainsafe/ssz'
import { buildSumTree, bytesEqual, bytesToHex, decodeCanonical, parseHex } from '@ioex/chain/bytes'
import { type InventoryEntry, InventoryEntryType } from '@ioex/chain/types'
import type { ResultOf } from '../contract/methods.ts'
import { INVENTORY_ENTRIES_MAX } from '../contract/nodes-methods.ts'
import type { RpcClient } from './rpc-client.ts'
import { RpcError } from './rpc-error.ts'

/** Inventory entries that a client reads at most, in so many pages: all but the last are full. */
const LIST_ITEMS_MAX = 100_000
const PAGES_MAX = Math.ceil(LIST_ITEMS_MAX / INVENTORY_ENTRIES_MAX)
const WEIGHT_SUM_LIMIT = 1n << 128n

/**
 * All pages of an inventory whose first one is given. The answerer of a challenge builds its proofs
 * from these entries, so they must be the tree's: throws FALSE_PROOF otherwise.
 */
export async function readInventory(
  first: ResultOf<'nodes_getInventory'>,
  root: Uint8Array,
  client: RpcClient,
): Promise<InventoryEntry[]> {
  const size = InventoryEntryType.fixedSize as number
  const entries: InventoryEntry[] = []
  let page = first
  for (let pages = 1; ; pages++) {
    if (page.ssz.length > INVENTORY_ENTRIES_MAX * size * 2) {
      throw new RpcError('BAD_RESPONSE', 'a page of an inventory is too long')
    }
    const before = entries.length
    for (let at = 0; at < page.ssz.length; at += size * 2) {
      entries.push(decodeRecord(InventoryEntryType, page.ssz.slice(at, at + size * 2), size))
    }
    if (page.next === null) break
    if (entries.length === before || pages === PAGES_MAX) {
      throw new RpcError('BAD_RESPONSE', 'the pages of an inventory do not end')
    }
    const question = { node: first.node, root: bytesToHex(root), from: entries.length }
    page = await client.call('nodes_getInventory', question)
  }
  const sum = entries.reduce((total, { weight }) => total + weight, 0n)
  if (sum < WEIGHT_SUM_LIMIT && bytesEqual(buildSumTree(entries).root, root)) return entries
  throw new RpcError('FALSE_PROOF', 'a node gives inventory entries of another root')
}

function decodeRecord<T>(type: Type<T>, hex: string, bytesMax: number): T {
  const bytes = parseHex(hex, bytesMax)
  const decoded = bytes.ok ? decodeCanonical(type, bytes.value, bytesMax) : bytes
  if (!decoded.ok) throw new RpcError('BAD_RESPONSE', `a record: ${decoded.fault.message}`)
  return decoded.value
}
