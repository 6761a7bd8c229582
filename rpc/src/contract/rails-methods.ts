import { RailType } from '@ioex/chain/types'
import { z } from 'zod'
import {
  addressText,
  cursor,
  height,
  limit,
  next,
  nodeId,
  prove,
  recordIndex,
  sszHex,
  stateProofs,
  units,
} from './json-forms.ts'
import { defineMethod } from './method.ts'
import { jsonSchemaOf } from './ssz-json.ts'

export const railView = z.looseObject({
  index: recordIndex,
  kind: z.enum(['storage', 'relay']),
  payer: z.string(),
  node: recordIndex,
  contract: recordIndex.nullable(),
  lock: z.looseObject({ time: units, units }),
  rate: z.looseObject({
    price: units.describe('units per GiB-epoch'),
    unitPrice: units.describe('units per GiB moved'),
    reservationPrice: units.describe('units per reservation-hour'),
  }),
  settled: z.looseObject({
    time: units,
    units,
    burned: units,
    validators: units,
    net: units,
    held: units,
    forfeited: units,
    kib: z.int(),
    reservations: z.int(),
  }),
  end: z.int().nullable().describe('epoch in which it ends; null: open'),
  record: jsonSchemaOf(RailType),
  ssz: sszHex,
})

export const railsMethods = {
  rails_list: defineMethod({
    summary: 'Live rails by index, optionally of one payer or node',
    params: z.strictObject({
      payer: addressText.optional(),
      node: nodeId.optional(),
      cursor: cursor.optional(),
      limit: limit.optional(),
      prove: prove.optional(),
    }),
    result: z.looseObject({
      rails: z.array(railView),
      next,
      height,
      proof: stateProofs.optional(),
    }),
    example: { node: 0 },
  }),
  rails_get: defineMethod({
    summary: 'One rail: locks, prices, what was settled, its end',
    params: z.strictObject({ id: recordIndex, prove: prove.optional() }),
    result: railView.extend({ height, proof: stateProofs.optional() }),
    example: { id: 0 },
  }),
} as const
