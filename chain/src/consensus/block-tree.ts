import { bytesToHex, type Hex } from '../bytes/hex.ts'
import type { Header, Justification } from '../types/consensus-objects.ts'
import type {
  BlockVerdict,
  ConsensusEffect,
  EpochSetup,
  FinalBlock,
  JustifiedBlock,
} from './machine-interface.ts'

/** A block this far above the committed one is left to block sync. */
const FETCH_BLOCKS_MAX = 64

/** A block above the committed one. Its body is with the driver. */
export interface KnownBlock extends JustifiedBlock {
  readonly parentHash: Hex
  status: 'held' | 'validating' | BlockVerdict
  /** Written to the log, or read from it. */
  logged: boolean
}

export interface WantedBlock {
  attempt: number
  /** Highest view that needs it; no longer wanted once that view is final and committed. */
  view: number
}

/** Blocks above the last committed one, and those asked from peers. */
export interface BlockTree {
  readonly setup: EpochSetup
  /** Last committed block. */
  head: Pick<FinalBlock, 'hash' | 'header'>
  readonly blocks: Map<Hex, KnownBlock>
  readonly wanted: Map<Hex, WantedBlock>
}

export function createBlockTree(setup: EpochSetup, head: FinalBlock): BlockTree {
  return { setup, head, blocks: new Map(), wanted: new Map() }
}

export function addBlock(
  tree: BlockTree,
  hash: Hex,
  header: Header,
  justification: Justification,
): KnownBlock {
  const known = tree.blocks.get(hash)
  if (known) return known
  const parentHash = bytesToHex(header.parentHash)
  const block: KnownBlock = {
    hash,
    parentHash,
    header,
    justification,
    status: 'held',
    logged: false,
  }
  tree.blocks.set(hash, block)
  tree.wanted.delete(hash)
  return block
}

export function headerOf(tree: BlockTree, hash: Hex): Header | undefined {
  return hash === tree.head.hash ? tree.head.header : tree.blocks.get(hash)?.header
}

export function isHeld(tree: BlockTree, hash: Hex): boolean {
  return headerOf(tree, hash) !== undefined
}

/** Asks for a block once; the fetch timer repeats the question. */
export function want(tree: BlockTree, hash: Hex, view: number, effects: ConsensusEffect[]): void {
  if (isHeld(tree, hash)) return
  const wanted = tree.wanted.get(hash)
  if (wanted) {
    wanted.view = Math.max(wanted.view, view)
    return
  }
  tree.wanted.set(hash, { attempt: 0, view })
  effects.push({ type: 'fetchBlock', hash, attempt: 0 })
}

/**
 * How far a block is on its way to a verdict. Pushes it on: asks for the lowest missing ancestor,
 * or lets the lowest unvalidated one be validated, so that a block is executed only on a parent
 * that was.
 */
export function readiness(
  tree: BlockTree,
  hash: Hex,
  view: number,
  effects: ConsensusEffect[],
): BlockVerdict | 'pending' {
  const path: KnownBlock[] = []
  let cursor = hash
  if (isOutOfReach(tree, hash)) return 'pending'
  while (cursor !== tree.head.hash) {
    const block = tree.blocks.get(cursor)
    if (!block) {
      want(tree, cursor, view, effects)
      return 'pending'
    }
    if (block.status === 'invalid' || block.header.height <= tree.head.header.height) {
      return spoil([...path, block])
    }
    if (isOnOtherStart(tree.setup, block)) return spoil([...path, block])
    if (block.status === 'valid' || block.status === 'refused') break
    path.push(block)
    cursor = block.parentHash
  }
  const lowest = path.at(-1)
  if (!lowest) return verdictOf(tree, hash)
  if (lowest.status === 'held') {
    const parent = headerOf(tree, cursor)
    if (!parent || !isLinked(lowest.header, parent)) return spoil(path)
    lowest.status = 'validating'
    effects.push({ type: 'validateBlock', block: withoutStatus(lowest) })
  }
  return 'pending'
}

/** The epoch before ended otherwise where this block comes from: its parent is never ours. */
function isOnOtherStart({ start }: EpochSetup, { header, parentHash }: KnownBlock): boolean {
  return header.height === start.header.height + 1 && parentHash !== start.hash
}

/** What leaves the tree: a value that later changes of status do not touch. */
export function withoutStatus({ hash, header, justification }: KnownBlock): JustifiedBlock {
  return { hash, header, justification }
}

/** So far above the committed block that block sync is faster than asking for one at a time. */
export function isOutOfReach(tree: BlockTree, hash: Hex): boolean {
  const height = tree.blocks.get(hash)?.header.height ?? 0
  return height - tree.head.header.height > FETCH_BLOCKS_MAX
}

function verdictOf(tree: BlockTree, hash: Hex): BlockVerdict {
  if (hash === tree.head.hash) return 'valid'
  return tree.blocks.get(hash)?.status === 'refused' ? 'refused' : 'valid'
}

function spoil(blocks: readonly KnownBlock[]): 'invalid' {
  for (const block of blocks) block.status = 'invalid'
  return 'invalid'
}

/**
 * The part of the header that is checked against the parent: height, and the lower half of the time
 * rule. That the parent was certified in the view that the header names is the justification's.
 */
function isLinked(header: Header, parent: Header): boolean {
  return header.height === parent.height + 1 && header.timeMs > parent.timeMs
}

/** The blocks from above the committed one up to `hash`, oldest first. All must be known. */
export function pathTo(tree: BlockTree, hash: Hex): KnownBlock[] {
  const path: KnownBlock[] = []
  let cursor = hash
  while (cursor !== tree.head.hash) {
    const block = tree.blocks.get(cursor)
    if (!block) break
    path.push(block)
    cursor = block.parentHash
  }
  return path.reverse()
}

/** Moves the committed block up and forgets everything that does not descend from it. */
export function advanceHead(tree: BlockTree, head: BlockTree['head'], finalView: number): void {
  tree.head = { hash: head.hash, header: head.header }
  const byHeight = [...tree.blocks.values()].sort((a, b) => a.header.height - b.header.height)
  // Parents come first. A block whose parent is not known stays: it may be asked for.
  const lost = new Set<Hex>()
  for (const { hash, parentHash, header } of byHeight) {
    if (parentHash === head.hash) continue
    // What is above it has a later view; a false height would else stay until the epoch's end.
    const besides = header.height <= head.header.height + 1 || header.view <= head.header.view
    if (besides || lost.has(parentHash)) lost.add(hash)
  }
  for (const hash of lost) tree.blocks.delete(hash)
  for (const [hash, wanted] of tree.wanted) {
    if (wanted.view <= finalView) tree.wanted.delete(hash)
  }
}
