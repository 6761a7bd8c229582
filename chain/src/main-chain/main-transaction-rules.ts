import { bytesEqual, bytesToHex } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { AddressPrefix } from '../elastos/ela-address.ts'
import { sumOutputs } from '../elastos/ela-amount.ts'
import { ELA_ASSET_ID } from '../elastos/genesis-block.ts'
import { checkProgram } from '../elastos/program-check.ts'
import type { DecodedTransaction, MainInput } from '../elastos/transaction.ts'
import { hash160 } from '../bytes/hash.ts'
import type { MainOutput } from '../elastos/transaction-output.ts'
import { TransactionKind } from '../elastos/transaction-payload.ts'
import {
  checkArbiterSpend,
  checkMode,
  checkSideChainPow,
  isSpentByArbiters,
} from './cross-chain-rules.ts'
import type { CrossChainState } from './cross-chain-state.ts'
import { outpointKey, type Utxo } from './utxo-set.ts'

/** Largest transaction taken, bytes. */
export const MAIN_TRANSACTION_SIZE_MAX = 1_000_000
/** What a transaction pays at least, sela. */
const TRANSACTION_FEE_MIN = 100n
/** What a deposit pays at least for the transfer on the side chain, sela. */
const CROSS_CHAIN_FEE_MIN = 10_000n
/** Sequence with which an output that carries a lock is spent. */
const LOCKED_SEQUENCE = 0xffff_fffe
/** Sequence of every input that makes a transaction final before its lock time. */
const FINAL_SEQUENCE = 0xffff
const PROGRAM_HASH_PREFIXES: ReadonlySet<number> = new Set([
  AddressPrefix.standard,
  AddressPrefix.multisig,
  AddressPrefix.crossChain,
])

export interface SpendContext {
  readonly utxo: (input: Pick<MainInput, 'transactionId' | 'index'>) => Utxo | undefined
  /** Height of the block that would hold the transaction. */
  readonly height: number
  /** Blocks after which a coinbase output may be spent; those of genesis may at once. */
  readonly coinbaseMaturity: number
  /** What the cross-chain rules know, before the block that would hold the transaction. */
  readonly crossChain: CrossChainState
  /** False only for a block that was checked when it was first taken. */
  readonly checkSignatures: boolean
}

/**
 * All rules for a transaction (transfer, deposit to a side chain, or one of the arbiters) in the
 * next block: mode, form, inputs, maturity, locks, sums, fee, owners, signatures; the dearest
 * come last. Returns the fee.
 */
export function checkTransaction(
  decoded: DecodedTransaction,
  context: SpendContext,
): Result<bigint> {
  const { crossChain, checkSignatures } = context
  const mode = checkMode(decoded, crossChain.powMode)
  if (!mode.ok) return mode
  const form = checkForm(decoded, context)
  if (!form.ok) return form
  // The form without inputs costs nothing: the signature of the arbiter on duty is its price.
  if (decoded.transaction.inputs.length === 0) return ok(0n)
  const spent = findSpent(decoded, context)
  if (!spent.ok) return spent
  const fee = checkSums(decoded, spent.value)
  if (!fee.ok) return fee
  const owned = isSpentByArbiters(decoded.transaction.type)
    ? checkArbiterSpend(decoded, spent.value, crossChain, checkSignatures)
    : checkPrograms(decoded, spent.value, checkSignatures)
  return owned.ok ? fee : owned
}

function checkForm(decoded: DecodedTransaction, context: SpendContext): Result<undefined> {
  const { transaction, raw } = decoded
  if (raw.length > MAIN_TRANSACTION_SIZE_MAX) {
    return fault('MAIN_TRANSACTION_SIZE', 'the transaction is too large')
  }
  const isFree = transaction.type === TransactionKind.sideChainPow
  if ((transaction.inputs.length === 0 && !isFree) || transaction.outputs.length === 0) {
    return fault('MAIN_TRANSACTION_EMPTY', 'a transaction has inputs and outputs')
  }
  for (const { assetId, programHash } of transaction.outputs) {
    if (!bytesEqual(assetId, ELA_ASSET_ID)) {
      return fault('MAIN_OUTPUT_ASSET', 'an output is not in ELA')
    }
    if (!PROGRAM_HASH_PREFIXES.has(programHash[0] ?? 0)) {
      return fault('MAIN_OUTPUT_OWNER', 'an output goes to an address of unknown kind')
    }
  }
  switch (transaction.type) {
    case TransactionKind.transfer:
      if (transaction.outputs.every(({ payload }) => payload.kind === 'none')) return ok()
      return fault('MAIN_OUTPUT_PAYLOAD', 'a transfer has plain outputs only')
    case TransactionKind.transferCrossChain:
      return checkDeposit(transaction.payloadVersion, transaction.outputs)
    case TransactionKind.withdraw:
    case TransactionKind.returnDeposit:
      return ok()
    case TransactionKind.sideChainPow:
      return checkPow(decoded, context)
    default:
      return fault(
        'MAIN_TRANSACTION_TYPE_REFUSED',
        `transactions of type 0x${transaction.type.toString(16)} are not taken here`,
      )
  }
}

