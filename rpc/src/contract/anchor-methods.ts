import { z } from 'zod'
import {
  cursor,
  epochNumber,
  height,
  hexText,
  limit,
  next,
  prove,
  stateProofs,
} from './json-forms.ts'
import { defineMethod } from './method.ts'

export const anchorStateName = z.enum(['none', 'submitted', 'confirmed', 'final'])
const method = z.enum(['memo', 'sideChainPow'])

export const anchorView = z.looseObject({
  epoch: epochNumber,
  checkpointHash: z.string(),
  state: anchorStateName,
  mainHeight: z.int(),
  mainHash: z.string().describe('main block, internal byte order'),
  mainTransaction: z.string().describe('main-chain transaction, internal byte order'),
  confirmations: z.int().describe('main blocks from the carrier to the recorded tip, inclusive'),
  method,
  receipt: z.string(),
  height: height.describe('side-chain block that recorded it'),
})

export const anchorMethods = {
  anchor_getStatus: defineMethod({
    summary: 'The newest anchored epoch and how deep it lies in the main chain',
    params: z.strictObject({}),
    result: z.looseObject({
      epoch: epochNumber.nullable().describe('last anchored epoch; null before the first'),
      currentEpoch: epochNumber,
      lag: z.int().describe('epochs that have ended and have no anchor yet; normal is 0 to 2'),
      mainHeight: z.int().nullable(),
      mainTipHeight: z.int(),
      confirmations: z.int(),
      method: method.nullable().describe('null where this node joined after it was recorded'),
      state: anchorStateName,
      height,
    }),
    example: {},
  }),
  anchor_list: defineMethod({
    summary: 'Anchors in the order in which they were recorded',
    params: z.strictObject({
      fromEpoch: epochNumber.optional().describe('recorded in this epoch or later'),
      cursor: cursor.optional(),
      limit: limit.optional(),
    }),
    result: z.looseObject({ anchors: z.array(anchorView), next, mainTipHeight: z.int() }),
    example: {},
  }),
  anchor_get: defineMethod({
    summary:
      'The earliest anchor that covers an epoch (its own, or that of a later one, which commits ' +
      'to it); prove: with the main-chain transaction, its Merkle branch, and the ' +
      'records that hold what the chain made of it',
    params: z.strictObject({ epoch: epochNumber, prove: prove.optional() }),
    result: anchorView.extend({
      proof: z
        .looseObject({
          transaction: hexText(64 * 1024).describe('raw main-chain transaction'),
          branch: z.array(z.string()).describe('Merkle siblings, internal byte order'),
          branchIndex: z.int(),
          mainHeight: z.int(),
          state: stateProofs.describe("the anchored epoch's record, then the globals"),
        })
        .optional(),
    }),
    example: { epoch: 1 },
  }),
} as const
