import { z } from 'zod'
import { noParams } from './json-forms.ts'
import { defineMethod } from './method.ts'

export const topic = z.enum(['blocks', 'receipts', 'rewards', 'anchors'])
export type Topic = z.output<typeof topic>

/** Method name of the notifications that a subscription gives. */
export const NOTIFICATION_METHOD = 'subscription'

export const discoveryMethods = {
  'rpc.discover': defineMethod({
    summary: 'The OpenRPC document of this interface',
    params: noParams,
    result: z.looseObject({ openrpc: z.string(), methods: z.array(z.looseObject({})) }),
    example: {},
  }),
  subscribe: defineMethod({
    summary:
      'Notifications of a topic: each has method "subscription" and params ' +
      '{subscription, topic, data}. blocks: height, hash, header and certificate as SSZ; ' +
      'receipts, rewards and anchors: receipts as receipts_list gives them',
    params: z.strictObject({ topic }),
    result: z.looseObject({ subscription: z.string() }),
    example: { topic: 'blocks' },
    socketOnly: true,
  }),
  unsubscribe: defineMethod({
    summary: 'Ends a subscription',
    params: z.strictObject({ subscription: z.string().max(64) }),
    result: z.looseObject({ ended: z.boolean() }),
    example: { subscription: '1' },
    socketOnly: true,
  }),
} as const
