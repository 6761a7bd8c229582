import { ok, type Result } from '../bytes/result.ts'
import type { AuxPow } from './aux-pow.ts'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { type Confirm, encodeConfirm, readConfirm } from './confirm.ts'
import { readSideAuxPow, type SideAuxPow } from './side-aux-pow.ts'
import { doubleHash, type InternalHash } from './hash-orientation.ts'
import {
  type DecodedHeader,
  type MainHeader,
  readHeader,
  readHeaderWithAuxPow,
  writeHeaderWithAuxPow,
} from './main-header.ts'
import { type DecodedTransaction, type Dialect, readTransaction } from './transaction.ts'

/** Largest block of any Elastos network (8 MB context) with its header, bytes. */
export const BLOCK_BYTES_MAX = 9 * 1024 * 1024
export const BLOCK_TRANSACTIONS_MAX = 10_000
/** The smallest transaction: type, payload version, four empty lists and a lock time. */
const TRANSACTION_BYTES_MIN = 1 + 1 + 4 + 4

export interface DecodedBlock extends DecodedHeader {
  readonly transactions: readonly DecodedTransaction[]
}

/** A block of a classic PoW side chain: its proof is a main-chain transaction and header. */
export interface DecodedSideBlock {
  readonly header: MainHeader
  readonly hash: InternalHash
  readonly proof: SideAuxPow
  readonly transactions: readonly DecodedTransaction[]
}

/** Decodes exactly one main-chain block (header, AuxPow, u32 count, transactions). No rules. */
export function decodeBlock(bytes: Uint8Array): Result<DecodedBlock> {
  const reader = new ByteReader(bytes)
  const header = readHeaderWithAuxPow(reader)
  const transactions = readTransactions(reader, 'main')
  return reader.result({ ...header, transactions })
}

export function decodeSideBlock(bytes: Uint8Array): Result<DecodedSideBlock> {
  const reader = new ByteReader(bytes)
  const start = reader.offset
  const header = readHeader(reader)
  const hash = doubleHash(reader.since(start))
  const proof = readSideAuxPow(reader)
  if (reader.u8() !== 1) {
    reader.fail('MAIN_HEADER_END', 'a header on the wire ends with the byte 1')
  }
  return reader.result({ header, hash, proof, transactions: readTransactions(reader, 'side') })
}

function readTransactions(reader: ByteReader, dialect: Dialect): DecodedTransaction[] {
  const count = reader.countU32(BLOCK_TRANSACTIONS_MAX, TRANSACTION_BYTES_MIN)
  const transactions: DecodedTransaction[] = []
  for (let i = 0; i < count && !reader.failed; i++) {
    transactions.push(readTransaction(reader, dialect))
  }
  return transactions
}

/** Where a transaction stands that this codec cannot read, and what its first bytes say. */
export interface ForeignTransaction {
  readonly index: number
  /** In the bytes of the block. */
  readonly offset: number
  readonly type: number
  readonly payloadVersion: number
}

/** A main-chain block as far as this codec reads it. */
export interface BlockPrefix extends DecodedHeader {
  readonly transactionCount: number
  /** All of them, or those before the foreign one. */
  readonly transactions: readonly DecodedTransaction[]
  readonly foreign: ForeignTransaction | undefined
}

/**
 * Decodes a main-chain block up to its first transaction of a type outside this codec (votes,
 * producers): nothing but the layout of its payload would say where that one ends. What follows
 * it is not looked at. Faults as decodeBlock does with whatever else is wrong before it.
 */
export function decodeBlockPrefix(bytes: Uint8Array): Result<BlockPrefix> {
  const reader = new ByteReader(bytes)
  const header = readHeaderWithAuxPow(reader)
  const transactionCount = reader.countU32(BLOCK_TRANSACTIONS_MAX, TRANSACTION_BYTES_MIN)
  const transactions: DecodedTransaction[] = []
  for (let index = 0; index < transactionCount && !reader.failed; index++) {
    const { offset } = reader
    const transaction = readTransaction(reader, 'main')
    const read = reader.prefixResult(transaction)
    if (read.ok) {
      transactions.push(transaction)
    } else if (read.fault.code === 'MAIN_TRANSACTION_TYPE_UNKNOWN') {
      const { type, payloadVersion } = transaction.transaction
      const foreign = { index, offset, type, payloadVersion }
      return ok({ ...header, transactionCount, transactions, foreign })
    }
  }
  return reader.result({ ...header, transactionCount, transactions, foreign: undefined })
}

/** A block as nodes send and store it, with its finality proof if it has one. */
export interface DposBlock {
  readonly block: DecodedBlock
  readonly confirm: Confirm | undefined
}

/** Decodes exactly one block message: block, a flag, and a Confirm if the flag is set. */
export function decodeDposBlock(bytes: Uint8Array): Result<DposBlock> {
  const reader = new ByteReader(bytes)
  const header = readHeaderWithAuxPow(reader)
  const block = { ...header, transactions: readTransactions(reader, 'main') }
  const flag = reader.u8()
  if (flag > 1) reader.fail('MAIN_FLAG_MALFORMED', 'a flag is 0 or 1')
  return reader.result({ block, confirm: flag === 1 ? readConfirm(reader) : undefined })
}

export function encodeDposBlock({ block, confirm }: DposBlock): Uint8Array {
  const raws = block.transactions.map(({ raw }) => raw)
  const writer = new ByteWriter(4096).fixed(encodeBlock(block.header, block.auxPow, raws))
  writer.u8(confirm ? 1 : 0)
  if (confirm) writer.fixed(encodeConfirm(confirm))
  return writer.finish()
}

/** Writes a main-chain block from its header, proof and raw transactions. */
export function encodeBlock(
  header: MainHeader,
  auxPow: AuxPow,
  rawTransactions: readonly Uint8Array[],
): Uint8Array {
  const writer = new ByteWriter(4096)
  writeHeaderWithAuxPow(writer, header, auxPow)
  writer.u32(rawTransactions.length)
  for (const raw of rawTransactions) writer.fixed(raw)
  return writer.finish()
}
