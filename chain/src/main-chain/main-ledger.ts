import { assert } from '../bytes/assert.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { BLOCK_BYTES_MAX, type DecodedBlock, decodeBlock } from '../elastos/block.ts'
import { sumOutputs } from '../elastos/ela-amount.ts'
import { type InternalHash, toInternalHex } from '../elastos/hash-orientation.ts'
import {
  checkHeader,
  type HeaderContext,
  type MainChainParams,
  MEDIAN_TIME_HEADERS,
  retargetWindow,
} from '../elastos/header-rules.ts'
import type { MainHeader } from '../elastos/main-header.ts'
import { merkleRoot } from '../elastos/merkle.ts'
import type { DecodedTransaction } from '../elastos/transaction.ts'
import { TransactionKind } from '../elastos/transaction-payload.ts'
import { bytesEqual } from '../bytes/hex.ts'
import type { BlockPosition } from './block-file.ts'
import { checkModeSwitch, isModeSwitch } from './cross-chain-rules.ts'
import { CrossChainState, returnsIn, withdrawalsIn } from './cross-chain-state.ts'
import { checkTransaction } from './main-transaction-rules.ts'
import { outpointKey, UtxoSet, type UtxoUndo } from './utxo-set.ts'

/** How deep the best chain can be left again; what lies deeper keeps no undo data. */
const REORGANISATION_DEPTH_MAX = 1000

export interface MainLedgerRules {
  readonly params: MainChainParams
  /** What a block creates beyond the fees, sela. */
  readonly blockReward: bigint
  readonly coinbaseMaturity: number
  /** Compressed P-256 keys of the cross-chain arbiters, in turn. */
  readonly arbiters: readonly Uint8Array[]
}

/** A block in the tree of all blocks known. */
export interface BlockNode {
  readonly hash: InternalHash
  readonly key: string
  readonly header: MainHeader
  readonly parent: BlockNode | undefined
  /** Work of the chain up to and with this block. */
  readonly work: bigint
  readonly size: number
  readonly position: BlockPosition
  /** Of the time without arbiters: nobody confirms it. Known while it is in the best chain. */
  isPow: boolean
  /** Kept for the last blocks only, to leave or to join the best chain. */
  block: DecodedBlock | undefined
  undo: UtxoUndo | undefined
}

/** A block that passed every check that needs no place in the tree. */
export interface CheckedBlock {
  readonly block: DecodedBlock
  readonly raw: Uint8Array
  readonly parent: BlockNode
  readonly work: bigint
}

/** How the best chain changed. */
export interface ChainChange {
  readonly connected: readonly BlockNode[]
  readonly disconnected: readonly BlockNode[]
}

const NO_CHANGE: ChainChange = { connected: [], disconnected: [] }

/** The block tree, its best chain and the unspent outputs; no disk, no clock. */
export class MainLedger {
  readonly utxos = new UtxoSet()
  readonly crossChain: CrossChainState
  readonly rules: MainLedgerRules
  private readonly nodes = new Map<string, BlockNode>()
  private readonly best: BlockNode[] = []
  private readonly transactions = new Map<string, { node: BlockNode; index: number }>()

  constructor(rules: MainLedgerRules) {
    this.rules = rules
    this.crossChain = new CrossChainState(rules.arbiters)
  }

  get tip(): BlockNode {
    const tip = this.best[this.best.length - 1]
    assert(tip !== undefined, 'the chain has a genesis block')
    return tip
  }

  get height(): number {
    return this.best.length - 1
  }

  at(height: number): BlockNode | undefined {
    return this.best[height]
  }

  node(key: string): BlockNode | undefined {
    return this.nodes.get(key)
  }

  isBest(node: BlockNode): boolean {
    return this.best[node.header.height] === node
  }

  /** Where a transaction of the best chain stands. */
  transaction(key: string): { readonly node: BlockNode; readonly index: number } | undefined {
    return this.transactions.get(key)
  }

  /** Takes the genesis block, which is trusted. */
  addGenesis(raw: Uint8Array, position: BlockPosition): void {
    assert(this.best.length === 0, 'there is a genesis block already')
    const block = decodeBlock(raw)
    assert(block.ok, 'the genesis block is well-formed')
    const node = this.makeNode(block.value, raw, undefined, 0n, position)
    this.nodes.set(node.key, node)
    this.connect(node)
  }

