import { fault, ok, type Result } from '../bytes/result.ts'
import { bytesEqual } from '../bytes/hex.ts'
import type { DecodedBlock } from './block.ts'
import { addToFilter, filterMatches } from './bloom-filter.ts'
import { ByteWriter } from './byte-writer.ts'
import type { InternalHash } from './hash-orientation.ts'
import {
  buildPartialTree,
  type MerkleBlock,
  type PartialTreeLeaf,
  resolvePartialTree,
} from './merkle-block.ts'
import type { SideChainFilter } from './p2p-message.ts'
import type { DecodedTransaction } from './transaction.ts'

/** With this tweak a main node looks at program hashes of outputs alone: a side chain's filter. */
const SIDE_CHAIN_TWEAK = 0xffff_ffff
/**
 * A filter that every transaction passes. What we look for has no address of its own (anyone may
 * write an anchor), and a node that is told what we look for could leave it out unseen; with
 * everything shown, the Merkle root of the header tells that nothing is missing.
 */
export const OPEN_FILTER: SideChainFilter = {
  bytes: Uint8Array.of(0xff),
  functions: 1,
  tweak: 0,
  flags: 0,
  transactionTypes: new Uint8Array(0),
}

/** A block as a peer with a filter gets it. */
export interface FilteredBlock {
  readonly merkleBlock: MerkleBlock
  /** What passed the filter, in order. */
  readonly shown: readonly DecodedTransaction[]
  /** The filter afterwards: spends of outputs that passed will pass too. */
  readonly filter: SideChainFilter
}

/** Filters a block by the rules of the main node. */
export function filterBlock(block: DecodedBlock, filter: SideChainFilter): FilteredBlock {
  const shown = new Set<number>()
  let current = filter
  for (const [index, transaction] of block.transactions.entries()) {
    const matched = matchTransaction(transaction, current)
    if (matched.isShown) shown.add(index)
    current = matched.filter
  }
  const ids = block.transactions.map(({ id }) => id)
  return {
    merkleBlock: { header: block, tree: buildPartialTree(ids, (index) => shown.has(index)) },
    shown: block.transactions.filter((_, index) => shown.has(index)),
    filter: current,
  }
}

/** Whether a transaction passes, and the filter with what it adds to it. */
export function matchTransaction(
  { id, transaction }: DecodedTransaction,
  filter: SideChainFilter,
): { readonly isShown: boolean; readonly filter: SideChainFilter } {
  const outputs = transaction.outputs.map(({ programHash }) => filterMatches(filter, programHash))
  if (filter.tweak === SIDE_CHAIN_TWEAK) {
    const { transactionTypes } = filter
    const isWanted = transactionTypes.length === 0 || transactionTypes.includes(transaction.type)
    return { isShown: isWanted && outputs.includes(true), filter }
  }
  let next = filter
  for (const [index, isMatch] of outputs.entries()) {
    if (isMatch) next = { ...next, ...addToFilter(next, outpointBytes(id, index)) }
  }
  const isShown =
    outputs.includes(true) ||
    filterMatches(filter, id) ||
    transaction.inputs.some((input) =>
      filterMatches(filter, outpointBytes(input.transactionId, input.index)),
    )
  return { isShown, filter: next }
}

function outpointBytes(id: InternalHash, index: number): Uint8Array {
  return new ByteWriter(34).fixed(id).u16(index).finish()
}

/** The transactions that a merkleblock proves, when its tree belongs to its header. */
export function provenLeaves(block: MerkleBlock): Result<readonly PartialTreeLeaf[]> {
  const resolved = resolvePartialTree(block.tree)
  if (!resolved.ok) return resolved
  if (bytesEqual(resolved.value.root, block.header.header.merkleRoot)) {
    return ok(resolved.value.matches)
  }
  return fault('MAIN_BLOCK_ROOT', 'the partial tree is of another block than the header')
}
