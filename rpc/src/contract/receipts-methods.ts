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
    summary: 'One receipt by id, with the proof that its block holds it',
    params: z.strictObject({ id: hashText, prove: prove.optional() }),
    result: z.looseObject({ receipt: receiptView, proof: listProof.optional() }),
    example: { id: '0f'.repeat(32) },
  }),
} as const
