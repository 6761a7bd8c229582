import { sha256 } from '../bytes/hash.ts'
import type { Result } from '../bytes/result.ts'
import { sign, verifySignature } from '../bytes/signature.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import {
  type PayloadKind,
  PayloadKind as selectors,
  TRANSACTION_BYTES_MAX,
  type Transaction,
  type TransactionBody,
  TransactionType,
} from './transactions.ts'
import { bodyDigest, bodyRoot, rootOfTransactions } from './transaction-roots.ts'

const kinds = Object.keys(selectors) as PayloadKind[]

/** What a transaction does, by name. */
export function payloadKind(body: TransactionBody): PayloadKind {
  // Selectors count from 0 in the order of the table (checked when the table was written).
  return kinds[body.payload.selector] as PayloadKind
}

/** Decodes untrusted bytes of one transaction, at most TRANSACTION_BYTES_MAX of them. */
export function decodeTransaction(bytes: Uint8Array): Result<Transaction> {
  return decodeCanonical(TransactionType, bytes, TRANSACTION_BYTES_MAX) as Result<Transaction>
}

export function encodeTransaction(transaction: Transaction): Uint8Array {
  return TransactionType.serialize(transaction)
}

/** Serialized size, which fees and limits count. */
export function transactionBytes(transaction: Transaction): number {
  return TransactionType.value_serializedSize(transaction)
}

/** Id = hash_tree_root(body), 32 bytes: the same whoever signed it again. */
export function transactionId(transaction: Transaction): Uint8Array {
  return bodyRoot(transaction.body)
}

/**
 * Root of the transaction with its signature. What remembers checked signatures must use this
 * key: by the id alone, another signature of the same body would pass unchecked.
 */
export function transactionRoot(transaction: Transaction): Uint8Array {
  return sha256(transactionId(transaction), sha256(transaction.signature))
}

/** Root of a block's transactions in order (header fields txRoot and evidenceRoot). */
export function transactionListRoot(transactions: readonly Transaction[]): Uint8Array {
  return rootOfTransactions(transactions)
}

/** What the sender signs: purpose "tx" over the body's root (PROTOCOL 1.2). */
export function transactionDigest(body: TransactionBody, chainId: Uint8Array): Uint8Array {
  return bodyDigest(body, chainId)
}

export function signTransaction(
  body: TransactionBody,
  chainId: Uint8Array,
  secretKey: Uint8Array,
): Transaction {
  return { body, signature: sign(transactionDigest(body, chainId), secretKey) }
}

export function verifyTransaction({ body, signature }: Transaction, chainId: Uint8Array): boolean {
  return verifySignature(signature, transactionDigest(body, chainId), body.sender)
}
