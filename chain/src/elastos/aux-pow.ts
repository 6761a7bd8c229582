import { bytesEqual, bytesToHex, reversed } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import {
  BITCOIN_HEADER_BYTES,
  decodeBitcoinTransaction,
  readBitcoinTransaction,
} from './bitcoin.ts'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { doubleHash, type InternalHash } from './hash-orientation.ts'
import { BRANCH_LENGTH_MAX, foldBranch } from './merkle.ts'

/** Merged-mining chain id of ELA, which fixes its slot in a miner's aux tree. */
export const ELA_CHAIN_ID = 1224
export const MERGED_MINING_MARKER = 'fabe6d6d'

const MERKLE_ROOT_OFFSET = 36
const HASH_HEX_LENGTH = 64

/** Proof that a Bitcoin header's work was spent on an aux block, in the layout of Elastos. */
export interface AuxPow {
  /** Raw Bitcoin coinbase transaction, non-witness; decodeBitcoinTransaction shows its fields. */
  readonly parentCoinbase: Uint8Array
  /** Present on the wire, never checked by anyone. */
  readonly parentHash: InternalHash
  readonly parentBranch: readonly InternalHash[]
  readonly parentIndex: number
  readonly auxBranch: readonly InternalHash[]
  readonly auxIndex: number
  /** Raw Bitcoin header, 80 bytes; decodeBitcoinHeader shows its fields. */
  readonly parentHeader: Uint8Array
}

export function readAuxPow(reader: ByteReader): AuxPow {
  const start = reader.offset
  readBitcoinTransaction(reader)
  return {
    parentCoinbase: reader.since(start),
    parentHash: reader.hash(),
    parentBranch: reader.hashes(reader.count(BRANCH_LENGTH_MAX, 32)),
    parentIndex: reader.u32(),
    auxBranch: reader.hashes(reader.count(BRANCH_LENGTH_MAX, 32)),
    auxIndex: reader.u32(),
    parentHeader: reader.fixed(BITCOIN_HEADER_BYTES),
  }
}

export function writeAuxPow(writer: ByteWriter, auxPow: AuxPow): void {
  writer.fixed(auxPow.parentCoinbase).fixed(auxPow.parentHash)
  writer.varUint(auxPow.parentBranch.length)
  for (const hash of auxPow.parentBranch) writer.fixed(hash)
  writer.u32(auxPow.parentIndex).varUint(auxPow.auxBranch.length)
  for (const hash of auxPow.auxBranch) writer.fixed(hash)
  writer.u32(auxPow.auxIndex).fixed(auxPow.parentHeader)
}

/** Decodes exactly one AuxPow. */
export function decodeAuxPow(bytes: Uint8Array): Result<AuxPow> {
  const reader = new ByteReader(bytes)
  return reader.result(readAuxPow(reader))
}

export function encodeAuxPow(auxPow: AuxPow): Uint8Array {
  const writer = new ByteWriter(512)
  writeAuxPow(writer, auxPow)
  return writer.finish()
}

/** Hash of the Bitcoin header that carries the work. */
export function bitcoinHeaderHash(auxPow: AuxPow): InternalHash {
  return doubleHash(auxPow.parentHeader)
}

/**
 * The slot of a chain in an aux tree of this height: a linear congruential generator in u32,
 * so that two chains of one miner seldom fall on the same slot.
 */
export function expectedAuxIndex(nonce: number, chainId: number, treeHeight: number): number {
  let random = (Math.imul(nonce, 1103515245) + 12345) >>> 0
  random = (random + chainId) >>> 0
  random = (Math.imul(random, 1103515245) + 12345) >>> 0
  return random % 2 ** treeHeight
}

/** Whether the AuxPow commits to this block hash; says nothing about the amount of work. */
export function checkAuxPow(
  auxPow: AuxPow,
  auxBlockHash: InternalHash,
  chainId = ELA_CHAIN_ID,
): Result<undefined> {
  const coinbaseId = doubleHash(auxPow.parentCoinbase)
  const parentRoot = foldBranch(coinbaseId, auxPow.parentBranch, auxPow.parentIndex)
  const claimedRoot = auxPow.parentHeader.subarray(MERKLE_ROOT_OFFSET, MERKLE_ROOT_OFFSET + 32)
  if (!bytesEqual(parentRoot, claimedRoot)) {
    return fault('MAIN_AUXPOW_COINBASE', 'the parent coinbase is not in the Bitcoin header')
  }
  const coinbase = decodeBitcoinTransaction(auxPow.parentCoinbase)
  if (!coinbase.ok) return coinbase
  const script = coinbase.value.inputs[0]?.script
  if (!script) return fault('MAIN_AUXPOW_COINBASE', 'the parent coinbase has no input')
  const auxRoot = foldBranch(reversed(auxBlockHash), auxPow.auxBranch, auxPow.auxIndex)
  return checkCommitment(script, reversed(auxRoot), auxPow, chainId)
}

/**
 * The marker, the root right after it, then tree size and nonce. Searched on hex text, odd digit
 * positions included, because the reference node does: what the main chain takes we must take.
 */
function checkCommitment(
  script: Uint8Array,
  rootText: Uint8Array,
  auxPow: AuxPow,
  chainId: number,
): Result<undefined> {
  const text = bytesToHex(script)
  const marker = text.indexOf(MERGED_MINING_MARKER)
  if (marker < 0)
    return fault('MAIN_AUXPOW_MARKER', 'the parent coinbase has no merged mining mark')
  if (text.indexOf(MERGED_MINING_MARKER, marker + 2) >= 0) {
    return fault('MAIN_AUXPOW_MARKER', 'the merged mining mark stands twice in the parent coinbase')
  }
  const root = text.indexOf(bytesToHex(rootText))
  if (root !== marker + MERGED_MINING_MARKER.length) {
    return fault('MAIN_AUXPOW_ROOT', 'the parent coinbase does not commit to this block')
  }
  const end = (root + HASH_HEX_LENGTH) >>> 1
  if (script.length < end + 8) {
    return fault('MAIN_AUXPOW_SLOT', 'tree size and nonce are missing in the parent coinbase')
  }
  const view = new DataView(script.buffer, script.byteOffset, script.byteLength)
  const treeHeight = auxPow.auxBranch.length
  if (treeHeight >= 32 || view.getUint32(end, true) !== 2 ** treeHeight) {
    return fault('MAIN_AUXPOW_SLOT', 'the tree size does not fit the aux branch')
  }
  if (auxPow.auxIndex !== expectedAuxIndex(view.getUint32(end + 4, true), chainId, treeHeight)) {
    return fault('MAIN_AUXPOW_SLOT', 'the block does not stand in the slot of its chain')
  }
  return ok()
}
