import { addressOf, publicKeyOf, sign, signingDigest } from '@ioex/chain/bytes'
import { baseFeeCap } from '@ioex/chain/rules'
import {
  NodeBindingType,
  type NodeIdentity,
  type Payload,
  signTransaction,
  type TransactionBody,
} from '@ioex/chain/types'
import type { ChainClient, TransactionOutcome } from './chain-client.ts'
import { nextHead } from './chain-lag.ts'

/** Blocks that a transaction may wait at most: one that was lost is soon sent again. */
const VALID_BLOCKS_MAX = 60
const NONCE_ATTEMPTS = 8

/** The stable code of a chain's refusal, whichever client threw it. */
export function refusalCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** The owner's signature that binds a node key to a payout address (PROTOCOL 3). */
export function bindNode(
  chainId: Uint8Array,
  ownerKey: Uint8Array,
  nodeKey: Uint8Array,
  payout: Uint8Array,
): NodeIdentity {
  const root = NodeBindingType.hashTreeRoot({ nodeKey, payout })
  const signature = sign(signingDigest('possession', chainId, root), ownerKey)
  return { owner: publicKeyOf(ownerKey), payout, signature }
}

/** A transaction on its way. */
export interface Submitted {
  /** Id, hex. */
  readonly id: string
  readonly validUntil: number
}

/**
 * Sends a transaction of a node key: fill, prove, redeem. Throws the chain's refusal.
 */
export async function sendAsNode(
  chain: ChainClient,
  nodeKey: Uint8Array,
  payload: Payload,
): Promise<Submitted> {
  return submit(chain, nodeKey, 0, payload)
}

async function submit(
  chain: ChainClient,
  secretKey: Uint8Array,
  nonce: number,
  payload: Payload,
): Promise<Submitted> {
  const { height } = await chain.head()
  const body: TransactionBody = {
    sender: publicKeyOf(secretKey),
    nonce,
    validUntil: height + Math.min(VALID_BLOCKS_MAX, chain.params.epochBlocks),
    maxBaseFee: baseFeeCap(await chain.baseFee()),
    tip: 0n,
    payload,
  }
  const id = await chain.submit(signTransaction(body, chain.chainId, secretKey))
  return { id, validUntil: body.validUntil }
}

/**
 * Sends an owner's transactions one after the other, since each must carry the next nonce, and
 * waits until each is final.
 */
export class OwnerAccount {
  readonly address: Uint8Array
  readonly publicKey: Uint8Array
  readonly #chain: ChainClient
  readonly #ownerKey: Uint8Array
  #last: Promise<unknown> = Promise.resolve()

  constructor(chain: ChainClient, ownerKey: Uint8Array) {
    this.#chain = chain
    this.#ownerKey = ownerKey
    this.publicKey = publicKeyOf(ownerKey)
    this.address = addressOf(this.publicKey)
  }

  /** Throws the chain's refusal, e.g. INSUFFICIENT_FUNDS or EXPIRED. */
  send(payload: Payload): Promise<TransactionOutcome> {
    const sending = this.#last.then(() => this.#send(payload))
    this.#last = sending.catch(() => {})
    return sending
  }

  /** Another process of the same owner may take the nonce first: then the next one is tried. */
  async #send(payload: Payload): Promise<TransactionOutcome> {
    for (let attempt = 1; ; attempt++) {
      const nonce = (await this.#chain.account(this.address))?.nonce ?? 0
      try {
        const { id, validUntil } = await submit(this.#chain, this.#ownerKey, nonce, payload)
        return await this.#chain.outcome(id, validUntil)
      } catch (error) {
        const code = refusalCode(error)
        const isRace = code === 'NONCE_TOO_LOW' || code === 'NONCE_TAKEN' || code === 'EXPIRED'
        if (!isRace || attempt === NONCE_ATTEMPTS) throw error
        await nextHead(this.#chain)
      }
    }
  }
}
