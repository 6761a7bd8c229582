import { assert } from '../bytes/assert.ts'
import { HASH_BYTES, sha256 } from '../bytes/hash.ts'
import { bytesEqual } from '../bytes/hex.ts'
import type { RewardLeaf } from '../state/ledger-draft.ts'

/**
 * The reward tree of an epoch (PROTOCOL 1.4, 2): who booked which fees in it. Written so that a
 * stock merkletreejs, given the node hash below, builds and checks it:
 *
 * leaf 0     = sha256(0x00 ‖ number of fees u32): the count is committed with the rest.
 * leaf 1 + i = sha256(0x00 ‖ node address 20 ‖ fee u64), in order of first redeem.
 * node       = sha256(0x01 ‖ left ‖ right); an odd last node rises as it is, never doubled.
 *
 * Integers are little-endian. Leaf and node hashes cannot be taken for one another, and the two
 * kinds of leaf differ in length.
 */
const LEAF_PREFIX = Uint8Array.of(0x00)
const NODE_PREFIX = Uint8Array.of(0x01)

export function rewardCountLeaf(count: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, count, true)
  return sha256(LEAF_PREFIX, bytes)
}

/** Hashes of fees that were seen: each is a value that never changes. */
const leafHashes = new WeakMap<RewardLeaf, Uint8Array>()

/**
 * Booking a fee asks for it at once, so that the close of an epoch, when the next block waits,
 * finds half of the tree's hashes done.
 */
export function rewardLeafHash(leaf: RewardLeaf): Uint8Array {
  let hash = leafHashes.get(leaf)
  if (!hash) {
    const bytes = new Uint8Array(8)
    new DataView(bytes.buffer).setBigUint64(0, leaf.fee, true)
    hash = sha256(LEAF_PREFIX, leaf.node, bytes)
    leafHashes.set(leaf, hash)
  }
  return hash
}

/** What merkletreejs is given as hash function: it passes both children in one piece. */
export function rewardNodeHash(children: Uint8Array): Uint8Array {
  return sha256(NODE_PREFIX, children)
}

/** All levels: the leaves first, the root alone in the last. */
function levelsOf(fees: readonly RewardLeaf[]): Uint8Array[][] {
  return levelsAbove([rewardCountLeaf(fees.length), ...fees.map(rewardLeafHash)])
}

function levelsAbove(leaves: Uint8Array[]): Uint8Array[][] {
  const levels = [leaves]
  const children = new Uint8Array(1 + 2 * HASH_BYTES)
  children.set(NODE_PREFIX)
  for (let nodes = levels[0] as Uint8Array[]; nodes.length > 1; ) {
    const above: Uint8Array[] = []
    for (let i = 0; i < nodes.length; i += 2) {
      const left = nodes[i] as Uint8Array
      const right = nodes[i + 1]
      if (right) {
        children.set(left, 1)
        children.set(right, 1 + HASH_BYTES)
      }
      above.push(right ? sha256(children) : left)
    }
    levels.push(above)
    nodes = above
  }
  return levels
}

/** Root of an epoch's reward tree: epochDataRoot of its checkpoint's header. Never zero. */
export function rewardRoot(fees: readonly RewardLeaf[]): Uint8Array {
  return (levelsOf(fees).at(-1) as Uint8Array[])[0] as Uint8Array
}

/** A sibling on the way up and the side it stands on: the form of merkletreejs. */
export interface RewardProofStep {
  readonly position: 'left' | 'right'
  readonly data: Uint8Array
}

/** Proof of fee `index`, or of the count where index is -1. */
export function rewardProof(fees: readonly RewardLeaf[], index: number): RewardProofStep[] {
  assert(index >= -1 && index < fees.length, 'only a leaf has a proof')
  const steps: RewardProofStep[] = []
  let at = index + 1
  for (const nodes of levelsOf(fees)) {
    const data = nodes[at ^ 1]
    if (data) steps.push({ position: at & 1 ? 'left' : 'right', data })
    at >>= 1
  }
  return steps
}

/** Leaves of the tree that a slice of it holds, as a power of two; leaf 0 is the count's. */
const REWARD_SLICE_LEVEL = 13

/** Fees that slice `index` of a tree of so many fees holds, as a range of positions. */
export function rewardSliceRange(count: number, index: number): { from: number; to: number } {
  const width = 2 ** REWARD_SLICE_LEVEL
  return { from: Math.max(0, index * width - 1), to: Math.min(count, (index + 1) * width - 1) }
}

/** Slices of a tree of so many fees. */
export function rewardSlices(count: number): number {
  return Math.ceil((count + 1) / 2 ** REWARD_SLICE_LEVEL)
}

/** Siblings of a slice's top node on the way up; where a node rises alone there is none. */
export function rewardSliceBranch(fees: readonly RewardLeaf[], index: number): Uint8Array[] {
  const branch: Uint8Array[] = []
  let at = index
  for (const nodes of levelsOf(fees).slice(REWARD_SLICE_LEVEL)) {
    const sibling = nodes[at ^ 1]
    if (sibling) branch.push(sibling)
    at >>= 1
  }
  return branch
}

/**
 * True iff the tree with this root over `count` fees holds exactly these in slice `index`. Takes
 * untrusted fees and branch.
 */
export function verifyRewardSlice(
  tree: { readonly root: Uint8Array; readonly count: number },
  index: number,
  fees: readonly RewardLeaf[],
  branch: readonly Uint8Array[],
): boolean {
  const { from, to } = rewardSliceRange(tree.count, index)
  if (fees.length !== to - from || branch.some((node) => node.length !== 32)) return false
  const leaves = fees.map(rewardLeafHash)
  if (index === 0) leaves.unshift(rewardCountLeaf(tree.count))
  const [top] = levelsAbove(leaves).at(-1) as Uint8Array[]
  let node = top as Uint8Array
  let width = rewardSlices(tree.count)
  let at = index
  let next = 0
  for (; width > 1; width = Math.ceil(width / 2)) {
    const sibling = (at ^ 1) < width ? branch[next++] : undefined
    if (sibling === undefined && (at ^ 1) < width) return false
    if (sibling) {
      node = at & 1 ? sha256(NODE_PREFIX, sibling, node) : sha256(NODE_PREFIX, node, sibling)
    }
    at >>= 1
  }
  return next === branch.length && bytesEqual(node, tree.root)
}

/** Steps of the tallest tree: 2^32 leaves. */
const STEPS_MAX = 32

/** True iff the tree with this root holds the fee. Takes untrusted steps. */
export function verifyRewardFee(
  fee: RewardLeaf,
  steps: readonly RewardProofStep[],
  root: Uint8Array,
): boolean {
  return leadsTo(rewardLeafHash(fee), steps, root)
}

/** True iff the tree with this root holds so many fees. Takes untrusted steps. */
export function verifyRewardCount(
  count: number,
  steps: readonly RewardProofStep[],
  root: Uint8Array,
): boolean {
  return leadsTo(rewardCountLeaf(count), steps, root)
}

function leadsTo(leaf: Uint8Array, steps: readonly RewardProofStep[], root: Uint8Array): boolean {
  if (steps.length > STEPS_MAX || steps.some((step) => step.data.length !== 32)) return false
  let node = leaf
  for (const { position, data } of steps) {
    node = position === 'left' ? sha256(NODE_PREFIX, data, node) : sha256(NODE_PREFIX, node, data)
  }
  return bytesEqual(node, root)
}
