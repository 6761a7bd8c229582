import { bytesEqual } from '@ioex/chain/bytes'
import { depositOf, withdrawalOf, withdrawalsOfEpoch } from '@ioex/chain/rules'
import type { Indexed, LedgerDraft, RecordTable } from '@ioex/chain/state'
import type { DepositRecord, Peg, WithdrawalRecord } from '@ioex/chain/types'

/** A deposit that the followed main chain shows and the ledger does not have yet. */
export interface WaitingDeposit {
  readonly mainHeight: number
}

/** The peg's records as the RPC server reads them. */
export interface PegSource {
  /** As of the newest final block. */
  totals(): Readonly<Peg>
  readonly deposits: RecordTable<DepositRecord>
  readonly withdrawals: RecordTable<WithdrawalRecord>
  /** The newest record of a main-chain transaction, by its id in internal order. */
  depositOf(mainTransaction: Uint8Array): Indexed<DepositRecord> | undefined
  waitingDeposit(mainTransaction: Uint8Array): WaitingDeposit | undefined
  /** By the id of its transaction. */
  withdrawalOf(id: Uint8Array): Indexed<WithdrawalRecord> | undefined
  withdrawalsOfEpoch(epoch: number): readonly Indexed<WithdrawalRecord>[]
}

export function createPegSource(
  ledger: LedgerDraft,
  waitingDeposit: PegSource['waitingDeposit'],
): PegSource {
  return {
    totals: () => ledger.peg(),
    deposits: ledger.deposits,
    withdrawals: ledger.withdrawals,
    depositOf: (mainTransaction) => depositOf(ledger, mainTransaction),
    waitingDeposit,
    withdrawalOf: (id) => withdrawalOf(ledger, id),
    withdrawalsOfEpoch: (epoch) => withdrawalsOfEpoch(ledger, epoch),
  }
}

export function isOf(
  owner: Uint8Array | undefined,
): (record: Readonly<WithdrawalRecord>) => boolean {
  return (record) => owner === undefined || bytesEqual(record.owner, owner)
}
