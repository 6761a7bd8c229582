import { z } from 'zod'
import { noParams } from './json-forms.ts'
import { defineMethod } from './method.ts'

export const nodeMethods = {
  node_getInfo: defineMethod({
    summary: 'This process: version, roles, addresses',
    params: noParams,
    result: z.looseObject({
      version: z.string(),
      network: z.string(),
      chainId: z.string(),
      roles: z.array(z.string()),
      peerId: z.string(),
      addresses: z.array(z.string()),
      startedAt: z.int().describe('milliseconds since 1970'),
      prunedTo: z
        .int()
        .describe('up to this height no openings of proofs are kept; 0: an archive node'),
    }),
    example: {},
  }),
  node_getPeers: defineMethod({
    summary: 'Peers this process is connected to',
    params: noParams,
    result: z.looseObject({
      peers: z.array(
        z.looseObject({
          peerId: z.string(),
          addresses: z.array(z.string()),
          direction: z.enum(['inbound', 'outbound']),
        }),
      ),
    }),
    example: {},
  }),
} as const
