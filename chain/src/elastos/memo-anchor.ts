import { assert } from '../bytes/assert.ts'
import { sha256 } from '../bytes/hash.ts'
import { bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { SIGNATURE_BYTES, signingDigest, verifySignature } from '../bytes/signature.ts'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import type { InternalHash } from './hash-orientation.ts'
import {
  type Attribute,
  AttributeUsage,
  type DecodedTransaction,
  decodeTransaction,
} from './transaction.ts'

/** "ioeX": the first bytes of a memo that carries an anchor. */
const MEMO_ANCHOR_MAGIC = Uint8Array.of(0x69, 0x6f, 0x65, 0x58)
const MEMO_ANCHOR_VERSION = 1
/** Magic 4, version 1, genesis 32, epoch 8, checkpoint 32, validator 2: what is signed. */
const COMMITMENT_BYTES = 4 + 1 + 32 + 8 + 32 + 2
export const MEMO_ANCHOR_BYTES = COMMITMENT_BYTES + SIGNATURE_BYTES

/** What a validator commits to the main chain: this checkpoint ended this epoch. */
export interface MemoCommitment {
  /** Hash of the side chain's genesis block, 32 bytes; also its chain id. */
  readonly sideGenesisHash: Uint8Array
  /** Epoch that the checkpoint ends. */
  readonly epoch: number
  /** Hash of the checkpoint block, 32 bytes. */
  readonly checkpointHash: Uint8Array
  /** Index of the validator in the set of that epoch, u16. */
  readonly validatorIndex: number
}

export interface MemoAnchor extends MemoCommitment {
  /** The validator's ioeX (secp256k1) signature of the commitment, 64 bytes. */
  readonly signature: Uint8Array
}

export interface FoundMemoAnchor {
  readonly anchor: MemoAnchor
  readonly transaction: DecodedTransaction
  readonly id: InternalHash
}

function encodeCommitment(commitment: MemoCommitment): Uint8Array {
  assert(commitment.sideGenesisHash.length === 32, 'a genesis hash has 32 bytes')
  assert(commitment.checkpointHash.length === 32, 'a checkpoint hash has 32 bytes')
  const writer = new ByteWriter(MEMO_ANCHOR_BYTES)
  writer.fixed(MEMO_ANCHOR_MAGIC).u8(MEMO_ANCHOR_VERSION).fixed(commitment.sideGenesisHash)
  writer.u64(BigInt(commitment.epoch)).fixed(commitment.checkpointHash)
  return writer.u16(commitment.validatorIndex).finish()
}

/** The digest that the validator signs: its root is the SHA-256 of all fields before it. */
export function memoAnchorDigest(commitment: MemoCommitment, chainId: Uint8Array): Uint8Array {
  return signingDigest('memo-anchor', chainId, sha256(encodeCommitment(commitment)))
}

export function encodeMemoAnchor(anchor: MemoAnchor): Uint8Array {
  assert(anchor.signature.length === SIGNATURE_BYTES, 'a signature has 64 bytes')
  return new ByteWriter(MEMO_ANCHOR_BYTES)
    .fixed(encodeCommitment(anchor))
    .fixed(anchor.signature)
    .finish()
}

/** The attribute that carries the anchor in a main-chain transaction. */
export function memoAnchorAttribute(anchor: MemoAnchor): Attribute {
  return { usage: AttributeUsage.memo, data: encodeMemoAnchor(anchor) }
}

/** Decodes the data of a memo attribute. */
export function decodeMemoAnchor(data: Uint8Array): Result<MemoAnchor> {
  if (data.length !== MEMO_ANCHOR_BYTES || !startsWithMagic(data)) {
    return fault('MAIN_ANCHOR_MEMO', 'the memo is not an anchor')
  }
  const reader = new ByteReader(data)
  reader.fixed(MEMO_ANCHOR_MAGIC.length)
  const version = reader.u8()
  if (version !== MEMO_ANCHOR_VERSION) {
    return fault('MAIN_ANCHOR_MEMO', `memo anchors of version ${version} are not known here`)
  }
  const sideGenesisHash = reader.fixed(32)
  const epoch = reader.u64()
  if (epoch > BigInt(Number.MAX_SAFE_INTEGER)) {
    return fault('MAIN_ANCHOR_MEMO', 'the epoch of a memo anchor is impossible')
  }
  return reader.result({
    sideGenesisHash,
    epoch: Number(epoch),
    checkpointHash: reader.fixed(32),
    validatorIndex: reader.u16(),
    signature: reader.fixed(SIGNATURE_BYTES),
  })
}

/**
 * The anchor in a raw main-chain transaction. Exactly one memo may carry the magic, so that a
 * transaction anchors one checkpoint. The signature is not checked: see verifyMemoAnchor.
 */
export function parseMemoAnchor(rawTransaction: Uint8Array): Result<FoundMemoAnchor> {
  const decoded = decodeTransaction(rawTransaction)
  return decoded.ok ? findMemoAnchor(decoded.value) : decoded
}

export function findMemoAnchor(transaction: DecodedTransaction): Result<FoundMemoAnchor> {
  const memos = transaction.transaction.attributes.filter(
    ({ usage, data }) => usage === AttributeUsage.memo && startsWithMagic(data),
  )
  const [memo] = memos
  if (!memo) return fault('MAIN_ANCHOR_MEMO', 'the transaction has no memo with an anchor')
  if (memos.length > 1) {
    return fault('MAIN_ANCHOR_MEMO', 'the transaction has more than one memo with an anchor')
  }
  const anchor = decodeMemoAnchor(memo.data)
  return anchor.ok ? ok({ anchor: anchor.value, transaction, id: transaction.id }) : anchor
}

/** Whether the anchor is of this chain and signed by the validator's secp256k1 key. */
export function verifyMemoAnchor(
  anchor: MemoAnchor,
  chainId: Uint8Array,
  validatorPublicKey: Uint8Array,
): Result<undefined> {
  if (!bytesEqual(anchor.sideGenesisHash, chainId)) {
    return fault('MAIN_ANCHOR_GENESIS', 'the anchor is of another side chain')
  }
  const digest = memoAnchorDigest(anchor, chainId)
  if (!verifySignature(anchor.signature, digest, validatorPublicKey)) {
    return fault('MAIN_ANCHOR_SIGNATURE', "the anchor is not signed with the validator's key")
  }
  return ok()
}

function startsWithMagic(data: Uint8Array): boolean {
  return bytesEqual(data.subarray(0, MEMO_ANCHOR_MAGIC.length), MEMO_ANCHOR_MAGIC)
}
