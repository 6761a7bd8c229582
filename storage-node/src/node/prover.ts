import type { ChainHead } from '@ioex/chain/light'
import { PayloadKind } from '@ioex/chain/types'
import type { Logger } from 'pino'
import type { SlotStore } from '../blobs/slot-store.ts'
import { reasonOf } from '../transfer/transfer-error.ts'
import type { ChainClient } from './chain-client.ts'
import { jitterBlocks } from './epoch-turn.ts'
import type { NodeAccount } from './node-account.ts'
import { buildProve, type Challenge, currentNode, SlotLostError } from './proving.ts'

export interface ProverOptions {
  readonly chain: ChainClient
  readonly store: SlotStore
  readonly account: NodeAccount
  readonly logger: Logger
}

/**
 * How often in an epoch a node looks whether it is challenged. It has several epochs to answer,
 * and asking at every block would have full nodes prove it two records a second.
 */
const LOOKS_PER_EPOCH = 64

/** Answers the node's challenges (PROTOCOL 6). */
export class Prover {
  readonly #options: ProverOptions
  readonly counters = { sent: 0, refused: 0 }
  lastEpoch: number | undefined
  /** Attempts to answer the challenge of an epoch, and the height of the next one. */
  #attempts = { epoch: -1, count: 0, next: 0 }
  /** Height from which on it is asked again. */
  #nextLook = 0
  /** Rails whose loss was declared. */
  readonly #lost = new Set<number>()

  constructor(options: ProverOptions) {
    this.#options = options
  }

  async onHead(head: ChainHead): Promise<void> {
    if (head.height < this.#nextLook) return
    const { chain, account, logger } = this.#options
    const { epochBlocks } = chain.params
    const found = await chain.node(account.address)
    const { challenge } = found ? await currentNode(chain, found.record, head.epoch) : {}
    this.#nextLook = head.height + Math.floor(epochBlocks / LOOKS_PER_EPOCH)
    if (!found || !challenge || challenge.epoch === this.lastEpoch) return
    // Not all nodes at the block that opened the challenge, nor close to its end.
    const wait = jitterBlocks(account.address, Math.floor(epochBlocks / 4))
    if (head.height < challenge.openedAt + wait) return
    if (this.#attempts.epoch !== challenge.epoch) {
      this.#attempts = { epoch: challenge.epoch, count: 0, next: 0 }
    }
    if (head.height < this.#attempts.next) return
    // Whether the chain, the network or this node is at fault: twice as long before the next try.
    this.#attempts.count += 1
    this.#attempts.next = head.height + 2 ** this.#attempts.count
    this.#nextLook = this.#attempts.next
    try {
      await this.#prove(found.index, challenge)
    } catch (error) {
      if (error instanceof SlotLostError) {
        await this.#declareLost(error)
        return
      }
      this.counters.refused += 1
      logger.warn({ epoch: challenge.epoch, reason: reasonOf(error) }, 'proof refused')
    }
  }

  async #prove(nodeIndex: number, challenge: Challenge): Promise<void> {
    const { chain, store, account, logger } = this.#options
    const prove = await buildProve(chain, store, nodeIndex, challenge)
    const { final } = await account.send(PayloadKind.prove, () => {
      // Should a rail not be clearable after all, the proof must not fail with it.
      if (this.#attempts.count > 1) prove.value.clear = []
      return Promise.resolve(prove)
    })
    const { height } = await final
    this.lastEpoch = challenge.epoch
    this.counters.sent += 1
    logger.info({ epoch: challenge.epoch, height }, 'proven')
  }

  /** The next snapshots must not draw what is gone; this challenge is lost. */
  async #declareLost(lost: SlotLostError): Promise<void> {
    const { account, logger } = this.#options
    logger.error({ rail: lost.rail, reason: lost.message }, 'slot lost')
    if (this.#lost.has(lost.rail)) return
    this.#lost.add(lost.rail)
    const value = { rail: lost.rail, lost: true, unpaid: false }
    const { final } = await account.send(PayloadKind.leave, () =>
      Promise.resolve({ selector: PayloadKind.leave, value }),
    )
    await final
  }
}
