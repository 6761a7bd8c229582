import { assert } from '../bytes/assert.ts'
import { concatBytes } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { multisigCode, parseElaAddress } from '../elastos/ela-address.ts'
import { ELA_ASSET_ID } from '../elastos/genesis-block.ts'
import { fromDisplayHash, type InternalHash } from '../elastos/hash-orientation.ts'
import { p256PublicKey, signP256 } from '../elastos/p256.ts'
import { signatureParameter } from '../elastos/program-check.ts'
import {
  encodeTransaction,
  encodeUnsignedTransaction,
  type MainTransaction,
} from '../elastos/transaction.ts'
import {
  type MainOutput,
  type OutputPayload,
  TYPED_OUTPUTS_VERSION,
} from '../elastos/transaction-output.ts'
import { TransactionKind } from '../elastos/transaction-payload.ts'
import type { UnspentOutput } from '../follower/main-chain-client.ts'

const SEQUENCE_FINAL = 0xffff_ffff
/** Bytes before the signature of a SideChainPow: version, type, payload version, 68 of payload. */
const PAYLOAD_START = 3
const SIGNED_PAYLOAD_BYTES = 68
const NO_PAYLOAD: OutputPayload = { kind: 'none' }

/** A checkpoint of a side chain as createauxblock gave it. */
export interface SideCheckpoint {
  readonly hash: InternalHash
  readonly genesisHash: InternalHash
  readonly height: number
}

/** The SideChainPow without inputs that the arbiter on duty sends free of cost; raw bytes. */
export function sideChainPowTransaction(
  checkpoint: SideCheckpoint,
  arbiterSecret: Uint8Array,
  payTo: Uint8Array,
): Uint8Array {
  const payload = {
    kind: 'side-chain-pow' as const,
    sideBlockHash: checkpoint.hash,
    sideGenesisHash: checkpoint.genesisHash,
    sideHeight: checkpoint.height,
    signature: new Uint8Array(0),
  }
  const transaction: MainTransaction = {
    ...skeleton(TransactionKind.sideChainPow, 0),
    payload,
    outputs: [outputTo(payTo, 0n)],
  }
  const unsigned = encodeUnsignedTransaction(transaction)
  const signed = unsigned.slice(PAYLOAD_START, PAYLOAD_START + SIGNED_PAYLOAD_BYTES)
  const signature = signP256(signed, arbiterSecret)
  return encodeTransaction({ ...transaction, payload: { ...payload, signature } })
}

/** What one side transaction is paid on the main chain. */
export interface Payment {
  readonly sideTransaction: InternalHash
  readonly address: string
  readonly sela: bigint
}

export interface ArbiterSpendPlan {
  /** X address of the side chain: where its coin lies and its change returns. */
  readonly sideAddress: string
  readonly spendable: readonly UnspentOutput[]
  readonly feeSela: bigint
}

/** An unsigned withdrawal of payload version 1: the data stand in its outputs. */
export function planWithdrawal(
  plan: ArbiterSpendPlan,
  payments: readonly Payment[],
): Result<MainTransaction> {
  const outputs: MainOutput[] = []
  for (const { sideTransaction, address, sela } of payments) {
    const to = parseElaAddress(address)
    if (!to.ok) return to
    const payload: OutputPayload = {
      kind: 'withdraw',
      version: 0,
      genesisAddress: plan.sideAddress,
      sideTransactionHash: sideTransaction,
      targetData: new Uint8Array(0),
    }
    outputs.push(outputTo(to.value, sela, payload))
  }
  return spend(
    plan,
    { ...skeleton(TransactionKind.withdraw, 1), outputs },
    {
      kind: 'withdraw-by-outputs',
    },
  )
}

/** An unsigned refund of one deposit to the program hash that paid it. */
export function planReturn(
  plan: ArbiterSpendPlan,
  refund: {
    readonly deposit: InternalHash
    readonly to: Uint8Array
    readonly sela: bigint
  },
): Result<MainTransaction> {
  const payload: OutputPayload = {
    kind: 'return-deposit',
    version: 0,
    genesisAddress: plan.sideAddress,
    depositHash: refund.deposit,
  }
  const outputs = [outputTo(refund.to, refund.sela, payload)]
  return spend(
    plan,
    { ...skeleton(TransactionKind.returnDeposit, 0), outputs },
    {
      kind: 'return-deposit',
    },
  )
}

/** Takes inputs of the X address, smallest first, and returns the change to it. */
function spend(
  plan: ArbiterSpendPlan,
  transaction: MainTransaction,
  payload: MainTransaction['payload'],
): Result<MainTransaction> {
  const needed = transaction.outputs.reduce((sum, { value }) => sum + value, plan.feeSela)
  const inputs: UnspentOutput[] = []
  let given = 0n
  for (const output of [...plan.spendable].sort((a, b) => (a.sela < b.sela ? -1 : 1))) {
    if (given >= needed) break
    inputs.push(output)
    given += output.sela
  }
  if (given < needed) return fault('ARBITER_FUNDS', 'the X address does not hold that much')
  const owner = parseElaAddress(plan.sideAddress)
  if (!owner.ok) return owner
  const change = given > needed ? [outputTo(owner.value, given - needed)] : []
  return ok({
    ...transaction,
    payload,
    inputs: inputs.map(({ txid, index }) => ({
      transactionId: fromDisplayHash(txid),
      index,
      sequence: SEQUENCE_FINAL,
    })),
    outputs: [...transaction.outputs, ...change],
  })
}

/** Signs with the first `required` secrets under the code of all arbiters; raw bytes. */
export function signByArbiters(
  transaction: MainTransaction,
  secrets: readonly Uint8Array[],
  required: number,
): Uint8Array {
  assert(required <= secrets.length, 'no more than all arbiters sign')
  const unsigned = encodeUnsignedTransaction(transaction)
  const code = multisigCode(required, secrets.map(p256PublicKey), true)
  const signers = secrets.slice(0, required)
  const parameter = concatBytes(...signers.map((secret) => signatureParameter(unsigned, secret)))
  return encodeTransaction({ ...transaction, programs: [{ code, parameter }] })
}

function skeleton(type: number, payloadVersion: number): MainTransaction {
  return {
    version: TYPED_OUTPUTS_VERSION,
    type,
    payloadVersion,
    payload: { kind: 'transfer' },
    attributes: [],
    inputs: [],
    outputs: [],
    lockTime: 0,
    programs: [],
  }
}

function outputTo(
  programHash: Uint8Array,
  value: bigint,
  payload: OutputPayload = NO_PAYLOAD,
): MainOutput {
  return { assetId: ELA_ASSET_ID, value, outputLock: 0, programHash, payload }
}
