import { addressOf, publicKeyOf } from '@ioex/chain/bytes'
import type { Payload } from '@ioex/chain/types'
import type { ChainClient, TransactionOutcome } from './chain-client.ts'
import { nextHead } from './chain-lag.ts'
import { refusalCode, sendAsNode, type Submitted } from './transactions.ts'

/** A transaction of a node that the pool has, and what becomes of it. */
export interface NodeTransaction extends Submitted {
  readonly final: Promise<TransactionOutcome>
}

/** Refusals that pass by themselves: another transaction of the node waits, or no beacon yet. */
const PASSING = new Set(['POOL_SLOT_TAKEN', 'POOL_FULL', 'POOL_BUSY', 'BEACON_MISSING'])
const ATTEMPTS_MAX = 120

/**
 * Sends a node key's transactions. The pool holds one of each kind per node, so each kind has a
 * queue: the next is sent when the one before it is final.
 */
export class NodeAccount {
  readonly publicKey: Uint8Array
  readonly address: Uint8Array
  readonly #chain: ChainClient
  readonly #nodeKey: Uint8Array
  readonly #queues = new Map<number, Promise<unknown>>()
  #stopped = false

  constructor(chain: ChainClient, nodeKey: Uint8Array) {
    this.#chain = chain
    this.#nodeKey = nodeKey
    this.publicKey = publicKeyOf(nodeKey)
    this.address = addressOf(this.publicKey)
  }

  /** Nothing is sent any more; what waits fails. */
  stop(): void {
    this.#stopped = true
  }

  /**
   * Sends when its turn comes; `build` is called anew at each attempt, since what a payload
   * shows may have changed meanwhile. Throws the chain's refusal.
   */
  send(kind: number, build: () => Promise<Payload>): Promise<NodeTransaction> {
    const before = this.#queues.get(kind) ?? Promise.resolve()
    const sending = before.then(() => this.#attempt(build))
    const turn = sending.then(({ final }) => final)
    this.#queues.set(
      kind,
      turn.catch(() => {}),
    )
    return sending
  }

  async #attempt(build: () => Promise<Payload>): Promise<NodeTransaction> {
    for (let attempt = 1; ; attempt++) {
      if (this.#stopped) throw new Error('the node is stopping')
      try {
        const submitted = await sendAsNode(this.#chain, this.#nodeKey, await build())
        const final = this.#chain.outcome(submitted.id, submitted.validUntil)
        // Whoever wants to know listens; a refusal nobody waits for is no crash.
        final.catch(() => {})
        return { ...submitted, final }
      } catch (error) {
        if (!PASSING.has(refusalCode(error) ?? '') || attempt === ATTEMPTS_MAX) throw error
        await nextHead(this.#chain)
      }
    }
  }
}
