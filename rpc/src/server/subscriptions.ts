import { bytesToHex } from '@ioex/chain/bytes'
import { CertificateType, HeaderType, type Receipt, ReceiptKind } from '@ioex/chain/types'
import { createJSONRPCNotification } from 'json-rpc-2.0'
import { NOTIFICATION_METHOD, type Topic } from '../contract/discovery-methods.ts'
import type { JsonValue } from '../contract/ssz-json.ts'
import type { Handlers } from './handler.ts'
import type { LedgerBlock, LedgerSource } from './ledger-source.ts'
import { receiptView } from './record-views.ts'
import { RpcFault } from './rpc-fault.ts'

const SUBSCRIPTIONS_MAX = 16
/** Receipts in one notification; a block with more gives several. */
const RECEIPTS_PER_NOTIFICATION = 200

/** The subscriptions of one WebSocket. */
export class Subscriptions {
  readonly #ledger: LedgerSource
  readonly #send: (text: string) => void
  #topics = new Map<string, Topic>()
  #next = 1
  #stop: (() => void) | undefined

  constructor(ledger: LedgerSource, send: (text: string) => void) {
    this.#ledger = ledger
    this.#send = send
  }

  readonly handlers = {
    subscribe: ({ topic }) => {
      if (this.#topics.size >= SUBSCRIPTIONS_MAX) {
        throw new RpcFault('LIMIT_EXCEEDED', `a connection has at most ${SUBSCRIPTIONS_MAX}`)
      }
      this.#stop ??= this.#ledger.onBlock((block) => this.#publish(block))
      const subscription = String(this.#next++)
      this.#topics.set(subscription, topic)
      return { subscription }
    },
    unsubscribe: ({ subscription }) => {
      const ended = this.#topics.delete(subscription)
      if (this.#topics.size === 0) this.close()
      return { ended }
    },
  } satisfies Handlers

  close(): void {
    this.#topics.clear()
    this.#stop?.()
    this.#stop = undefined
  }

  #publish(block: LedgerBlock): void {
    for (const [subscription, topic] of this.#topics) {
      for (const data of notificationsOf(topic, block, this.#ledger.params.addressPrefix)) {
        const params = { subscription, topic, data }
        this.#send(JSON.stringify(createJSONRPCNotification(NOTIFICATION_METHOD, params)))
      }
    }
  }
}

function* notificationsOf(topic: Topic, block: LedgerBlock, prefix: string) {
  if (topic === 'blocks') {
    yield blockNotification(block)
    return
  }
  const receipts = block.receipts.filter((receipt) => isOfTopic(topic, receipt))
  for (let from = 0; from < receipts.length; from += RECEIPTS_PER_NOTIFICATION) {
    const part = receipts.slice(from, from + RECEIPTS_PER_NOTIFICATION)
    yield {
      height: block.header.height,
      receipts: part.map((receipt) => receiptView(receipt, prefix)),
    }
  }
}

function isOfTopic(topic: Topic, { body }: Receipt): boolean {
  if (topic === 'rewards') return body.selector === ReceiptKind.reward
  if (topic === 'anchors') return body.selector === ReceiptKind.anchor
  return true
}

function blockNotification({ header, hash, certificate }: LedgerBlock): JsonValue {
  return {
    height: header.height,
    epoch: header.epoch,
    time: header.timeMs,
    hash: bytesToHex(hash),
    header: bytesToHex(HeaderType.serialize(header)),
    certificate: certificate ? bytesToHex(CertificateType.serialize(certificate)) : null,
  }
}
