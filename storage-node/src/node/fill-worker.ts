import { fromHex } from '@ioex/chain/bytes'
import { type Fill, type NodeIdentity, PayloadKind } from '@ioex/chain/types'
import type { Logger } from 'pino'
import type { SlotStore } from '../blobs/slot-store.ts'
import type { Grant } from '../transfer/messages.ts'
import type { SubmittedFill } from '../transfer/provider-context.ts'
import { Refusal } from '../transfer/refusal.ts'
import { reasonOf } from '../transfer/transfer-error.ts'
import type { ChainClient } from './chain-client.ts'
import { fillOpenings } from './fill-openings.ts'
import type { NodeAccount, NodeTransaction } from './node-account.ts'
import { refusalCode } from './transactions.ts'

/** Refusals of a fill after which it is built and sent again. */
const REPEATABLE = new Set(['EXPIRED', 'TRANSACTION_EXPIRED', 'OPENING_LEAF', 'IDENTITY_MISSING'])
const ATTEMPTS_MAX = 4

export interface FillWorkerOptions {
  readonly chain: ChainClient
  readonly store: SlotStore
  readonly account: NodeAccount
  readonly identity: NodeIdentity
  /** Called when a fill is final. */
  onFilled(): void
  readonly logger: Logger
}

/** Brings granted slots onto the chain (PROTOCOL 5.2). */
export class FillWorker {
  readonly #options: FillWorkerOptions

  constructor(options: FillWorkerOptions) {
    this.#options = options
  }

  /**
   * Builds the fill of a granted slot and hands it to the chain. Throws Refusal with the chain's
   * code where the chain does not take it. A fill that is lost on the way is sent again.
   */
  async submit(grant: Grant): Promise<SubmittedFill> {
    const { account } = this.#options
    try {
      const sent = await account.send(PayloadKind.fill, () => this.#build(grant))
      this.#follow(grant, sent, 1).catch((error: unknown) => {
        this.#options.logger.warn({ reason: reasonOf(error) }, 'fill failed')
      })
      return { transaction: fromHex(sent.id), validUntil: sent.validUntil }
    } catch (error) {
      const code = refusalCode(error)
      if (code === undefined || error instanceof Refusal) throw error
      throw new Refusal(code, reasonOf(error))
    }
  }

  async #follow(grant: Grant, sent: NodeTransaction, attempt: number): Promise<void> {
    const { contract, slot } = grant.grant
    try {
      const { height } = await sent.final
      this.#options.logger.info({ contract, slot, height }, 'slot filled')
      this.#options.onFilled()
    } catch (error) {
      const code = refusalCode(error) ?? ''
      if (!REPEATABLE.has(code) || attempt === ATTEMPTS_MAX) throw error
      const again = await this.#options.account.send(PayloadKind.fill, () => this.#build(grant))
      await this.#follow(grant, again, attempt + 1)
    }
  }

  async #build({ grant, payerKey, signature }: Grant) {
    const { store, chain, account, identity } = this.#options
    const openings = await fillOpenings(chain, store, grant)
    const isKnown = (await chain.node(account.address)) !== undefined
    const value: Fill = {
      grant,
      payerKey,
      grantSignature: signature,
      openings,
      identity: isKnown ? [] : [identity],
    }
    return { selector: PayloadKind.fill, value } as const
  }
}
