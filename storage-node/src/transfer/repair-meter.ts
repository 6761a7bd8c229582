import { bytesEqual } from '@ioex/chain/bytes'
import type { SignedRepairVoucher } from '@ioex/chain/types'
import { isForPlace, isSignedRepair } from './repair-payer.ts'
import type { RepairedFrom, RepairLedger } from './voucher-ledger.ts'
import { type MeterRules, VoucherMeter } from './voucher-meter.ts'
import { KIB } from './voucher-step.ts'

export interface RepairTerms {
  readonly chainId: Uint8Array
  readonly place: RepairedFrom
  /** 33-byte public key of the contract's delegate. */
  readonly delegateKey: Uint8Array
  /** What pot and budget pay this rail for the refill at most, KiB in all. */
  readonly budgetKib: number
}

export type RepairMeter = VoucherMeter<RepairTerms, RepairedFrom, SignedRepairVoucher>

const REPAIR_RULES: MeterRules<RepairTerms, RepairedFrom, SignedRepairVoucher> = {
  placeOf: ({ place }) => place,
  budgetBytes: ({ budgetKib }) => budgetKib * KIB,
  exhausted: () => 'the pot, or its budget for this refill, pays no more of this slot',
  isExpected: ({ place, delegateKey }, signed) =>
    isForPlace(signed.voucher, place) && bytesEqual(signed.delegateKey, delegateKey),
  isSigned: ({ chainId }, signed) => isSignedRepair(chainId, signed),
  adds: ({ voucher }, newest) => voucher.kib > newest.voucher.kib,
}

/** The serving side of one reading for a repair: bytes served against repair vouchers. */
export function openRepairMeter(terms: RepairTerms, ledger: RepairLedger): Promise<RepairMeter> {
  return VoucherMeter.open(terms, { rules: REPAIR_RULES, ledger })
}
