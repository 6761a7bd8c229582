import { parseAddress } from '../bytes/address.ts'
import { bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { crossChainProgramHash } from '../elastos/ela-address.ts'
import { CROSS_CHAIN_FEE_MIN, sumOutputs } from '../elastos/ela-amount.ts'
import { asInternalHash } from '../elastos/hash-orientation.ts'
import type { MainTransaction } from '../elastos/transaction.ts'
import { type CrossChainTarget, TransactionKind } from '../elastos/transaction-payload.ts'
import { ZERO_ADDRESS } from '../types/primitives.ts'
import { DepositFailure } from '../types/records.ts'

/** One payment of a deposit: units for an account of this chain. */
export interface DepositEntry {
  readonly to: Uint8Array
  readonly amount: bigint
}

/** What a main-chain transaction brings to this chain: entries, or why it can only be refunded. */
export type DepositContent =
  | { readonly failure: 0; readonly entries: readonly DepositEntry[]; readonly amount: bigint }
  | { readonly failure: number }

/** A payment as the main chain states it, before this chain judges it. */
interface Claim {
  readonly target: string
  readonly amount: bigint
  /** Value of the output that pays for it. */
  readonly value: bigint
}

/** Program hash of the X address that deposits to the chain with this id are paid to. */
export function depositProgramHash(chainId: Uint8Array): Uint8Array {
  return crossChainProgramHash(asInternalHash(chainId))
}

/**
 * Reads a TransferCrossChainAsset of payload version 0 or 1: every entry that pays this chain's
 * X address. One entry that cannot be credited makes all of them fail, since the main chain
 * refunds whole transactions. Faults with DEPOSIT_TYPE, or with DEPOSIT_NOT_OURS where nothing
 * is paid to this chain.
 */
export function depositContent(
  transaction: MainTransaction,
  chainId: Uint8Array,
  addressPrefix: string,
): Result<DepositContent> {
  if (transaction.type !== TransactionKind.transferCrossChain) {
    return fault('DEPOSIT_TYPE', 'a deposit is a main-chain transaction of type 8')
  }
  const claims = claimsOf(transaction, depositProgramHash(chainId))
  if (claims === undefined) return ok({ failure: DepositFailure.form })
  if (claims.length === 0) {
    return fault('DEPOSIT_NOT_OURS', "the transaction pays nothing to this chain's X address")
  }
  // Sums in unbounded integers: what wrapped around on the main chain is no deposit here.
  if (!sumOutputs(transaction.outputs).ok) return ok({ failure: DepositFailure.amount })
  return ok(judge(claims, addressPrefix))
}

/** Whether a main-chain transaction brings anything to the chain with this id, good or failed. */
export function isDepositTo(transaction: MainTransaction, chainId: Uint8Array): boolean {
  if (transaction.type !== TransactionKind.transferCrossChain) return false
  return claimsOf(transaction, depositProgramHash(chainId))?.length !== 0
}

/** Undefined where a payload points at an output twice or beside the list. */
function claimsOf(transaction: MainTransaction, ours: Uint8Array): Claim[] | undefined {
  const { payload, outputs } = transaction
  if (payload.kind === 'cross-chain') return claimsOfTargets(payload.targets, outputs, ours)
  return outputs.flatMap(({ payload: entry, programHash, value }) =>
    entry.kind === 'cross-chain' && bytesEqual(programHash, ours)
      ? [{ target: entry.targetAddress, amount: entry.targetAmount, value }]
      : [],
  )
}

function claimsOfTargets(
  targets: readonly CrossChainTarget[],
  outputs: MainTransaction['outputs'],
  ours: Uint8Array,
): Claim[] | undefined {
  const claims: Claim[] = []
  const used = new Set<number>()
  let isWellFormed = true
  for (const { address, outputIndex, amount } of targets) {
    const output = outputs[outputIndex]
    if (output === undefined || used.has(outputIndex)) isWellFormed = false
    used.add(outputIndex)
    if (output === undefined || !bytesEqual(output.programHash, ours)) continue
    claims.push({ target: address, amount, value: output.value })
  }
  // A malformed payload that pays us nothing is none of our business.
  return isWellFormed || claims.length === 0 ? claims : undefined
}

function judge(claims: readonly Claim[], addressPrefix: string): DepositContent {
  const entries: DepositEntry[] = []
  let total = 0n
  for (const { target, amount, value } of claims) {
    if (amount <= 0n || value < amount + CROSS_CHAIN_FEE_MIN) {
      return { failure: DepositFailure.amount }
    }
    const to = parseAddress(target, addressPrefix)
    if (!to.ok || bytesEqual(to.value, ZERO_ADDRESS)) return { failure: DepositFailure.address }
    entries.push({ to: to.value, amount })
    total += amount
  }
  return { failure: DepositFailure.none, entries, amount: total }
}
