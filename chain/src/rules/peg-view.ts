import type { NetworkParams } from '../params/network-params.ts'
import { checkpointHeight } from '../params/network-params.ts'
import type { Indexed, LedgerDraft, RecordTable } from '../state/ledger-draft.ts'
import {
  type DepositRecord,
  DepositState,
  type WithdrawalRecord,
  WithdrawalState,
} from '../types/records.ts'

/** What the ledger knows of a main-chain transaction, by its id in internal order. */
export function depositOf(
  ledger: LedgerDraft,
  mainTransaction: Uint8Array,
): Indexed<DepositRecord> | undefined {
  const index = ledger.depositIndex(mainTransaction)
  const record = index === undefined ? undefined : ledger.deposits.get(index)
  return index === undefined || record === undefined ? undefined : { index, record }
}

/** The coin of this main-chain transaction was credited; it never is again. */
export function isCredited(record: Readonly<DepositRecord>): boolean {
  return record.state !== DepositState.failed
}

/** Deposits that failed in an epoch's blocks: what arbiters refund on the main chain. */
export function failedDepositsOfEpoch(
  ledger: LedgerDraft,
  epoch: number,
): Indexed<DepositRecord>[] {
  return recordsOfEpoch(ledger.params, ledger.deposits, epoch).filter(
    ({ record }) => record.state === DepositState.failed,
  )
}

/**
 * Withdrawals that the checkpoint of an epoch contains, in the order of their blocks: those that
 * the main chain is to pay. One that was returned to its sender is not among them any more.
 */
export function withdrawalsOfEpoch(
  ledger: LedgerDraft,
  epoch: number,
): Indexed<WithdrawalRecord>[] {
  return recordsOfEpoch(ledger.params, ledger.withdrawals, epoch).filter(({ record }) =>
    isPayable(record),
  )
}

/** A withdrawal by the id of its transaction. */
export function withdrawalOf(
  ledger: LedgerDraft,
  id: Uint8Array,
): Indexed<WithdrawalRecord> | undefined {
  const index = ledger.withdrawalIndex(id)
  const record = index === undefined ? undefined : ledger.withdrawals.get(index)
  return index === undefined || record === undefined ? undefined : { index, record }
}

/** False once its units came back here: then no arbiter may sign for it. */
export function isPayable(record: Readonly<WithdrawalRecord>): boolean {
  return record.state === WithdrawalState.listed
}

function recordsOfEpoch<T extends { readonly height: number }>(
  params: NetworkParams,
  table: RecordTable<T>,
  epoch: number,
): Indexed<T>[] {
  if (epoch < 1) return []
  const from = firstAbove(table, checkpointHeight(params, epoch - 1))
  const end = firstAbove(table, checkpointHeight(params, epoch))
  const placed: Indexed<T>[] = []
  for (let index = from; index < end; index++) {
    const record = table.get(index)
    if (record !== undefined) placed.push({ index, record })
  }
  return placed
}

/** The first index whose record's block is above `height`; records ascend by height. */
function firstAbove<T extends { readonly height: number }>(
  table: RecordTable<T>,
  height: number,
): number {
  let low = 0
  let high = table.count
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((table.get(middle)?.height ?? 0) > height) high = middle
    else low = middle + 1
  }
  return low
}
