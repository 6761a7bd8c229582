import { assert } from '../bytes/assert.ts'
import { bytesToHex } from '../bytes/hex.ts'
import { type InternalHash, toInternalHex } from '../elastos/hash-orientation.ts'
import type { DecodedTransaction, MainInput } from '../elastos/transaction.ts'
import type { MainOutput } from '../elastos/transaction-output.ts'
import { TransactionKind } from '../elastos/transaction-payload.ts'

export interface Utxo {
  readonly transactionId: InternalHash
  readonly index: number
  readonly output: MainOutput
  /** Height of the block that made it. */
  readonly height: number
  readonly transactionType: number
}

/** What a block took and gave, so that it can be taken back. */
export interface UtxoUndo {
  readonly spent: readonly Utxo[]
  readonly created: readonly string[]
}

/** Key of an output: transaction id in internal order and output index. */
export function outpointKey(input: Pick<MainInput, 'transactionId' | 'index'>): string {
  return `${toInternalHex(input.transactionId)}:${input.index}`
}

/** The unspent outputs of the best chain, with an index by owner. All in memory. */
export class UtxoSet {
  private readonly outputs = new Map<string, Utxo>()
  private readonly byOwner = new Map<string, Set<string>>()

  get(input: Pick<MainInput, 'transactionId' | 'index'>): Utxo | undefined {
    return this.outputs.get(outpointKey(input))
  }

  /** Unspent outputs of a program hash, oldest first. */
  of(programHash: Uint8Array): Utxo[] {
    const keys = this.byOwner.get(bytesToHex(programHash)) ?? []
    const owned: Utxo[] = []
    for (const key of keys) owned.push(this.outputs.get(key) as Utxo)
    return owned
  }

  /** Applies checked transactions of the block at `height`; returns what reverts them. */
  apply(transactions: readonly DecodedTransaction[], height: number): UtxoUndo {
    const spent: Utxo[] = []
    const created: string[] = []
    for (const { transaction } of transactions) {
      if (transaction.type === TransactionKind.coinbase) continue
      for (const input of transaction.inputs) spent.push(this.remove(outpointKey(input)))
    }
    for (const { transaction, id } of transactions) {
      transaction.outputs.forEach((output, index) => {
        const utxo = {
          transactionId: id,
          index,
          output,
          height,
          transactionType: transaction.type,
        }
        created.push(this.add(utxo))
      })
    }
    return { spent, created }
  }

  revert(undo: UtxoUndo): void {
    for (const key of undo.created) this.remove(key)
    for (const utxo of undo.spent) this.add(utxo)
  }

  private add(utxo: Utxo): string {
    const key = outpointKey(utxo)
    assert(!this.outputs.has(key), 'an output is created twice')
    this.outputs.set(key, utxo)
    const owner = bytesToHex(utxo.output.programHash)
    const keys = this.byOwner.get(owner)
    if (keys) keys.add(key)
    else this.byOwner.set(owner, new Set([key]))
    return key
  }

  private remove(key: string): Utxo {
    const utxo = this.outputs.get(key)
    assert(utxo !== undefined, 'an output is spent that does not exist')
    this.outputs.delete(key)
    const owner = bytesToHex(utxo.output.programHash)
    const keys = this.byOwner.get(owner)
    keys?.delete(key)
    if (keys?.size === 0) this.byOwner.delete(owner)
    return utxo
  }
}
