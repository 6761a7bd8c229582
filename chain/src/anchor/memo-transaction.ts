import { fault, ok, type Result } from '../bytes/result.ts'
import { standardCode, standardProgramHash } from '../elastos/ela-address.ts'
import { ELA_ASSET_ID } from '../elastos/genesis-block.ts'
import { fromDisplayHash } from '../elastos/hash-orientation.ts'
import { type MemoAnchor, memoAnchorAttribute } from '../elastos/memo-anchor.ts'
import { p256PublicKey } from '../elastos/p256.ts'
import { signatureParameter } from '../elastos/program-check.ts'
import {
  encodeTransaction,
  encodeUnsignedTransaction,
  type MainTransaction,
} from '../elastos/transaction.ts'
import { TYPED_OUTPUTS_VERSION } from '../elastos/transaction-output.ts'
import { TransactionKind } from '../elastos/transaction-payload.ts'
import type { UnspentOutput } from '../follower/main-chain-client.ts'

const SEQUENCE_FINAL = 0xffff_ffff
/** Inputs of one anchor at most; more dust than that does not pay a fee worth having. */
const INPUTS_MAX = 50
/** Confirmations after which Elastos lets a coinbase output be spent. */
const COINBASE_MATURITY = 100

export interface MemoTransactionPlan {
  readonly anchor: MemoAnchor
  /** Outputs of the payer that are free to spend. */
  readonly spendable: readonly UnspentOutput[]
  readonly feeSela: bigint
  /** Payer's compressed P-256 key; the change returns to it. */
  readonly payerPublicKey: Uint8Array
}

/** Whether an output of `listunspent` can be spent in the next block. */
export function isSpendable(output: UnspentOutput, blockCount: number): boolean {
  if (output.outputLock !== 0) return false
  if (output.transactionType !== TransactionKind.coinbase) return true
  // Outputs of a built-in chain's genesis block are spendable at once. The chain may have grown
  // between the count and the list.
  return output.confirmations > COINBASE_MATURITY || output.confirmations >= blockCount
}

/**
 * The unsigned transfer that carries the anchor and pays its fee: as few inputs as suffice,
 * largest first, and one output with the change. Nothing in it depends on time or chance.
 */
export function planMemoTransaction(plan: MemoTransactionPlan): Result<MainTransaction> {
  const sorted = [...plan.spendable].sort((a, b) => (a.sela < b.sela ? 1 : -1))
  const inputs: UnspentOutput[] = []
  let given = 0n
  for (const output of sorted) {
    // One sela must remain: a transaction without an output is not taken.
    if (given > plan.feeSela || inputs.length >= INPUTS_MAX) break
    inputs.push(output)
    given += output.sela
  }
  const change = given - plan.feeSela
  if (change <= 0n) {
    return fault('ANCHOR_FUNDS', 'the main-chain account cannot pay the fee of an anchor', {
      has: given,
      needs: plan.feeSela + 1n,
    })
  }
  return ok({
    version: TYPED_OUTPUTS_VERSION,
    type: TransactionKind.transfer,
    payloadVersion: 0,
    payload: { kind: 'transfer' },
    attributes: [memoAnchorAttribute(plan.anchor)],
    inputs: inputs.map(({ txid, index }) => ({
      transactionId: fromDisplayHash(txid),
      index,
      sequence: SEQUENCE_FINAL,
    })),
    outputs: [
      {
        assetId: ELA_ASSET_ID,
        value: change,
        outputLock: 0,
        programHash: standardProgramHash(plan.payerPublicKey),
        payload: { kind: 'none' },
      },
    ],
    lockTime: 0,
    programs: [],
  })
}

/** Signs a transaction whose inputs all belong to one standard address; gives the raw bytes. */
export function signTransaction(transaction: MainTransaction, secretKey: Uint8Array): Uint8Array {
  const parameter = signatureParameter(encodeUnsignedTransaction(transaction), secretKey)
  const code = standardCode(p256PublicKey(secretKey))
  return encodeTransaction({ ...transaction, programs: [{ code, parameter }] })
}
