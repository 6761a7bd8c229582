import type { ReceiptBody } from '../types/receipts.ts'

/** Where and when a transaction executes. Everything in it is agreed on by consensus. */
export interface BlockContext {
  readonly height: number
  readonly epoch: number
  readonly timeMs: number
  /** The proposer's index in the epoch's set. */
  readonly proposer: number
  /** Whose votes the parent's certificate carries: indexes in its set, ascending. */
  readonly participants: readonly number[]
}

/** What a transaction's rule gets besides its payload. */
export interface TransactionContext extends BlockContext {
  /** Signer's public key; zero key in the system lane. */
  readonly sender: Uint8Array
  /** Address of the signer. */
  readonly senderAddress: Uint8Array
  /** Serialized size of the transaction. */
  readonly bytes: number
  /** True for an auditor only: the openings are gone, and that they were true is believed. */
  readonly believesOpenings?: boolean
  /** Id of the transaction; hashed when a rule asks for it. */
  transactionId(): Uint8Array
  /** Leaves a receipt; height and position are filled in by the block. */
  emit(receipt: ReceiptBody): void
}
