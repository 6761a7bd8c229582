import { addressOf, parseAddress, parseHex } from '@ioex/chain/bytes'
import { PAGE_ITEMS_DEFAULT } from '../contract/json-forms.ts'
import type { LedgerSource, ReceiptPosition } from './ledger-source.ts'
import { invalidInput, notFound, RpcFault } from './rpc-fault.ts'
import type { Page } from './table-page.ts'

/** What callers name: addresses, hashes, nodes, pages; checked and in the ledger's form. */

export function readAddress(ledger: LedgerSource, text: string): Uint8Array {
  const parsed = parseAddress(text, ledger.params.addressPrefix)
  if (!parsed.ok) throw RpcFault.ofRule({ ...parsed.fault, code: 'INVALID_INPUT' })
  return parsed.value
}

/** Hex that the contract's pattern has already bounded. */
export function readHex(text: string): Uint8Array {
  const parsed = parseHex(text, text.length)
  if (!parsed.ok) throw invalidInput(parsed.fault.message)
  return parsed.value
}

/** Index of a node named by index or by its key's address. */
export async function nodeIndexOf(ledger: LedgerSource, id: number | string): Promise<number> {
  if (typeof id === 'number') return id
  const found = await ledger.nodeByAddress(readAddress(ledger, id))
  if (!found) throw notFound(`there is no node ${id}: nodes_list gives those of the ledger`)
  return found.index
}

/** Address of a node's key, as receipts carry it. */
export async function nodeAddressOf(
  ledger: LedgerSource,
  id: number | string,
): Promise<Uint8Array> {
  if (typeof id === 'string') return readAddress(ledger, id)
  const node = await ledger.nodeAt(id)
  if (!node) throw notFound(`there is no node ${id}: nodes_list gives those of the ledger`)
  return addressOf(node.nodeKey)
}

/** A page of an index-ordered table from a cursor and a limit. */
export function readPage(params: {
  cursor?: string | undefined
  limit?: number | undefined
}): Page {
  const { cursor, limit = PAGE_ITEMS_DEFAULT } = params
  if (cursor === undefined) return { from: 0, limit }
  if (!/^[0-9]{1,10}$/.test(cursor)) throw badCursor()
  return { from: Number(cursor), limit }
}

/** The cursor of the page that starts at an index; null behind the last one. */
export const cursorOf = (next: number | null): string | null => (next === null ? null : `${next}`)

/** `next` of a page of receipts. */
export function receiptCursor(next: ReceiptPosition | undefined): string | null {
  return next ? `${next.height}:${next.index}` : null
}

export function readReceiptCursor(cursor: string): ReceiptPosition {
  const match = /^([0-9]{1,15}):([0-9]{1,10})$/.exec(cursor)
  if (!match) throw badCursor()
  return { height: Number(match[1]), index: Number(match[2]) }
}

function badCursor(): RpcFault {
  return invalidInput('not a cursor: give `next` of the page before, or leave it out')
}
