import { bytesEqual } from '../bytes/hex.ts'
import { standardCode, standardProgramHash } from '../elastos/ela-address.ts'
import { ELA_ASSET_ID } from '../elastos/genesis-block.ts'
import { type DisplayHash, toDisplayHash } from '../elastos/hash-orientation.ts'
import type { DecodedTransaction } from '../elastos/transaction.ts'

/** An output that a standard address owns. */
export interface AccountOutput {
  readonly txid: DisplayHash
  readonly index: number
  readonly sela: bigint
  readonly transactionType: number
  readonly outputLock: number
}

/** What a main block does to one account. */
export interface AccountChange {
  readonly received: readonly AccountOutput[]
  /** Inputs of transactions that the account signed, `txid:index`; its own outputs among them. */
  readonly spent: readonly string[]
}

/**
 * What these transactions do to the account of a P-256 key; undefined for nothing. Outputs and
 * inputs stand in what a transaction's id covers. Programs do not, so a main node could hide that
 * an output was spent: the next payment from it is then refused, and another output is tried.
 */
export function accountChangeIn(
  transactions: Iterable<DecodedTransaction>,
  publicKey: Uint8Array,
): AccountChange | undefined {
  const owner = standardProgramHash(publicKey)
  const code = standardCode(publicKey)
  const received: AccountOutput[] = []
  const spent: string[] = []
  for (const { id, transaction } of transactions) {
    const { type: transactionType, inputs, outputs, programs } = transaction
    for (const [index, { programHash, assetId, value: sela, outputLock }] of outputs.entries()) {
      if (!bytesEqual(programHash, owner) || !bytesEqual(assetId, ELA_ASSET_ID)) continue
      received.push({ txid: toDisplayHash(id), index, sela, transactionType, outputLock })
    }
    if (!programs.some((program) => bytesEqual(program.code, code))) continue
    for (const input of inputs) spent.push(`${toDisplayHash(input.transactionId)}:${input.index}`)
  }
  return received.length + spent.length > 0 ? { received, spent } : undefined
}
