import { bytesEqual } from '../bytes/hex.ts'
import { decodeBlock } from '../elastos/block.ts'
import {
  type DisplayHash,
  fromDisplayHash,
  type InternalHash,
  toDisplayHash,
} from '../elastos/hash-orientation.ts'
import {
  advanceContext,
  checkHeader,
  type HeaderContext,
  type MainChainParams,
} from '../elastos/header-rules.ts'
import { type DecodedHeader, decodeHeaderWithAuxPow } from '../elastos/main-header.ts'
import { findMemoAnchor, type MemoAnchor } from '../elastos/memo-anchor.ts'
import { merkleBranch, merkleRoot } from '../elastos/merkle.ts'
import { type DecodedTransaction, decodeTransaction } from '../elastos/transaction.ts'
import { isDepositTo } from '../rules/deposit-content.ts'
import { MAIN_TRANSACTION_BYTES_MAX } from '../types/transactions.ts'
import { type AccountChange, accountChangeIn } from './account-change.ts'
import { isForeignTransaction } from './foreign-transaction.ts'
import type { MainBlockSource } from './main-sources.ts'

export interface MainTip {
  readonly height: number
  readonly hash: InternalHash
}

/** A main-chain block as far as we need it, checked by the header rules. */
export interface FollowedBlock {
  readonly header: DecodedHeader
  /** Header with AuxPow as it goes into a mainHeaders transaction. */
  readonly rawHeader: Uint8Array
  readonly transactionIds: readonly InternalHash[]
  readonly anchors: readonly MemoAnchorSighting[]
  /** Transactions that bring coin to our side chain, good or to be refunded. */
  readonly deposits: readonly TransactionInclusion[]
  readonly powAnchors: readonly PowAnchorSighting[]
  /** The block switches the main chain's consensus: first height that arbiters confirm again. */
  readonly dposFrom: number | undefined
  /** What it does to the account that is watched; undefined for nothing. */
  readonly account: AccountChange | undefined
  /** Context for the block after it. */
  readonly context: HeaderContext
  readonly work: bigint
}

/** Proof that a transaction stands in a main-chain block. */
export interface TransactionInclusion {
  readonly id: InternalHash
  readonly raw: Uint8Array
  readonly branch: readonly InternalHash[]
  readonly index: number
  readonly height: number
  readonly headerHash: InternalHash
}

/** A memo anchor of our side chain seen in a block; its signature is not checked here. */
export interface MemoAnchorSighting extends TransactionInclusion {
  readonly anchor: MemoAnchor
}

/** The SideChainPow of an arbiter for our side chain seen in a block. */
export interface PowAnchorSighting extends TransactionInclusion {
  readonly checkpointHash: InternalHash
}