  /** The header rules' context for a block after `parent`. */
  contextAfter(parent: BlockNode): HeaderContext {
    const lastTimes: number[] = []
    let cursor: BlockNode | undefined = parent
    for (let i = 0; i < MEDIAN_TIME_HEADERS && cursor; i++, cursor = cursor.parent) {
      lastTimes.unshift(cursor.header.timestamp)
    }
    const { height, timestamp, bits } = parent.header
    const windowFirst = height - (height % retargetWindow(this.rules.params))
    let first = parent
    while (first.header.height > windowFirst && first.parent) first = first.parent
    return {
      previous: { hash: parent.hash, height, time: timestamp, bits },
      lastTimes,
      windowFirstTime: first.header.timestamp,
    }
  }

  /**
   * Checks a block wherever it belongs; if it extends the tip, its transactions too, so that
   * nothing invalid is ever written to the disk.
   */
  check(raw: Uint8Array, checkSignatures: boolean): Result<CheckedBlock> {
    if (raw.length > BLOCK_BYTES_MAX) return fault('MAIN_BLOCK_SIZE', 'the block is too large')
    const decoded = decodeBlock(raw)
    if (!decoded.ok) return decoded
    const block = decoded.value
    if (this.nodes.has(toInternalHex(block.hash))) {
      return fault('MAIN_BLOCK_KNOWN', 'the block is known already')
    }
    const parent = this.nodes.get(toInternalHex(block.header.previous))
    if (!parent) return fault('MAIN_BLOCK_ORPHAN', 'the block before this one is not known')
    const header = checkHeader(block, this.contextAfter(parent), this.rules.params)
    if (!header.ok) return header
    const body = checkBody(block)
    if (!body.ok) return body
    if (parent === this.tip) {
      const transactions = this.checkTransactions(block, checkSignatures)
      if (!transactions.ok) return transactions
    }
    return ok({ block, raw, parent, work: parent.work + header.value.work })
  }

  /** Puts a checked block into the tree and moves to the chain with the most work. */
  insert(
    checked: CheckedBlock,
    position: BlockPosition,
    checkSignatures: boolean,
  ): Result<ChainChange> {
    const node = this.makeNode(checked.block, checked.raw, checked.parent, checked.work, position)
    this.nodes.set(node.key, node)
    if (node.parent === this.tip) {
      this.connect(node)
      return ok({ connected: [node], disconnected: [] })
    }
    if (node.work <= this.tip.work) return ok(NO_CHANGE)
    return this.reorganise(node, checkSignatures)
  }

  /** Transaction checks of a block on the tip; returns the fees. */
  checkTransactions(block: DecodedBlock, checkSignatures: boolean): Result<bigint> {
    const height = this.height + 1
    const spent = new Set<string>()
    const paidOut = new Set<string>()
    let fees = 0n
    for (const decoded of block.transactions.slice(1)) {
      if (this.transactions.has(toInternalHex(decoded.id))) {
        return fault('MAIN_TRANSACTION_KNOWN', 'a transaction of the block is in the chain already')
      }
      const ids = [...withdrawalsIn(decoded), ...returnsIn(decoded)].map(toInternalHex)
      if (ids.some((id) => paidOut.has(id))) {
        return fault('MAIN_SIDE_TRANSACTION_USED', 'the block pays a side transaction twice')
      }
      for (const id of ids) paidOut.add(id)
      if (isModeSwitch(decoded.transaction.type)) {
        const switched = checkModeSwitch(decoded, this.crossChain.powMode)
        if (!switched.ok) return switched
        continue
      }
      const fee = checkTransaction(decoded, {
        utxo: (input) => (spent.has(outpointKey(input)) ? undefined : this.utxos.get(input)),
        height,
        coinbaseMaturity: this.rules.coinbaseMaturity,
        crossChain: this.crossChain,
        checkSignatures,
      })
      if (!fee.ok) return fee
      fees += fee.value
      for (const input of decoded.transaction.inputs) spent.add(outpointKey(input))
    }
    const coinbase = block.transactions[0] as DecodedTransaction
    if (this.transactions.has(toInternalHex(coinbase.id))) {
      return fault('MAIN_TRANSACTION_KNOWN', 'the coinbase is in the chain already')
    }
    if (coinbase.transaction.lockTime !== height) {
      return fault('MAIN_COINBASE', 'the lock time of a coinbase is its height')
    }
    const minted = sumOutputs(coinbase.transaction.outputs)
    if (!minted.ok) return minted
    if (minted.value > this.rules.blockReward + fees) {
      return fault('MAIN_COINBASE', 'the coinbase takes more than the reward and the fees')
    }
    return ok(fees)
  }

