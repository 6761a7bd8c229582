import type { ChainHead } from '@ioex/chain/light'
import { PayloadKind } from '@ioex/chain/types'
import type { Logger } from 'pino'
import type { ReservationLedger } from '../transfer/reservation-ledger.ts'
import { reasonOf } from '../transfer/transfer-error.ts'
import type { RailLedger } from '../transfer/voucher-ledger.ts'
import type { ChainClient } from './chain-client.ts'
import { EpochTurn } from './epoch-turn.ts'
import type { NodeAccount } from './node-account.ts'
import { currentNode } from './proving.ts'
import { dueRedeems, unpaidRails } from './rail-settlement.ts'

export interface RedeemerOptions {
  readonly chain: ChainClient
  readonly account: NodeAccount
  readonly vouchers: RailLedger
  /** Of a relay: how long it kept paid links. */
  readonly reserved?: ReservationLedger | undefined
  readonly logger: Logger
}

/** Redeems a node's rails once an epoch, where that is worth the byte fee. */
export class Redeemer {
  readonly #options: RedeemerOptions
  readonly counters = { sent: 0, refused: 0 }
  readonly #turn: EpochTurn

  constructor(options: RedeemerOptions) {
    this.#options = options
    this.#turn = new EpochTurn(options.account.address)
  }

  get account(): NodeAccount {
    return this.#options.account
  }

  async onHead(head: ChainHead): Promise<void> {
    if (!this.#turn.take(head, this.#options.chain.params.epochBlocks)) return
    await this.redeem(head.epoch, false)
    await this.#sayUnpaid(head.epoch)
  }

  /** A payer that takes a last step unpaid shall not gain by it. */
  async #sayUnpaid(nowEpoch: number): Promise<void> {
    const { chain, account, logger } = this.#options
    const found = await chain.node(account.address)
    if (!found || found.record.evicted) return
    const parts = { nodeIndex: found.index, nowEpoch }
    for (const rail of await unpaidRails(chain, this.#options, parts)) {
      const value = { rail, lost: false, unpaid: true }
      try {
        const leave = { selector: PayloadKind.leave, value } as const
        const { final } = await account.send(PayloadKind.leave, () => Promise.resolve(leave))
        await final
        logger.info({ rail }, 'closed without payment for the last step')
      } catch (error) {
        logger.warn({ rail, reason: reasonOf(error) }, 'unpaid step not said')
      }
    }
  }

  /** Redeems what is due; `always` small sums too. Gives the ids of the transactions. */
  async redeem(nowEpoch: number, always: boolean): Promise<string[]> {
    const { chain, account, vouchers, logger } = this.#options
    const found = await chain.node(account.address)
    if (!found) return []
    const { node } = await currentNode(chain, found.record, nowEpoch)
    const parts = { nodeIndex: found.index, node, nowEpoch, always }
    const ids: string[] = []
    for (const redeem of await dueRedeems(chain, vouchers, parts)) {
      try {
        const { id, final } = await account.send(PayloadKind.redeem, () => Promise.resolve(redeem))
        await final
        ids.push(id)
        this.counters.sent += 1
        logger.info({ rails: redeem.value.rails.length }, 'rails redeemed')
      } catch (error) {
        this.counters.refused += 1
        logger.warn({ reason: reasonOf(error) }, 'redeem refused')
      }
    }
    return ids
  }
}
