import { ContractType } from '@ioex/chain/types'
import { z } from 'zod'
import {
  addressText,
  cursor,
  epochNumber,
  height,
  limit,
  next,
  prove,
  recordIndex,
  sszHex,
  stateProofs,
  units,
} from './json-forms.ts'
import { defineMethod } from './method.ts'
import { jsonSchemaOf } from './ssz-json.ts'

export const contractView = z.looseObject({
  index: recordIndex,
  payer: z.string(),
  k: z.int(),
  n: z.int(),
  active: z.boolean(),
  openEpoch: epochNumber.nullable(),
  term: epochNumber.nullable(),
  pot: units,
  /** The record itself. */
  contract: jsonSchemaOf(ContractType),
  rails: z.array(recordIndex).describe('rails of its filled slots'),
  slots: z.array(
    z.looseObject({ slot: z.int(), rail: recordIndex.nullable(), root: z.string().nullable() }),
  ),
  ssz: sszHex,
})

/** What the ledger knows of a slot. Waiting, proven and leaving slots count as live. */
export const slotState = z.enum([
  'empty',
  'waiting',
  'proven',
  'missed',
  'leaving',
  'lost',
  'ended',
  'evicted',
])

export const contractsMethods = {
  contracts_list: defineMethod({
    summary: 'Live contracts by index, optionally of one payer',
    params: z.strictObject({
      payer: addressText.optional(),
      cursor: cursor.optional(),
      limit: limit.optional(),
      prove: prove.optional(),
    }),
    result: z.looseObject({
      contracts: z.array(contractView),
      next,
      height,
      proof: stateProofs.optional(),
    }),
    example: {},
  }),
  contracts_get: defineMethod({
    summary: 'One contract with its slots and rails',
    params: z.strictObject({ id: recordIndex, prove: prove.optional() }),
    result: contractView.extend({ height, proof: stateProofs.optional() }),
    example: { id: 0 },
  }),
  contracts_health: defineMethod({
    summary:
      'Can the file be restored? safe: more than (n+k)/2 slots live; degraded: repair is due; ' +
      'act-now: k or fewer. Each slot names the resolved challenge that shows it',
    params: z.strictObject({ id: recordIndex }),
    result: z.looseObject({
      contract: recordIndex,
      health: z.enum(['safe', 'degraded', 'act-now']),
      live: z.int(),
      k: z.int(),
      n: z.int(),
      height,
      epoch: epochNumber,
      slots: z.array(
        z.looseObject({
          slot: z.int(),
          state: slotState,
          rail: recordIndex.nullable(),
          node: recordIndex.nullable(),
          strikes: z.int().nullable(),
          /** The newest resolution of the node's challenges. */
          proof: z
            .looseObject({
              epoch: epochNumber.nullable(),
              A: epochNumber.nullable(),
              P: epochNumber.nullable(),
              passed: z.boolean(),
            })
            .nullable(),
        }),
      ),
    }),
    example: { id: 0 },
  }),
} as const
