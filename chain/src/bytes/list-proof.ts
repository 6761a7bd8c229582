import { assert } from './assert.ts'
import { sha256 } from './hash.ts'
import { bytesEqual } from './hex.ts'
import { fault, ok, type Result } from './result.ts'

/** An SSZ list's Merkle branch: siblings bottom-up, the length chunk last. */
export interface ListProof {
  readonly leaf: Uint8Array
  readonly index: number
  readonly branch: readonly Uint8Array[]
  readonly root: Uint8Array
}

/** Proofs of lists with more elements than 2^this do not exist in the protocol. */
const LIST_DEPTH_MAX = 32

/**
 * Proves element `index` of List[T, limit] from the roots of all its elements. The tree has
 * 2^ceil(log2 limit) leaves, padded with zero hashes, and the length is mixed in on top (SSZ).
 */
export function proveListElement(
  roots: readonly Uint8Array[],
  limit: number,
  index: number,
): ListProof {
  const leaf = roots[index]
  assert(leaf !== undefined && roots.length <= limit, 'the element is not in the list')
  const branch: Uint8Array[] = []
  let level = [...roots]
  let position = index
  let zero: Uint8Array = new Uint8Array(32)
  for (let depth = listDepth(limit); depth > 0; depth--) {
    branch.push(level[position ^ 1] ?? zero)
    const above: Uint8Array[] = []
    for (let i = 0; i < level.length; i += 2) {
      above.push(sha256(level[i] as Uint8Array, level[i + 1] ?? zero))
    }
    level = above
    position = Math.floor(position / 2)
    zero = sha256(zero, zero)
  }
  const length = lengthChunk(roots.length)
  branch.push(length)
  return { leaf, index, branch, root: sha256(level[0] as Uint8Array, length) }
}

/** Checks an untrusted proof; on success the leaf stands at `index` of the list with that root. */
export function checkListProof(proof: ListProof, limit: number): Result<undefined> {
  const depth = listDepth(limit)
  if (proof.branch.length !== depth + 1 || depth > LIST_DEPTH_MAX) {
    return fault('PROOF_SHAPE', `a proof in this list has ${depth + 1} hashes`)
  }
  if (!(proof.index >= 0) || proof.index >= 2 ** depth) {
    return fault('PROOF_SHAPE', 'the index lies outside the list')
  }
  let node = proof.leaf
  let position = proof.index
  for (const sibling of proof.branch) {
    node = position % 2 === 1 ? sha256(sibling, node) : sha256(node, sibling)
    position = Math.floor(position / 2)
  }
  if (!bytesEqual(node, proof.root)) return fault('PROOF_WRONG', 'the branch gives another root')
  return ok()
}

function listDepth(limit: number): number {
  return Math.ceil(Math.log2(limit))
}

function lengthChunk(length: number): Uint8Array {
  const chunk = new Uint8Array(32)
  new DataView(chunk.buffer).setUint32(0, length, true)
  return chunk
}
