import { bytesEqual } from '../bytes/hex.ts'
import { fault, type Result } from '../bytes/result.ts'
import { checkAuxPow } from './aux-pow.ts'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { hashMeetsBits } from './difficulty.ts'
import type { InternalHash } from './hash-orientation.ts'
import { type DecodedHeader, readHeaderWithAuxPow, writeHeaderWithAuxPow } from './main-header.ts'
import { BRANCH_LENGTH_MAX, verifyTransactionInclusion } from './merkle.ts'
import { verifyP256 } from './p256.ts'
import { type DecodedTransaction, readTransaction } from './transaction.ts'
import { TransactionKind } from './transaction-payload.ts'

/** Bytes of a SideChainPow payload that its signature covers: two hashes and the height. */
const SIGNED_PAYLOAD_BYTES = 68
/** Type and payload version stand before the payload; version 9 puts one more byte in front. */
const PAYLOAD_OFFSET = 2

/**
 * Proof of a side block (classic PoW anchoring): the main-chain transaction that names it, the
 * branch to the main header, and that header with its AuxPow.
 */
export interface SideAuxPow {
  readonly transaction: DecodedTransaction
  readonly branch: readonly InternalHash[]
  readonly index: number
  readonly mainHeader: DecodedHeader
}

export function readSideAuxPow(reader: ByteReader): SideAuxPow {
  return {
    transaction: readTransaction(reader, 'main'),
    // A u32 count here, unlike the VarUint ones of the AuxPow.
    branch: reader.hashes(reader.countU32(BRANCH_LENGTH_MAX, 32)),
    index: reader.u32(),
    mainHeader: readHeaderWithAuxPow(reader),
  }
}

/** Decodes exactly one SideAuxPow; checks no rule. */
export function decodeSideAuxPow(bytes: Uint8Array): Result<SideAuxPow> {
  const reader = new ByteReader(bytes)
  return reader.result(readSideAuxPow(reader))
}

export function encodeSideAuxPow(proof: SideAuxPow): Uint8Array {
  const writer = new ByteWriter(1024)
  writer.fixed(proof.transaction.raw).u32(proof.branch.length)
  for (const hash of proof.branch) writer.fixed(hash)
  writer.u32(proof.index)
  writeHeaderWithAuxPow(writer, proof.mainHeader.header, proof.mainHeader.auxPow)
  return writer.finish()
}

/**
 * Everything about the proof that needs no knowledge of the main chain: it is a SideChainPow of
 * this chain and this block, stands in the main header, and the header's Bitcoin work meets
 * `sideBits`. Stricter than the reference node, which looks at neither type nor genesis. Whether
 * the header is on the best main chain and the signer is an arbiter is the caller's to know.
 */
export function checkSideAuxPow(
  proof: SideAuxPow,
  side: {
    readonly blockHash: InternalHash
    readonly genesisHash: InternalHash
    readonly bits: number
  },
): Result<undefined> {
  const { transaction, id } = proof.transaction
  const { payload } = transaction
  if (
    transaction.type !== TransactionKind.sideChainPow ||
    payload.kind !== 'side-chain-pow' ||
    transaction.payloadVersion !== 0
  ) {
    return fault('MAIN_ANCHOR_TYPE', 'the proof does not carry a SideChainPow transaction')
  }
  if (!bytesEqual(payload.sideGenesisHash, side.genesisHash)) {
    return fault('MAIN_ANCHOR_GENESIS', 'the proof is of another side chain')
  }
  if (!bytesEqual(payload.sideBlockHash, side.blockHash)) {
    return fault('MAIN_ANCHOR_BLOCK', 'the proof is of another side block')
  }
  const root = proof.mainHeader.header.merkleRoot
  const included = verifyTransactionInclusion(id, proof.branch, proof.index, root)
  if (!included.ok) return included
  if (!hashMeetsBits(proof.mainHeader.bitcoinParentHash, side.bits)) {
    return fault('MAIN_HEADER_WORK', 'the Bitcoin header does not meet the side target')
  }
  return checkAuxPow(proof.mainHeader.auxPow, proof.mainHeader.hash)
}

/** Whether this P-256 key signed the SideChainPow payload. */
export function isSideChainPowSignedBy(
  anchor: DecodedTransaction,
  arbiterPublicKey: Uint8Array,
): boolean {
  const { transaction, unsigned } = anchor
  if (transaction.payload.kind !== 'side-chain-pow') return false
  const start = transaction.version === 0 ? PAYLOAD_OFFSET : PAYLOAD_OFFSET + 1
  const signed = unsigned.subarray(start, start + SIGNED_PAYLOAD_BYTES)
  return verifyP256(transaction.payload.signature, signed, arbiterPublicKey)
}
