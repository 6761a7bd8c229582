import { crc32 } from 'node:zlib'
import { bytesToHex, concatBytes } from '../bytes/hex.ts'
import type { CommittedBlock, StoredBlock } from '../manager/chain-store.ts'
import { type Block, BlockType } from '../types/block.ts'
import { PrunedBlockType, pruneBlock } from '../types/pruned-block.ts'
import { type Receipt, ReceiptType } from '../types/receipts.ts'
import { SupplyTermsType } from '../types/records.ts'
import type { Operation } from './database.ts'
import {
  hashKey,
  heightKey,
  indexKey,
  Prefix,
  position,
  receiptKey,
  u32Key,
  u64Key,
} from './layout.ts'
import { subjectsOf } from './receipt-subjects.ts'

export function put(operations: Operation[], key: Uint8Array, value: Uint8Array): void {
  operations.push({ type: 'put', key, value })
}

function putOrDelete(operations: Operation[], key: Uint8Array, value: Uint8Array | undefined) {
  if (value) put(operations, key, value)
  else operations.push({ type: 'del', key })
}

/** Over what is served of a block: LevelDB does not check what it reads, nor does a cheap disk. */
export function checksumOf(parts: readonly (Uint8Array | undefined)[]): number {
  return parts.reduce<number>((sum, part) => (part ? crc32(part, sum) : sum), 0)
}

/** Replaces a block by itself without openings, if it has any; gives the bytes it is shorter. */
export function addPruned(operations: Operation[], stored: StoredBlock): number {
  const { height, hash, justification, certificate, reproposals } = stored
  const block = BlockType.deserialize(stored.block) as Block
  const pruned = pruneBlock(block)
  if (!pruned) return 0
  const hashed = concatBytes(hash, PrunedBlockType.serialize(pruned))
  operations.push({ type: 'del', key: heightKey(Prefix.block, height) })
  put(operations, heightKey(Prefix.prunedBlock, height), hashed)
  const links = reproposals.length > 0 ? reproposals : undefined
  const checksum = checksumOf([hashed, justification, certificate, links])
  put(operations, heightKey(Prefix.checksum, height), u32Key(checksum))
  return stored.block.length + hash.length - hashed.length
}

export function addBlock(operations: Operation[], block: CommittedBlock): void {
  const { height } = block
  const { justification, certificate } = block
  const hashed = concatBytes(block.hash, block.block)
  const reproposals = block.reproposals.length > 0 ? block.reproposals : undefined
  put(operations, heightKey(Prefix.block, height), hashed)
  put(operations, heightKey(Prefix.justification, height), justification)
  putOrDelete(operations, heightKey(Prefix.certificate, height), certificate)
  putOrDelete(operations, heightKey(Prefix.reproposals, height), reproposals)
  const checksum = checksumOf([hashed, justification, certificate, reproposals])
  put(operations, heightKey(Prefix.checksum, height), u32Key(checksum))
  if (block.supply) {
    put(operations, heightKey(Prefix.supply, height), SupplyTermsType.serialize(block.supply))
  }
  put(operations, hashKey(Prefix.hash, bytesToHex(block.hash)), u64Key(height))
  put(operations, heightKey(Prefix.hashAt, height), block.hash)
  block.transactionIds.forEach((id, index) => {
    put(operations, hashKey(Prefix.transaction, id), position(height, index))
  })
  for (const receipt of block.receipts) addReceipt(operations, receipt)
}

function addReceipt(operations: Operation[], receipt: Receipt): void {
  const { height, index } = receipt
  const empty = new Uint8Array(0)
  put(operations, receiptKey(height, index), ReceiptType.serialize(receipt))
  const id = bytesToHex(ReceiptType.hashTreeRoot(receipt))
  put(operations, hashKey(Prefix.receiptId, id), position(height, index))
  const { nodes, rail, contract } = subjectsOf(receipt)
  for (const node of nodes) put(operations, indexKey(Prefix.byNode, node, height, index), empty)
  if (rail !== undefined) {
    put(operations, indexKey(Prefix.byRail, u32Key(rail), height, index), empty)
  }
  if (contract !== undefined) {
    put(operations, indexKey(Prefix.byContract, u32Key(contract), height, index), empty)
  }
}
