import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { publicKeyOf } from '@ioex/chain/bytes'
import { installNativeCrypto } from '@ioex/chain/native'
import type { MeteredRail } from '../rail-meter.ts'
import { ReservationLedger } from '../reservation-ledger.ts'
import {
  openRailLedger,
  openRepairLedger,
  type RailLedger,
  type RepairLedger,
} from '../voucher-ledger.ts'
import { CHAIN_ID, secretKey } from './channel-pair.ts'

/** Pays for every rail of railTerms. */
export const OWNER = secretKey(9)
let nextRail = 0

/** A rail that no test has used yet. */
export function railTerms(changes: Partial<MeteredRail> = {}): MeteredRail {
  nextRail += 1
  return {
    chainId: CHAIN_ID,
    rail: nextRail,
    generation: 0,
    payerKey: publicKeyOf(OWNER),
    unitPrice: 1_000_000n,
    reservationPrice: 0n,
    lockUnits: 1_000_000_000n,
    ...changes,
  }
}

/** What the serving side of a rail keeps on disk, in a folder that goes away with it. */
export interface MeterLedgers {
  readonly vouchers: RailLedger
  readonly repairs: RepairLedger
  readonly reserved: ReservationLedger
  close(): Promise<void>
}

export async function openMeterLedgers(): Promise<MeterLedgers> {
  await installNativeCrypto()
  const folder = await mkdtemp(join(tmpdir(), 'ioex-meter-'))
  const vouchers = await openRailLedger(join(folder, 'vouchers'))
  const repairs = await openRepairLedger(join(folder, 'repairs'))
  const reserved = await ReservationLedger.open(join(folder, 'reserved'))
  const close = async () => {
    for (const ledger of [vouchers, repairs, reserved]) await ledger.close()
    await rm(folder, { recursive: true, force: true })
  }
  return { vouchers, repairs, reserved, close }
}