function checkPow(decoded: DecodedTransaction, context: SpendContext): Result<undefined> {
  const { crossChain, height, checkSignatures } = context
  const onDuty = crossChain.arbiters[crossChain.dutyIndex(height - 1)]
  if (!onDuty) return fault('MAIN_ARBITER', 'the chain has no arbiters')
  return checkSideChainPow(decoded, onDuty, checkSignatures)
}

/** Deposits to a side chain, payload version 1: the data stand in the outputs. */
function checkDeposit(payloadVersion: number, outputs: readonly MainOutput[]): Result<undefined> {
  if (payloadVersion !== 1) {
    return fault('MAIN_DEPOSIT_VERSION', 'a deposit has payload version 1')
  }
  let targets = 0
  for (const { payload, programHash, value } of outputs) {
    if (payload.kind === 'none') continue
    if (payload.kind !== 'cross-chain' || programHash[0] !== AddressPrefix.crossChain) {
      return fault('MAIN_OUTPUT_PAYLOAD', 'a deposit pays cross-chain outputs to an X address')
    }
    if (payload.targetAddress === '' || payload.targetAmount <= 0n) {
      return fault('MAIN_DEPOSIT_TARGET', 'a deposit names an address and a positive amount')
    }
    if (value < payload.targetAmount + CROSS_CHAIN_FEE_MIN) {
      return fault('MAIN_DEPOSIT_FEE', `a deposit leaves ${CROSS_CHAIN_FEE_MIN} sela as fee`)
    }
    targets++
  }
  return targets > 0 ? ok() : fault('MAIN_DEPOSIT_TARGET', 'a deposit has a cross-chain output')
}

function findSpent(
  { transaction }: DecodedTransaction,
  context: SpendContext,
): Result<readonly Utxo[]> {
  const { height, coinbaseMaturity } = context
  const final =
    transaction.lockTime === 0 ||
    transaction.lockTime < height ||
    transaction.inputs.every(({ sequence }) => sequence === FINAL_SEQUENCE)
  if (!final) return fault('MAIN_TRANSACTION_LOCKED', 'the lock time has not come')
  const spent: Utxo[] = []
  const seen = new Set<string>()
  for (const input of transaction.inputs) {
    const key = outpointKey(input)
    const utxo = context.utxo(input)
    if (!utxo || seen.has(key)) {
      return fault('MAIN_INPUT_SPENT', 'an input does not exist or is spent already')
    }
    seen.add(key)
    const fromCoinbase = utxo.transactionType === TransactionKind.coinbase && utxo.height > 0
    if (fromCoinbase && height - utxo.height < coinbaseMaturity) {
      return fault('MAIN_INPUT_IMMATURE', 'the utxo of coinbase is locking')
    }
    if (utxo.output.outputLock !== 0) {
      if (input.sequence !== LOCKED_SEQUENCE || transaction.lockTime < utxo.output.outputLock) {
        return fault('MAIN_INPUT_LOCKED', 'an input is locked')
      }
    }
    spent.push(utxo)
  }
  return ok(spent)
}

function checkSums({ transaction }: DecodedTransaction, spent: readonly Utxo[]): Result<bigint> {
  const given = sumOutputs(spent.map(({ output }) => output))
  if (!given.ok) return given
  const taken = sumOutputs(transaction.outputs)
  if (!taken.ok) return taken
  const fee = given.value - taken.value
  if (fee < TRANSACTION_FEE_MIN) {
    return fault('MAIN_TRANSACTION_FEE', `the fee is at least ${TRANSACTION_FEE_MIN} sela`, { fee })
  }
  return ok(fee)
}

/** One program per different owner of the inputs, each matching its owner and signed by it. */
function checkPrograms(
  { transaction, unsigned }: DecodedTransaction,
  spent: readonly Utxo[],
  checkSignatures: boolean,
): Result<undefined> {
  const owners = new Map<string, Uint8Array>()
  for (const { output } of spent) owners.set(bytesToHex(output.programHash), output.programHash)
  if (transaction.programs.length !== owners.size) {
    return fault('MAIN_PROGRAM_COUNT', 'there is one program per owner of the inputs')
  }
  for (const program of transaction.programs) {
    const codeHash = hash160(program.code)
    const owner = [...owners.values()].find((hash) => bytesEqual(hash.subarray(1), codeHash))
    if (!owner) {
      return fault('MAIN_PROGRAM_HASH', 'the program is not the owner of the spent output')
    }
    owners.delete(bytesToHex(owner))
    if (!checkSignatures) continue
    const checked = checkProgram(program, owner, unsigned)
    if (!checked.ok) return checked
  }
  return ok()
}
