import { bytesToHex } from '../bytes/hex.ts'
import { AddressPrefix } from '../elastos/ela-address.ts'
import { type InternalHash, toInternalHex } from '../elastos/hash-orientation.ts'
import type { DecodedTransaction } from '../elastos/transaction.ts'
import { TransactionKind } from '../elastos/transaction-payload.ts'
import type { UtxoUndo } from './utxo-set.ts'

/** Blocks of one arbiter's duty. The real chain turns with its consensus rounds. */
export const DUTY_BLOCKS = 10

/** A deposit of the best chain, as far as a refund needs it. */
export interface PaidDeposit {
  /** Owner of its first input, who gets a refund. */
  readonly payer: Uint8Array
  /** Sela paid to each X address, by program hash in hex. */
  readonly paid: ReadonlyMap<string, bigint>
}

/** What a block added, so that it can be taken back. */
interface CrossChainUndo {
  readonly withdrawn: readonly string[]
  readonly returned: readonly string[]
  readonly deposits: readonly string[]
  readonly powMode: boolean
}

/**
 * What the cross-chain rules remember of the best chain: side transactions paid out, deposits
 * and which of them were returned, and whether the chain has fallen back to pure proof of work.
 */
export class CrossChainState {
  /** Compressed P-256 keys of the arbiters, in turn. */
  readonly arbiters: readonly Uint8Array[]
  private readonly withdrawn = new Set<string>()
  private readonly returned = new Set<string>()
  private readonly deposits = new Map<string, PaidDeposit>()
  private readonly undos = new Map<string, CrossChainUndo>()
  private isPow = false

  constructor(arbiters: readonly Uint8Array[]) {
    this.arbiters = arbiters
  }

  /** In this mode nothing that arbiters sign is taken. */
  get powMode(): boolean {
    return this.isPow
  }

  /** Index of the arbiter on duty for a block after the one of this height. */
  dutyIndex(tipHeight: number): number {
    return Math.floor(tipHeight / DUTY_BLOCKS) % this.arbiters.length
  }

  /** Arbiters that must sign together: more than two thirds. */
  get agreement(): number {
    return Math.floor((this.arbiters.length * 2) / 3) + 1
  }

  isWithdrawn(sideTransaction: InternalHash): boolean {
    return this.withdrawn.has(toInternalHex(sideTransaction))
  }

  isReturned(deposit: InternalHash): boolean {
    return this.returned.has(toInternalHex(deposit))
  }

  depositOf(id: InternalHash): PaidDeposit | undefined {
    return this.deposits.get(toInternalHex(id))
  }

  apply(blockKey: string, transactions: readonly DecodedTransaction[], spent: UtxoUndo): void {
    const undo = { withdrawn: [], returned: [], deposits: [], powMode: this.isPow } as {
      withdrawn: string[]
      returned: string[]
      deposits: string[]
      powMode: boolean
    }
    const owners = new Map(
      spent.spent.map((utxo) => [`${toInternalHex(utxo.transactionId)}:${utxo.index}`, utxo]),
    )
    for (const decoded of transactions) {
      const { transaction } = decoded
      for (const id of withdrawalsIn(decoded)) undo.withdrawn.push(toInternalHex(id))
      for (const id of returnsIn(decoded)) undo.returned.push(toInternalHex(id))
      if (transaction.type === TransactionKind.revertToPow) this.isPow = true
      if (transaction.type === TransactionKind.revertToDpos) this.isPow = false
      if (transaction.type !== TransactionKind.transferCrossChain) continue
      const [first] = transaction.inputs
      const payer = first && owners.get(`${toInternalHex(first.transactionId)}:${first.index}`)
      if (!payer) continue
      const key = toInternalHex(decoded.id)
      this.deposits.set(key, { payer: payer.output.programHash, paid: paidIn(decoded) })
      undo.deposits.push(key)
    }
    for (const key of undo.withdrawn) this.withdrawn.add(key)
    for (const key of undo.returned) this.returned.add(key)
    this.undos.set(blockKey, undo)
  }

  revert(blockKey: string): void {
    const undo = this.undos.get(blockKey)
    if (!undo) return
    this.undos.delete(blockKey)
    for (const key of undo.withdrawn) this.withdrawn.delete(key)
    for (const key of undo.returned) this.returned.delete(key)
    for (const key of undo.deposits) this.deposits.delete(key)
    this.isPow = undo.powMode
  }

  /** A block that can no longer be left needs no way back. */
  settle(blockKey: string): void {
    this.undos.delete(blockKey)
  }
}

/** Side transactions that a withdrawal pays: in the payload (version 0) or its outputs. */
export function withdrawalsIn({ transaction }: DecodedTransaction): InternalHash[] {
  if (transaction.type !== TransactionKind.withdraw) return []
  const { payload } = transaction
  if (payload.kind === 'withdraw') return [...payload.sideTransactions]
  return transaction.outputs.flatMap((output) =>
    output.payload.kind === 'withdraw' ? [output.payload.sideTransactionHash] : [],
  )
}

/** Deposits that a refund returns. */
export function returnsIn({ transaction }: DecodedTransaction): InternalHash[] {
  if (transaction.type !== TransactionKind.returnDeposit) return []
  return transaction.outputs.flatMap((output) =>
    output.payload.kind === 'return-deposit' ? [output.payload.depositHash] : [],
  )
}

function paidIn({ transaction }: DecodedTransaction): Map<string, bigint> {
  const paid = new Map<string, bigint>()
  for (const { programHash, value } of transaction.outputs) {
    if (programHash[0] !== AddressPrefix.crossChain) continue
    const key = bytesToHex(programHash)
    paid.set(key, (paid.get(key) ?? 0n) + value)
  }
  return paid
}
