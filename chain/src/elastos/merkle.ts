import { assert } from '../bytes/assert.ts'
import { bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { doubleHash, type InternalHash } from './hash-orientation.ts'

/** Longest branch taken: a block cannot hold 2^32 transactions. */
export const BRANCH_LENGTH_MAX = 32

/** Bitcoin's inner node: double SHA-256 of left ‖ right. */
export function merkleNode(left: Uint8Array, right: Uint8Array): InternalHash {
  const pair = new Uint8Array(64)
  pair.set(left, 0)
  pair.set(right, 32)
  return doubleHash(pair)
}

function levelAbove(level: readonly InternalHash[]): InternalHash[] {
  const above: InternalHash[] = []
  for (let i = 0; i < level.length; i += 2) {
    const left = level[i] as InternalHash
    // Bitcoin's rule: the last hash of an odd level stands beside itself.
    above.push(merkleNode(left, level[i + 1] ?? left))
  }
  return above
}

/** All levels of the tree, leaves first; the last one holds the root alone. */
export function merkleLevels(ids: readonly InternalHash[]): (readonly InternalHash[])[] {
  const levels: (readonly InternalHash[])[] = [ids]
  for (let level = ids; level.length > 1; levels.push(level)) level = levelAbove(level)
  return levels
}

/** Root over the transaction ids of a block, in block order; at least one. */
export function merkleRoot(ids: readonly InternalHash[]): InternalHash {
  assert(ids.length > 0, 'a block has a transaction')
  let level: readonly InternalHash[] = ids
  while (level.length > 1) level = levelAbove(level)
  return level[0] as InternalHash
}

/** Siblings from the leaf at `index` up to below the root. */
export function merkleBranch(ids: readonly InternalHash[], index: number): InternalHash[] {
  assert(index >= 0 && index < ids.length, 'no leaf at this index')
  const branch: InternalHash[] = []
  let level: readonly InternalHash[] = ids
  let position = index
  while (level.length > 1) {
    branch.push(level[position ^ 1] ?? (level[position] as InternalHash))
    level = levelAbove(level)
    position >>>= 1
  }
  return branch
}

/** Folds a leaf with its branch: bit i of the index set means that sibling i stands left. */
export function foldBranch(
  leaf: Uint8Array,
  branch: readonly Uint8Array[],
  index: number,
): InternalHash {
  let hash = leaf as InternalHash
  let position = index
  for (const sibling of branch) {
    hash = (position & 1) === 1 ? merkleNode(sibling, hash) : merkleNode(hash, sibling)
    position >>>= 1
  }
  return hash
}

/**
 * Whether the transaction stands at `index` of the block with this Merkle root. The position is
 * unique: an index beyond the tree is refused, and so is the doubled last leaf of an odd level
 * (a right sibling equal to its left one), which would prove one transaction at two places.
 */
export function verifyTransactionInclusion(
  id: InternalHash,
  branch: readonly Uint8Array[],
  index: number,
  root: Uint8Array,
): Result<undefined> {
  if (branch.length > BRANCH_LENGTH_MAX || branch.some((hash) => hash.length !== 32)) {
    return fault('MAIN_BRANCH_MALFORMED', `a branch has at most ${BRANCH_LENGTH_MAX} hashes`)
  }
  if (!Number.isInteger(index) || index < 0 || index >= 2 ** branch.length) {
    return fault('MAIN_BRANCH_INDEX', 'the index lies outside the tree of this branch')
  }
  let hash: InternalHash = id
  let position = index
  for (const sibling of branch) {
    const onTheRight = position % 2 === 1
    if (onTheRight && bytesEqual(sibling, hash)) {
      return fault('MAIN_BRANCH_INDEX', 'the index names the copy of a doubled last leaf')
    }
    hash = onTheRight ? merkleNode(sibling, hash) : merkleNode(hash, sibling)
    position = Math.floor(position / 2)
  }
  if (!bytesEqual(hash, root)) {
    return fault('MAIN_BRANCH_ROOT', 'the branch does not lead to the Merkle root of the header')
  }
  return ok()
}
