import { bytesEqual, bytesToHex } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { AddressPrefix, parseCode, parseElaAddress } from '../elastos/ela-address.ts'
import { type InternalHash, toInternalHex } from '../elastos/hash-orientation.ts'
import { checkProgramSignatures } from '../elastos/program-check.ts'
import { isSideChainPowSignedBy } from '../elastos/side-aux-pow.ts'
import type { DecodedTransaction } from '../elastos/transaction.ts'
import type { MainOutput } from '../elastos/transaction-output.ts'
import { TransactionKind } from '../elastos/transaction-payload.ts'
import { type CrossChainState, returnsIn, withdrawalsIn } from './cross-chain-state.ts'
import type { Utxo } from './utxo-set.ts'

/** What a refund leaves to the miners, sela. */
export const RETURN_DEPOSIT_FEE = 100n
const ARBITER_CODE_BYTES_MIN = 71
const OP_CROSS_CHAIN = 0xaf

/** Types that the main chain refuses while it runs on proof of work alone. */
const REFUSED_IN_POW_MODE: ReadonlySet<number> = new Set([
  TransactionKind.sideChainPow,
  TransactionKind.withdraw,
  TransactionKind.transferCrossChain,
  TransactionKind.returnDeposit,
])

export function checkMode({ transaction }: DecodedTransaction, powMode: boolean) {
  if (!powMode || !REFUSED_IN_POW_MODE.has(transaction.type)) return ok()
  return fault('MAIN_POW_MODE', 'not allowed in POW consensus')
}

/** Whether arbiters, with a program of their own kind, spend what it takes. */
export function isSpentByArbiters(type: number): boolean {
  return type === TransactionKind.withdraw || type === TransactionKind.returnDeposit
}

/** Form of a SideChainPow: as a payment with a fee, or free of cost without inputs. */
export function checkSideChainPow(
  decoded: DecodedTransaction,
  onDuty: Uint8Array,
  checkSignature: boolean,
): Result<undefined> {
  const { transaction } = decoded
  if (transaction.payload.kind !== 'side-chain-pow' || transaction.payloadVersion !== 0) {
    return fault('MAIN_SIDE_POW', 'a SideChainPow has payload version 0')
  }
  if (transaction.outputs.some(({ payload }) => payload.kind !== 'none')) {
    return fault('MAIN_OUTPUT_PAYLOAD', 'a SideChainPow has plain outputs only')
  }
  if (transaction.inputs.length === 0) {
    const { attributes, outputs, programs } = transaction
    const isBare = attributes.length === 0 && programs.length === 0
    if (!isBare || outputs.length !== 1 || outputs[0]?.value !== 0n) {
      return fault('MAIN_SIDE_POW', 'a SideChainPow without inputs has one output of nothing')
    }
  }
  if (!checkSignature || isSideChainPowSignedBy(decoded, onDuty)) return ok()
  return fault('MAIN_ARBITER', 'Arbitrator is not matched')
}

/** Outputs, inputs and program of a withdrawal or a refund; its sums are checked elsewhere. */
export function checkArbiterSpend(
  decoded: DecodedTransaction,
  spent: readonly Utxo[],
  state: CrossChainState,
  checkSignatures: boolean,
): Result<undefined> {
  if (spent.some(({ output }) => output.programHash[0] !== AddressPrefix.crossChain)) {
    const message = 'Invalid transaction inputs address, without "X" at beginning'
    return fault('MAIN_INPUT_OWNER', message)
  }
  const content =
    decoded.transaction.type === TransactionKind.withdraw
      ? checkWithdrawal(decoded, state)
      : checkReturn(decoded, state)
  if (!content.ok) return content
  return checkArbiterProgram(decoded, state, checkSignatures)
}

function checkWithdrawal(decoded: DecodedTransaction, state: CrossChainState): Result<undefined> {
  const { payload, outputs } = decoded.transaction
  if (payload.kind !== 'withdraw' && payload.kind !== 'withdraw-by-outputs') {
    return fault('MAIN_WITHDRAW_VERSION', 'Schnorr withdrawals are not taken')
  }
  const byOutputs = payload.kind === 'withdraw-by-outputs'
  const isTyped = ({ payload: { kind } }: MainOutput) =>
    kind === 'none' || (byOutputs && kind === 'withdraw')
  if (!outputs.every(isTyped)) {
    return fault('MAIN_OUTPUT_PAYLOAD', 'a withdrawal has plain and withdraw outputs only')
  }
  return checkUnused(withdrawalsIn(decoded), (id) => state.isWithdrawn(id))
}

