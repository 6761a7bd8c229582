import { fault, ok, type Result } from '../bytes/result.ts'
import { standardProgramHash } from '../elastos/ela-address.ts'
import { CROSS_CHAIN_FEE_MIN } from '../elastos/ela-amount.ts'
import { ELA_ASSET_ID } from '../elastos/genesis-block.ts'
import { fromDisplayHash } from '../elastos/hash-orientation.ts'
import type { MainTransaction } from '../elastos/transaction.ts'
import {
  type MainOutput,
  type OutputPayload,
  TYPED_OUTPUTS_VERSION,
} from '../elastos/transaction-output.ts'
import { TransactionKind } from '../elastos/transaction-payload.ts'
import type { UnspentOutput } from '../follower/main-chain-client.ts'

const SEQUENCE_FINAL = 0xffff_ffff
/** Inputs of one deposit at most; more than that would not fit a block of ours. */
const INPUTS_MAX = 200
const CROSS_CHAIN_PAYLOAD_VERSION = 1
const CROSS_CHAIN_OUTPUT_VERSION = 0

export interface DepositPlan {
  /** Program hash of the side chain's X address. */
  readonly to: Uint8Array
  /** Address on the side chain, in its own text form. */
  readonly target: string
  /** Sela that arrive there. */
  readonly amount: bigint
  /** Outputs of the payer that are free to spend. */
  readonly spendable: readonly UnspentOutput[]
  readonly feeSela: bigint
  /** Payer's compressed P-256 key; the change returns to it. */
  readonly payerPublicKey: Uint8Array
}

/**
 * The unsigned TransferCrossChainAsset, payload version 1, that deposits to a side chain: one
 * typed output and the change. Its output holds 10,000 sela more than arrive, as the main chain
 * demands.
 */
export function planDepositTransaction(plan: DepositPlan): Result<MainTransaction> {
  const value = plan.amount + CROSS_CHAIN_FEE_MIN
  const needed = value + plan.feeSela
  const sorted = [...plan.spendable].sort((a, b) => (a.sela < b.sela ? 1 : -1))
  const inputs: UnspentOutput[] = []
  let given = 0n
  for (const output of sorted) {
    if (given >= needed || inputs.length >= INPUTS_MAX) break
    inputs.push(output)
    given += output.sela
  }
  if (plan.amount <= 0n) return fault('DEPOSIT_AMOUNT', 'a deposit moves a positive amount')
  if (given < needed) {
    return fault('DEPOSIT_FUNDS', `the main-chain account has ${given} sela of ${needed} needed`, {
      has: given,
      needs: needed,
    })
  }
  const change = given - needed
  const outputs = [outputTo(plan.to, value, crossChainPayload(plan))]
  if (change > 0n) outputs.push(outputTo(standardProgramHash(plan.payerPublicKey), change))
  return ok({
    version: TYPED_OUTPUTS_VERSION,
    type: TransactionKind.transferCrossChain,
    payloadVersion: CROSS_CHAIN_PAYLOAD_VERSION,
    payload: { kind: 'cross-chain-by-outputs' },
    attributes: [],
    inputs: inputs.map(({ txid, index }) => ({
      transactionId: fromDisplayHash(txid),
      index,
      sequence: SEQUENCE_FINAL,
    })),
    outputs,
    lockTime: 0,
    programs: [],
  })
}

function crossChainPayload({ target, amount }: DepositPlan): OutputPayload {
  return {
    kind: 'cross-chain',
    version: CROSS_CHAIN_OUTPUT_VERSION,
    targetAddress: target,
    targetAmount: amount,
    targetData: new Uint8Array(0),
  }
}

function outputTo(
  programHash: Uint8Array,
  value: bigint,
  payload: OutputPayload = { kind: 'none' },
): MainOutput {
  return { assetId: ELA_ASSET_ID, value, outputLock: 0, programHash, payload }
}
