import { type Payload, PayloadKind, type SignedRepairVoucher } from '@ioex/chain/types'
import type { Logger } from 'pino'
import { repairKey, type RepairLedger } from '../transfer/voucher-ledger.ts'
import { reasonOf } from '../transfer/transfer-error.ts'
import type { ChainClient } from './chain-client.ts'
import type { NodeAccount } from './node-account.ts'
import { refusalCode } from './transactions.ts'

/** Refusals after which a repair voucher is worth nothing any more. */
const OVER = new Set([
  'SLOT_TAKEN',
  'SLOT_UNKNOWN',
  'CONTRACT_UNKNOWN',
  'CONTRACT_CLOSING',
  'RAIL_UNKNOWN',
  'VOUCHER_REFILL',
  'VOUCHER_DELEGATE',
  'VOUCHER_SIGNATURE',
  'VOUCHER_RANGE',
])

export interface RepairRedeemerOptions {
  readonly chain: ChainClient
  readonly account: NodeAccount
  readonly vouchers: RepairLedger
  readonly logger: Logger
}

/**
 * Redeems repair vouchers: at once, because they are good only while the slot that is rebuilt is
 * open (PROTOCOL 7). One that does not pay its byte fee waits for a higher one.
 */
export class RepairRedeemer {
  readonly #options: RepairRedeemerOptions
  readonly counters = { sent: 0, refused: 0 }
  /** Highest KiB by place that the chain took, or refused for bringing too little. */
  readonly #settled = new Map<string, number>()
  #mayHave = true
  #last: Promise<void> = Promise.resolve()

  constructor(options: RepairRedeemerOptions) {
    this.#options = options
  }

  /** Says that a voucher came in. */
  served(): void {
    this.#mayHave = true
    void this.redeem()
  }

  /** Redeems what is kept; runs one after the other and never throws. */
  redeem(): Promise<void> {
    this.#last = this.#last
      .then(() => this.#redeemAll())
      .catch((error: unknown) => {
        this.#options.logger.warn({ reason: reasonOf(error) }, 'repair vouchers not read')
      })
    return this.#last
  }

  async #redeemAll(): Promise<void> {
    if (!this.#mayHave) return
    this.#mayHave = false
    for (const signed of await this.#options.vouchers.vouchers()) {
      const key = repairKey(signed.voucher)
      if ((this.#settled.get(key) ?? -1) >= signed.voucher.kib) continue
      if (!(await this.#redeemOne(signed, key))) this.#mayHave = true
    }
  }

  /** False where it is to be tried again. */
  async #redeemOne(signed: SignedRepairVoucher, key: string): Promise<boolean> {
    const { account, vouchers, logger } = this.#options
    const { contract, slot, kib } = signed.voucher
    const value = { vouchers: [signed] }
    const payload: Payload = { selector: PayloadKind.redeemRepair, value }
    try {
      const { final } = await account.send(PayloadKind.redeemRepair, () => Promise.resolve(payload))
      await final
      this.counters.sent += 1
      this.#settled.set(key, kib)
      logger.info({ contract, slot, kib }, 'repair redeemed')
      return true
    } catch (error) {
      const code = refusalCode(error) ?? ''
      this.counters.refused += 1
      logger.info({ contract, slot, code, reason: reasonOf(error) }, 'repair not redeemed')
      if (OVER.has(code)) await vouchers.delete(signed.voucher)
      if (code === 'PROCEEDS_BELOW_FEE') this.#settled.set(key, kib)
      return OVER.has(code) || code === 'PROCEEDS_BELOW_FEE'
    }
  }
}
