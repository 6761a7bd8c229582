import { bytesEqual } from '../bytes/hex.ts'
import { BLOCK_BYTES_MAX, decodeDposBlock, encodeBlock } from '../elastos/block.ts'
import { type Confirm, confirmOfBlockMessage } from '../elastos/confirm.ts'
import { provenLeaves } from '../elastos/filtered-block.ts'
import type { InternalHash } from '../elastos/hash-orientation.ts'
import { type DecodedHeader, decodeHeaderWithAuxPow } from '../elastos/main-header.ts'
import { decodeMerkleBlock } from '../elastos/merkle-block.ts'
import { InventoryKind, type P2pMessage } from '../elastos/p2p-message.ts'
import { decodeTransaction } from '../elastos/transaction.ts'
import { P2pViolationError } from './p2p-link.ts'
import type { P2pSession } from './p2p-session.ts'

/** A block from a peer; it has the hash and the Merkle root that it should. */
export interface PeerBlock {
  readonly header: DecodedHeader
  /** Header with AuxPow, count, transactions; without a Confirm. */
  readonly raw: Uint8Array
  /** Each transaction, unless the block holds one of a type that we cannot read. */
  readonly transactions: readonly PeerTransaction[] | undefined
}

export interface PeerTransaction {
  readonly id: InternalHash
  readonly raw: Uint8Array
}

/**
 * Asks for a block: through the open filter, which shows each transaction in a message of its
 * own, or whole where the node has no filters or left something out.
 * @returns undefined where the node does not have it
 */
export async function askForBlock(
  session: P2pSession,
  hash: InternalHash,
): Promise<PeerBlock | undefined> {
  if (!session.hasFilters) return askForWholeBlock(session, hash)
  const filtered = await askForFilteredBlock(session, hash)
  return filtered === 'partial' ? askForWholeBlock(session, hash) : filtered
}

async function askForFilteredBlock(
  session: P2pSession,
  hash: InternalHash,
): Promise<PeerBlock | undefined | 'partial'> {
  const answer = new FilteredAnswer(hash)
  const items = [{ kind: InventoryKind.filteredBlock, hash }]
  const take = (message: P2pMessage) => answer.take(message)
  await session.ask([{ command: 'getdata', items }], take, 'a block through the filter')
  return answer.block()
}

/** Puts a merkleblock and the transactions that follow it together. */
class FilteredAnswer {
  readonly #hash: InternalHash
  #header: DecodedHeader | undefined
  #leaves: readonly InternalHash[] = []
  #isWhole = false
  #bytes = 0
  readonly #transactions: PeerTransaction[] = []

  constructor(hash: InternalHash) {
    this.#hash = hash
  }

  take(message: P2pMessage): boolean {
    if (message.command === 'notfound') return true
    if (message.command === 'merkleblock') this.#takeTree(message.payload)
    else if (message.command === 'tx') this.#takeTransaction(message.payload)
    return this.#header !== undefined && this.#transactions.length === this.#leaves.length
  }

  block(): PeerBlock | undefined | 'partial' {
    if (!this.#header) return undefined
    if (!this.#isWhole) return 'partial'
    const { header, auxPow } = this.#header
    const raws = this.#transactions.map(({ raw }) => raw)
    const raw = encodeBlock(header, auxPow, raws)
    return { header: this.#header, raw, transactions: this.#transactions }
  }

  #takeTree(payload: Uint8Array): void {
    const decoded = decodeMerkleBlock(payload)
    if (!decoded.ok) throw new P2pViolationError(decoded.fault.code, decoded.fault.message)
    const { header, tree } = decoded.value
    if (this.#header || !bytesEqual(header.hash, this.#hash)) {
      throw new P2pViolationError('MAIN_PEER_BLOCK', 'the node gave another block than asked for')
    }
    const leaves = provenLeaves(decoded.value)
    if (!leaves.ok) throw new P2pViolationError(leaves.fault.code, leaves.fault.message)
    this.#header = header
    this.#leaves = leaves.value.map(({ id }) => id)
    this.#isWhole = leaves.value.length === tree.transactionCount
  }

  /** In the tree's order. One that we cannot read is kept as it is; its reader decides. */
  #takeTransaction(raw: Uint8Array): void {
    const id = this.#leaves[this.#transactions.length]
    const decoded = decodeTransaction(raw)
    if (!id || (decoded.ok && !bytesEqual(decoded.value.id, id))) {
      throw new P2pViolationError('MAIN_PEER_TRANSACTION', 'a transaction is not of the block')
    }
    this.#bytes += raw.length
    if (this.#bytes > BLOCK_BYTES_MAX) {
      throw new P2pViolationError('MAIN_BLOCK_SIZE', 'a block is larger than a block may be')
    }
    this.#transactions.push({ id, raw })
  }
}

/**
 * Asks for a block with its Confirm; nothing of it is checked here.
 * @returns undefined where the node does not have the block, or no Confirm of it
 */
export function askForConfirm(
  session: P2pSession,
  hash: InternalHash,
): Promise<Confirm | undefined> {
  const item = { kind: InventoryKind.confirmedBlock, hash }
  const read = (payload: Uint8Array) => confirmOfBlockMessage(payload, hash)
  return askOne(session, item, read, 'a confirmed block')
}

function askForWholeBlock(session: P2pSession, hash: InternalHash): Promise<PeerBlock | undefined> {
  const item = { kind: InventoryKind.block, hash }
  return askOne(session, item, (payload) => wholeBlock(payload, hash), 'a block')
}

/** Asks for one item that comes in a block message; undefined where the node has none. */
async function askOne<T>(
  session: P2pSession,
  item: { readonly kind: number; readonly hash: InternalHash },
  read: (payload: Uint8Array) => T | undefined,
  what: string,
): Promise<T | undefined> {
  let found: T | undefined
  const take = (message: P2pMessage) => {
    if (message.command === 'block') found = read(message.payload)
    return message.command === 'block' || message.command === 'notfound'
  }
  await session.ask([{ command: 'getdata', items: [item] }], take, what)
  return found
}

function wholeBlock(payload: Uint8Array, hash: InternalHash): PeerBlock {
  const header = decodeHeaderWithAuxPow(payload)
  if (!header.ok) throw new P2pViolationError(header.fault.code, header.fault.message)
  if (!bytesEqual(header.value.hash, hash)) {
    throw new P2pViolationError('MAIN_PEER_BLOCK', 'the node gave another block than asked for')
  }
  const decoded = decodeDposBlock(payload)
  // A type that we cannot read: where the block ends cannot be told either.
  if (!decoded.ok) return { header: header.value, raw: payload, transactions: undefined }
  const { transactions, header: own, auxPow } = decoded.value.block
  const raws = transactions.map(({ raw }) => raw)
  return { header: header.value, raw: encodeBlock(own, auxPow, raws), transactions }
}