  private reorganise(target: BlockNode, checkSignatures: boolean): Result<ChainChange> {
    const branch: BlockNode[] = []
    let fork: BlockNode | undefined = target
    while (fork && !this.isBest(fork)) {
      branch.unshift(fork)
      fork = fork.parent
    }
    assert(fork !== undefined, 'every block leads to genesis')
    if (this.height - fork.header.height > REORGANISATION_DEPTH_MAX) {
      return fault('MAIN_REORGANISATION_DEPTH', 'the fork lies too deep')
    }
    const disconnected: BlockNode[] = []
    while (this.tip !== fork) disconnected.unshift(this.disconnect())
    for (const [index, node] of branch.entries()) {
      assert(node.block !== undefined, 'a side block keeps its content')
      const checked = this.checkTransactions(node.block, checkSignatures)
      if (checked.ok) {
        this.connect(node)
        continue
      }
      // The branch is not valid after all: back to where we were, and forget the rest of it.
      while (this.tip !== fork) this.disconnect()
      for (const old of disconnected) this.connect(old)
      for (const bad of branch.slice(index)) this.nodes.delete(bad.key)
      return checked
    }
    return ok({ connected: branch, disconnected })
  }

  private makeNode(
    block: DecodedBlock,
    raw: Uint8Array,
    parent: BlockNode | undefined,
    work: bigint,
    position: BlockPosition,
  ): BlockNode {
    return {
      hash: block.hash,
      key: toInternalHex(block.hash),
      // Shares the parent's hash: a chain of days is held in memory.
      header: parent ? { ...block.header, previous: parent.hash } : block.header,
      parent,
      work,
      size: raw.length,
      position,
      isPow: false,
      block,
      undo: undefined,
    }
  }

  private connect(node: BlockNode): void {
    assert(node.block !== undefined, 'a block to connect has its content')
    const { height } = node.header
    assert(height === this.best.length, 'blocks connect in order')
    node.undo = this.utxos.apply(node.block.transactions, height)
    const wasPow = this.crossChain.powMode
    this.crossChain.apply(node.key, node.block.transactions, node.undo)
    // The block of either switch is mined without arbiters.
    node.isPow = wasPow || this.crossChain.powMode
    this.best.push(node)
    for (const [index, { id }] of node.block.transactions.entries()) {
      this.transactions.set(toInternalHex(id), { node, index })
    }
    const settled = this.best[height - REORGANISATION_DEPTH_MAX]
    if (settled) {
      settled.block = undefined
      settled.undo = undefined
      this.crossChain.settle(settled.key)
    }
  }

  private disconnect(): BlockNode {
    const node = this.tip
    assert(node.undo && node.block, 'a block within reach keeps its content and undo data')
    this.utxos.revert(node.undo)
    this.crossChain.revert(node.key)
    node.undo = undefined
    this.best.pop()
    for (const { id } of node.block.transactions) this.transactions.delete(toInternalHex(id))
    return node
  }
}

function checkBody(block: DecodedBlock): Result<undefined> {
  const [first, ...others] = block.transactions
  if (first?.transaction.type !== TransactionKind.coinbase) {
    return fault('MAIN_COINBASE', 'the first transaction of a block is its coinbase')
  }
  if (others.some(({ transaction }) => transaction.type === TransactionKind.coinbase)) {
    return fault('MAIN_COINBASE', 'a block has one coinbase')
  }
  const ids = block.transactions.map(({ id }) => id)
  if (new Set(ids.map(toInternalHex)).size !== ids.length) {
    return fault('MAIN_TRANSACTION_KNOWN', 'a transaction stands twice in the block')
  }
  if (!bytesEqual(merkleRoot(ids), block.header.merkleRoot)) {
    return fault('MAIN_BLOCK_ROOT', 'the transactions do not give the Merkle root of the header')
  }
  return ok()
}
