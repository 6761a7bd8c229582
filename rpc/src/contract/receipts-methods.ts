import { ReceiptBodyType, ReceiptKind } from '@ioex/chain/types'
import { z } from 'zod'
import {
  cursor,
  epochNumber,
  hashText,
  height,
  limit,
  listProof,
  next,
  nodeId,
  prove,
  recordIndex,
  sszHex,
  units,
} from './json-forms.ts'
import { defineMethod } from './method.ts'
import { jsonSchemaOf } from './ssz-json.ts'

const kinds = Object.keys(ReceiptKind) as [keyof typeof ReceiptKind]
export const receiptType = z.enum(kinds)

/** A receipt for readers; `ssz` holds the whole of it. */
export const receiptView = z.looseObject({
  id: z.string(),
  type: receiptType,
  height,
  epoch: epochNumber,
  transaction: z.int().nullable().describe('index in the block; null: left by the block itself'),
  index: z.int(),
  body: jsonSchemaOf(ReceiptBodyType),
  ssz: sszHex,
})
export type ReceiptView = z.output<typeof receiptView>

/** A forfeit worked out: replay it from headers with docs/protocol/challenges.md. */
const forfeitExplanation = z.looseObject({
  node: z.string(),
  epoch: epochNumber.describe('of the challenge'),
  strikes: z.int(),
  strikesToEvict: z.int(),
  fromEpoch: epochNumber,
  toEpoch: epochNumber.describe('the epochs from..to are not paid'),
  beacon: z.string(),
  beaconBlock: height.nullable().describe('block that fixed the beacon; null: beyond the ring'),
  checkpointBlock: height.describe('block whose hash the beacon holds'),
  checkpointHash: z.string().nullable(),
  seed: z.string().describe('H(beacon, node)'),
  draw: units.describe('first 8 bytes of the seed'),
  rate: units.describe('what the draw had to be below, of 2^64'),
  firstBlock: height,
  lastBlock: height.describe('a proof was valid from firstBlock to lastBlock'),
  inventoryRoot: z.string(),
  inventorySum: units,
  openings: z.array(
    z.looseObject({
      opening: z.int(),
      position: units,
      entry: z.int().nullable().describe('null: this node does not keep that inventory any more'),
      rail: recordIndex.nullable(),
      leaf: z.int().nullable(),
    }),
  ),
})
export const receiptExplanation = z.looseObject({
  kind: z.enum(['forfeit', 'eviction', 'held-pay-lost']),
  forfeits: z.array(forfeitExplanation).describe('of an eviction: its strikes, oldest first'),
})
export type ReceiptExplanation = z.output<typeof receiptExplanation>

export const receiptsMethods = {
  receipts_list: defineMethod({
    summary: 'Receipts, oldest first; all given conditions hold',
    params: z.strictObject({
      node: nodeId.optional(),
      rail: recordIndex.optional(),
      contract: recordIndex.optional(),
      type: receiptType.optional(),
      fromEpoch: epochNumber.optional(),
      toEpoch: epochNumber.optional(),
      cursor: cursor.optional(),
      limit: limit.optional(),
    }),
    result: z.looseObject({ receipts: z.array(receiptView), next }),
    example: { type: 'storage', fromEpoch: 1, toEpoch: 2 },
  }),
  receipts_get: defineMethod({
    summary:
      'One receipt by id, with the proof that its block holds it; with `explain`, how a forfeit ' +
      'or an eviction came about',
    params: z.strictObject({
      id: hashText,
      prove: prove.optional(),
      explain: z.boolean().optional(),
    }),
    result: z.looseObject({
      receipt: receiptView,
      proof: listProof.optional(),
      explanation: receiptExplanation
        .nullable()
        .optional()
        .describe('null: the receipt carries all its inputs'),
    }),
    example: { id: '0f'.repeat(32) },
  }),
} as const
