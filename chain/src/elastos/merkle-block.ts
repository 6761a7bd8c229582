import { assert } from '../bytes/assert.ts'
import { bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { BLOCK_TRANSACTIONS_MAX } from './block.ts'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import type { InternalHash } from './hash-orientation.ts'
import { type DecodedHeader, readHeaderWithAuxPow, writeHeaderWithAuxPow } from './main-header.ts'
import { merkleLevels, merkleNode } from './merkle.ts'

/** A partial Merkle tree as in BIP 37: depth first, flag bits read lowest first. */
export interface PartialTree {
  readonly transactionCount: number
  readonly hashes: readonly InternalHash[]
  readonly flags: Uint8Array
}

export interface MerkleBlock {
  readonly header: DecodedHeader
  readonly tree: PartialTree
}

/** The stored proof of an SPV node; also inside a recharge of version 0. */
export interface MerkleProof {
  readonly blockHash: InternalHash
  readonly height: number
  readonly tree: PartialTree
}

export interface PartialTreeLeaf {
  readonly index: number
  readonly id: InternalHash
}

function readTree(reader: ByteReader): PartialTree {
  const transactionCount = reader.u32()
  const hashes = reader.hashes(reader.countU32(BLOCK_TRANSACTIONS_MAX, 32))
  return { transactionCount, hashes, flags: reader.varBytes(BLOCK_TRANSACTIONS_MAX) }
}

function writeTree(writer: ByteWriter, tree: PartialTree): void {
  writer.u32(tree.transactionCount).u32(tree.hashes.length)
  for (const hash of tree.hashes) writer.fixed(hash)
  writer.varBytes(tree.flags)
}

/** Decodes exactly one merkleblock message. */
export function decodeMerkleBlock(bytes: Uint8Array): Result<MerkleBlock> {
  const reader = new ByteReader(bytes)
  return reader.result({ header: readHeaderWithAuxPow(reader), tree: readTree(reader) })
}

export function encodeMerkleBlock(block: MerkleBlock): Uint8Array {
  const writer = new ByteWriter(1024)
  writeHeaderWithAuxPow(writer, block.header.header, block.header.auxPow)
  writeTree(writer, block.tree)
  return writer.finish()
}

export function decodeMerkleProof(bytes: Uint8Array): Result<MerkleProof> {
  const reader = new ByteReader(bytes)
  return reader.result({ blockHash: reader.hash(), height: reader.u32(), tree: readTree(reader) })
}

export function encodeMerkleProof(proof: MerkleProof): Uint8Array {
  const writer = new ByteWriter(256).fixed(proof.blockHash).u32(proof.height)
  writeTree(writer, proof.tree)
  return writer.finish()
}

/**
 * The root that the tree proves and the leaves it marks. All hashes and all flag bytes must be
 * used; equal siblings are refused, because a doubled subtree proves leaves that do not exist.
 */
export function resolvePartialTree(
  tree: PartialTree,
): Result<{ readonly root: InternalHash; readonly matches: readonly PartialTreeLeaf[] }> {
  const { transactionCount, hashes, flags } = tree
  if (transactionCount === 0 || transactionCount > BLOCK_TRANSACTIONS_MAX) {
    return fault('MAIN_TREE_MALFORMED', 'a block has 1 to 10000 transactions')
  }
  let height = 0
  while (widthAt(transactionCount, height) > 1) height++
  const cursor = { hash: 0, bit: 0, malformed: false }
  const matches: PartialTreeLeaf[] = []
  const root = walk(tree, height, 0, cursor, matches)
  if (!root || cursor.malformed) {
    return fault('MAIN_TREE_MALFORMED', 'the partial Merkle tree is not well-formed')
  }
  if (cursor.hash !== hashes.length || Math.ceil(cursor.bit / 8) !== flags.length) {
    return fault('MAIN_TREE_MALFORMED', 'the partial Merkle tree has more than it needs')
  }
  return ok({ root, matches })
}

/** The partial tree that shows the marked transactions of a block and hides the others. */
export function buildPartialTree(
  ids: readonly InternalHash[],
  isShown: (index: number) => boolean,
): PartialTree {
  assert(ids.length > 0 && ids.length <= BLOCK_TRANSACTIONS_MAX, 'a block has transactions')
  const levels = merkleLevels(ids)
  const hashes: InternalHash[] = []
  const bits: boolean[] = []
  const hasShown = (height: number, position: number) => {
    const end = Math.min((position + 1) * 2 ** height, ids.length)
    for (let i = position * 2 ** height; i < end; i++) if (isShown(i)) return true
    return false
  }
  const visit = (height: number, position: number): void => {
    const shown = hasShown(height, position)
    bits.push(shown)
    if (height === 0 || !shown) {
      hashes.push(levels[height]?.[position] as InternalHash)
      return
    }
    visit(height - 1, position * 2)
    if (position * 2 + 1 < widthAt(ids.length, height - 1)) visit(height - 1, position * 2 + 1)
  }
  visit(levels.length - 1, 0)
  const flags = new Uint8Array(Math.ceil(bits.length / 8))
  bits.forEach((bit, at) => {
    if (bit) flags[at >>> 3] = (flags[at >>> 3] as number) | (1 << (at & 7))
  })
  return { transactionCount: ids.length, hashes, flags }
}

function widthAt(transactionCount: number, height: number): number {
  return Math.ceil(transactionCount / 2 ** height)
}

/** Depth is bounded by the height of the tree, 14 at most. */
function walk(
  tree: PartialTree,
  height: number,
  position: number,
  cursor: { hash: number; bit: number; malformed: boolean },
  matches: PartialTreeLeaf[],
): InternalHash | undefined {
  const flagByte = tree.flags[cursor.bit >>> 3]
  if (cursor.malformed || flagByte === undefined) {
    cursor.malformed = true
    return undefined
  }
  const flag = (flagByte >>> (cursor.bit & 7)) & 1
  cursor.bit++
  if (height === 0 || flag === 0) {
    const hash = tree.hashes[cursor.hash++]
    if (hash && height === 0 && flag === 1) matches.push({ index: position, id: hash })
    return hash
  }
  const left = walk(tree, height - 1, position * 2, cursor, matches)
  const hasRight = position * 2 + 1 < widthAt(tree.transactionCount, height - 1)
  const right = hasRight ? walk(tree, height - 1, position * 2 + 1, cursor, matches) : left
  if (!left || !right) return undefined
  if (hasRight && bytesEqual(left, right)) cursor.malformed = true
  return merkleNode(left, right)
}
