import type { Logger } from 'pino'
import type { Result } from '../bytes/result.ts'
import { addressOf, publicKeyOf } from '../bytes/signature.ts'
import type { ConsensusKey } from '../driver/consensus-key.ts'
import type { ChainManager, FinalizedBlock } from '../manager/chain-manager.ts'
import { baseFeeCap } from '../rules/base-fee.ts'
import { holdsForfeitedPay } from '../rules/clear-weight.ts'
import { isEvictable } from '../rules/evict.ts'
import { encodeTransaction, signTransaction } from '../types/transaction-codec.ts'
import { type Payload, PayloadKind } from '../types/transactions.ts'

export interface EvictionSweepOptions {
  readonly manager: Pick<ChainManager, 'chainId' | 'params' | 'ledger' | 'validators'> & {
    onFinal(listener: (block: Pick<FinalizedBlock, 'header'>) => void): () => void
  }
  readonly consensusKey: Pick<ConsensusKey, 'indexIn'>
  /** secp256k1 secret: signs what any key may send. */
  readonly nodeKey: Uint8Array
  readonly submit: (transaction: Uint8Array) => Promise<Result<Uint8Array>>
  /** While the node catches up, others do it. */
  readonly isSyncing: () => boolean
  readonly logger: Logger
}

/** Records looked at after a block at most; a round over larger tables takes several epochs. */
const NODES_PER_BLOCK_MAX = 512
const RAILS_PER_BLOCK_MAX = 512
const VALID_BLOCKS = 20
/** Found and not sent yet; what does not fit is found again in the next round. */
const WAITING_MAX = 1024

/**
 * Says aloud what the ledger knows and nobody gains by saying: a node whose lapses reach the limit
 * is evicted, and what it held goes to the pots of its contracts (PROTOCOL 6.1, 6.5). Otherwise
 * the dead would lower the rate at which the living are challenged. The tables are gone through
 * once an epoch, a window after each block; validators take turns by record and epoch, so that a
 * dead one delays an eviction by an epoch and nothing is sent twice.
 */
export class EvictionSweep {
  readonly #options: EvictionSweepOptions
  readonly #sender: Uint8Array
  readonly #unsubscribe: () => void
  /** By what they are about. The pool takes one of a kind from one sender at a time. */
  readonly #waiting = { evict: new Map<number, Payload>(), clear: new Map<number, Payload>() }

  constructor(options: EvictionSweepOptions) {
    this.#options = options
    this.#sender = publicKeyOf(options.nodeKey)
    this.#unsubscribe = options.manager.onFinal(({ header }) => void this.#afterBlock(header))
  }

  stop(): void {
    this.#unsubscribe()
  }

  async #afterBlock({ height, epoch }: FinalizedBlock['header']): Promise<void> {
    const { manager, consensusKey, isSyncing } = this.#options
    const set = manager.validators(epoch) ?? []
    const own = consensusKey.indexIn(set)
    if (own === undefined || isSyncing()) return
    const isOurs = (index: number) => (index + epoch) % set.length === own
    this.#findDead(height, epoch, isOurs)
    this.#findForfeited(height, isOurs)
    for (const waiting of Object.values(this.#waiting)) {
      const [next] = waiting
      if (!next) continue
      waiting.delete(next[0])
      await this.#send(next[1], height)
    }
  }

  #findDead(height: number, epoch: number, isOurs: (index: number) => boolean): void {
    const { ledger } = this.#options.manager
    for (const index of this.#window(ledger.nodes.count, height, NODES_PER_BLOCK_MAX)) {
      const node = isOurs(index) ? ledger.nodes.get(index) : undefined
      if (!node || !isEvictable(ledger, node, epoch)) continue
      const value = { node: addressOf(node.nodeKey) }
      this.#await('evict', index, { selector: PayloadKind.evict, value })
    }
  }

  #findForfeited(height: number, isOurs: (index: number) => boolean): void {
    const { ledger } = this.#options.manager
    for (const index of this.#window(ledger.rails.count, height, RAILS_PER_BLOCK_MAX)) {
      const rail = isOurs(index) ? ledger.rails.get(index) : undefined
      if (!rail || !holdsForfeitedPay(rail) || !ledger.nodes.get(rail.node)?.evicted) continue
      this.#await('clear', index, { selector: PayloadKind.clearWeight, value: { rail: index } })
    }
  }

  /** Indexes whose turn it is after this block: the same at every validator. */
  *#window(count: number, height: number, most: number): Generator<number> {
    const { epochBlocks } = this.#options.manager.params
    const size = Math.min(most, Math.ceil(count / epochBlocks))
    for (let i = 0; i < size; i++) yield (height * size + i) % count
  }

  #await(kind: 'evict' | 'clear', index: number, payload: Payload): void {
    const waiting = this.#waiting[kind]
    if (waiting.size < WAITING_MAX) waiting.set(index, payload)
  }

  async #send(payload: Payload, height: number): Promise<void> {
    const { manager, nodeKey, submit, logger } = this.#options
    const { ledger, chainId } = manager
    const body = {
      sender: this.#sender,
      nonce: 0,
      validUntil: height + VALID_BLOCKS,
      maxBaseFee: baseFeeCap(ledger.globals().baseFee),
      tip: 0n,
      payload,
    }
    const sent = await submit(encodeTransaction(signTransaction(body, chainId, nodeKey)))
    const { selector } = payload
    if (sent.ok) logger.info({ selector }, 'a node that proves nothing any more is evicted')
    else logger.debug({ selector, fault: sent.fault.code }, 'not taken, found again later')
  }
}