/** Each hash once, and never before. */
function checkUnused(
  ids: readonly InternalHash[],
  isUsed: (id: InternalHash) => boolean,
): Result<undefined> {
  if (ids.length === 0) return fault('MAIN_WITHDRAW_EMPTY', 'the transaction pays nothing out')
  const distinct = new Set(ids.map(toInternalHex))
  if (distinct.size !== ids.length || ids.some(isUsed)) {
    return fault('MAIN_SIDE_TRANSACTION_USED', 'duplicated side chain transaction hash')
  }
  return ok()
}

/** Each refund goes to the payer of its deposit and leaves the fee. */
function checkReturn(decoded: DecodedTransaction, state: CrossChainState): Result<undefined> {
  const { payload, outputs } = decoded.transaction
  if (payload.kind !== 'return-deposit') {
    return fault('MAIN_WITHDRAW_VERSION', 'Schnorr refunds are not taken')
  }
  const unused = checkUnused(returnsIn(decoded), (id) => state.isReturned(id))
  if (!unused.ok) return unused
  for (const { payload: content, programHash, value } of outputs) {
    if (content.kind === 'none') continue
    if (content.kind !== 'return-deposit') {
      return fault('MAIN_OUTPUT_PAYLOAD', 'a refund has plain and refund outputs only')
    }
    const deposit = state.depositOf(content.depositHash)
    const address = parseElaAddress(content.genesisAddress)
    const paid = address.ok ? deposit?.paid.get(bytesToHex(address.value)) : undefined
    if (!deposit || paid === undefined) {
      return fault('MAIN_DEPOSIT_UNKNOWN', 'invalid deposit tx')
    }
    if (!bytesEqual(deposit.payer, programHash)) {
      return fault('MAIN_OUTPUT_OWNER', 'invalid output address')
    }
    if (value + RETURN_DEPOSIT_FEE > paid) {
      return fault('MAIN_OUTPUT_VALUE', 'invalid output amount')
    }
  }
  return ok()
}

/**
 * The one program that may spend X outputs: a cross-chain multisig of exactly the current
 * arbiters, all of them, of which more than two thirds have signed.
 */
function checkArbiterProgram(
  { transaction, unsigned }: DecodedTransaction,
  state: CrossChainState,
  checkSignatures: boolean,
): Result<undefined> {
  const [program, ...others] = transaction.programs
  if (!program || others.length > 0) {
    return fault('MAIN_PROGRAM_COUNT', 'arbiters spend with one program')
  }
  const { code } = program
  if (code.length < ARBITER_CODE_BYTES_MIN || code[code.length - 1] !== OP_CROSS_CHAIN) {
    const message = 'not a valid cross chain transaction code, length not enough'
    return fault('MAIN_PROGRAM_CODE', message)
  }
  const parsed = parseCode(code)
  if (!parsed.ok) return parsed
  if (parsed.value.kind !== 'multisig') return fault('MAIN_PROGRAM_CODE', 'invalid code')
  const { required, publicKeys } = parsed.value
  if (required < state.agreement) {
    return fault('MAIN_PROGRAM_CODE', 'invalid arbiters sign count in code')
  }
  const named = new Set(publicKeys.map(bytesToHex))
  const isTheirs = state.arbiters.every((key) => named.has(bytesToHex(key)))
  if (!isTheirs || publicKeys.length !== state.arbiters.length) {
    return fault('MAIN_PROGRAM_CODE', 'invalid arbiters in code')
  }
  return checkSignatures ? checkProgramSignatures(program, unsigned) : ok()
}

/** A switch of the consensus: nothing but its payload, and only to the other mode. */
export function checkModeSwitch(
  { transaction }: DecodedTransaction,
  powMode: boolean,
): Result<undefined> {
  const { type, inputs, outputs, programs } = transaction
  if (inputs.length + outputs.length + programs.length > 0) {
    return fault('MAIN_MODE_SWITCH', 'a switch of the consensus moves nothing')
  }
  if ((type === TransactionKind.revertToPow) === powMode) {
    return fault('MAIN_MODE_SWITCH', 'the chain runs in this consensus already')
  }
  return ok()
}

export function isModeSwitch(type: number): boolean {
  return type === TransactionKind.revertToPow || type === TransactionKind.revertToDpos
}