/** The main node gave a block that breaks the rules or does not fit what it said before. */
export class MainBlockRefusedError extends Error {
  override name = 'MainBlockRefusedError'
  /** Fault code of the rule. */
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

export interface FetchOptions {
  readonly client: MainBlockSource
  readonly params: MainChainParams
  /** Anchors of and deposits to this side chain are collected. */
  readonly sideGenesisHash: Uint8Array | undefined
  /** Payments to and from the address of this P-256 key are collected. */
  readonly accountKey?: Uint8Array | undefined
}

/**
 * Fetches the block with this hash and checks its header on top of `context`. Nothing the node
 * says is believed: hash, link, difficulty, work and Merkle root are recomputed.
 */
export async function fetchBlock(
  options: FetchOptions,
  hash: DisplayHash,
  context: HeaderContext,
): Promise<FollowedBlock> {
  const raw = await options.client.getBlockRaw(hash)
  const header = decodeHeaderWithAuxPow(raw)
  if (!header.ok) throw new MainBlockRefusedError(header.fault.code, header.fault.message)
  if (toDisplayHash(header.value.hash) !== hash) {
    throw new MainBlockRefusedError('MAIN_BLOCK_ROOT', 'the node gave another block than asked for')
  }
  const checked = checkHeader(header.value, context, options.params)
  if (!checked.ok) throw new MainBlockRefusedError(checked.fault.code, checked.fault.message)
  const content = await readContent(options, raw, hash)
  if (!bytesEqual(merkleRoot(content.ids), header.value.header.merkleRoot)) {
    throw new MainBlockRefusedError('MAIN_BLOCK_ROOT', 'the transactions do not fit the header')
  }
  return {
    header: header.value,
    rawHeader: raw.slice(0, header.value.length),
    transactionIds: content.ids,
    anchors: anchorsIn(content.ids, content.transactions, header.value, options.sideGenesisHash),
    deposits: depositsIn(content.ids, content.transactions, header.value, options.sideGenesisHash),
    powAnchors: powAnchorsIn(content, header.value, options.sideGenesisHash),
    dposFrom: dposFromIn(content, header.value),
    account:
      options.accountKey && accountChangeIn(content.transactions.values(), options.accountKey),
    context: advanceContext(context, header.value, options.params),
    work: checked.value.work,
  }
}

interface BlockContent {
  readonly ids: readonly InternalHash[]
  /** Those that could be decoded, by index. */
  readonly transactions: ReadonlyMap<number, DecodedTransaction>
}

async function readContent(
  options: FetchOptions,
  raw: Uint8Array,
  hash: DisplayHash,
): Promise<BlockContent> {
  const block = decodeBlock(raw)
  if (block.ok) {
    return {
      ids: block.value.transactions.map(({ id }) => id),
      transactions: new Map(block.value.transactions.entries()),
    }
  }
  // A transaction of a type that our codec lacks hides where the next one begins: ask for the
  // ids, which the Merkle root checks, and for each transaction alone.
  const ids = (await options.client.getBlockTransactionIds(hash)).map(fromDisplayHash)
  if (ids.length === 0) {
    throw new MainBlockRefusedError('MAIN_BLOCK_ROOT', 'the node gave a block without content')
  }
  const transactions = new Map<number, DecodedTransaction>()
  if (options.sideGenesisHash) {
    for (const [index, id] of ids.entries()) {
      const bytes = await options.client.getRawTransaction(toDisplayHash(id), hash)
      const transaction = decodeTransaction(bytes)
      if (transaction.ok && bytesEqual(transaction.value.id, id)) {
        transactions.set(index, transaction.value)
      } else if (!(await isForeignTransaction(bytes, id))) {
        throw new MainBlockRefusedError('MAIN_BLOCK_CONTENT', 'the node hides a transaction')
      }
    }
  }
  return { ids, transactions }
}

function anchorsIn(
  ids: readonly InternalHash[],
  transactions: ReadonlyMap<number, DecodedTransaction>,
  header: DecodedHeader,
  sideGenesisHash: Uint8Array | undefined,
): MemoAnchorSighting[] {
  const sightings: MemoAnchorSighting[] = []
  if (!sideGenesisHash) return sightings
  for (const [index, transaction] of transactions) {
    const found = findMemoAnchor(transaction)
    if (!found.ok || !bytesEqual(found.value.anchor.sideGenesisHash, sideGenesisHash)) continue
    const inclusion = inclusionOf(ids, index, header, transaction.raw)
    sightings.push({ ...inclusion, anchor: found.value.anchor })
  }
  return sightings
}

function depositsIn(
  ids: readonly InternalHash[],
  transactions: ReadonlyMap<number, DecodedTransaction>,
  header: DecodedHeader,
  sideGenesisHash: Uint8Array | undefined,
): TransactionInclusion[] {
  if (!sideGenesisHash) return []
  const deposits: TransactionInclusion[] = []
  for (const [index, { transaction, raw }] of transactions) {
    // One that is too large for a block of ours can never be credited.
    const fits = raw.length <= MAIN_TRANSACTION_BYTES_MAX
    if (fits && isDepositTo(transaction, sideGenesisHash))
      deposits.push(inclusionOf(ids, index, header, raw))
  }
  return deposits
}

function powAnchorsIn(
  { ids, transactions }: BlockContent,
  header: DecodedHeader,
  sideGenesisHash: Uint8Array | undefined,
): PowAnchorSighting[] {
  const sightings: PowAnchorSighting[] = []
  if (!sideGenesisHash) return sightings
  for (const [index, { transaction, raw }] of transactions) {
    const { payload } = transaction
    if (payload.kind !== 'side-chain-pow') continue
    if (!bytesEqual(payload.sideGenesisHash, sideGenesisHash)) continue
    const inclusion = inclusionOf(ids, index, header, raw)
    sightings.push({ ...inclusion, checkpointHash: payload.sideBlockHash })
  }
  return sightings
}

/** While the main chain runs without its arbiters no height is confirmed. */
const NEVER = Number.POSITIVE_INFINITY

function dposFromIn({ transactions }: BlockContent, { header }: DecodedHeader): number | undefined {
  for (const { transaction } of transactions.values()) {
    const { payload } = transaction
    if (payload.kind === 'revert-to-pow') return NEVER
    if (payload.kind === 'revert-to-dpos') return header.height + payload.workHeightInterval
  }
  return undefined
}

/** The proof for the transaction at `index` of a block. */
export function inclusionOf(
  ids: readonly InternalHash[],
  index: number,
  header: DecodedHeader,
  raw: Uint8Array,
): TransactionInclusion {
  return {
    id: ids[index] as InternalHash,
    raw,
    branch: merkleBranch(ids, index),
    index,
    height: header.header.height,
    headerHash: header.hash,
  }
}
