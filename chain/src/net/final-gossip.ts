import { gossipsub, type GossipSub, StrictNoSign, TopicValidatorResult } from '@libp2p/gossipsub'
import { sha256 } from '../bytes/hash.ts'
import { bytesToHex } from '../bytes/hex.ts'
import type { GossipVerdict } from './transaction-relay.ts'

/** A header and its certificate: 100 signatures and what they stand under. */
export const FINAL_HEADER_BYTES_MAX = 8 * 1024

/** Of peers that are gone. Names are free: an hour of them, the default, is only memory. */
const SCORE_KEPT_MS = 60_000

export type FinalHeaderHandler = (peer: string, message: Uint8Array) => GossipVerdict

/**
 * The gossip service that carries final headers: one message a block for the whole network, which
 * is what a mesh is good at (DESIGN 4); transactions and votes travel on streams of their own.
 */
export const finalGossip = (topic: string) =>
  gossipsub({
    globalSignaturePolicy: StrictNoSign,
    // Others would be kept and passed on unchecked, between strangers, at our expense.
    allowedTopics: [topic],
    allowPublishToZeroTopicPeers: true,
    maxInboundDataLength: FINAL_HEADER_BYTES_MAX + 4096,
    msgIdFn: (message) => sha256(message.data),
    fastMsgIdFn: (message) => bytesToHex(sha256(message.data ?? new Uint8Array(0))),
    // Several nodes of one host are no attack here.
    scoreParams: { IPColocationFactorWeight: 0, retainScore: SCORE_KEPT_MS },
  })

/** Hears the topic from now on; nothing is passed on before the handler has said what it is. */
export function joinTopic(pubsub: GossipSub, topic: string, handler: FinalHeaderHandler): void {
  pubsub.topicValidators.set(topic, (peer, { data }) =>
    data.length > FINAL_HEADER_BYTES_MAX
      ? TopicValidatorResult.Reject
      : results[handler(peer.toString(), data)],
  )
  pubsub.subscribe(topic)
}

const results: { readonly [K in GossipVerdict]: TopicValidatorResult } = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject,
}
