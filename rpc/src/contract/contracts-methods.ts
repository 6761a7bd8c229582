import { ContractType } from '@ioex/chain/types'
import { z } from 'zod'
import {
  addressText,
  cursor,
  epochNumber,
  hashText,
  height,
  hexText,
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
    z.looseObject({
      slot: z.int(),
      rail: recordIndex.nullable(),
      root: z.string().nullable(),
      refill: z.int().optional().describe('how many times it was refilled'),
    }),
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
  contracts_open: defineMethod({
    summary:
      "Opens a contract with the money of the node's owner: locks the caps for the whole term. " +
      'Waits until it is final; grants and uploads are a storage client’s work',
    params: z.strictObject({
      dataShards: z.int().min(1).max(255),
      totalShards: z.int().min(1).max(255),
      slotBytes: z
        .int()
        .min(256)
        .max(2 ** 30)
        .describe('of each slot, a multiple of 256'),
      priceCap: units.describe('units per GiB-epoch'),
      unitPriceCap: units.describe('units per GiB moved'),
      termEpochs: z.int().min(1),
      lockUnits: units.optional().describe('traffic budget of each slot, units'),
      pot: units.optional().describe('for repair, units'),
      delegate: addressText.optional().describe('who may grant refills'),
      delegateFee: units.optional().describe('per refill, units'),
      trustsDelegate: z
        .boolean()
        .optional()
        .describe('it may spend the pot beyond what lost slots forfeit'),
      salt: hashText.optional(),
      label: hexText(512).optional(),
    }),
    result: z.looseObject({
      transaction: z.string(),
      cost: units.describe('locked and prepaid, beside the fee of the transaction'),
      payer: z.string().nullable(),
      contract: contractView.nullable().describe('null: not final within the wait'),
      height: height.nullable(),
    }),
    example: {
      dataShards: 2,
      totalShards: 6,
      slotBytes: 65_536,
      priceCap: '100000000',
      unitPriceCap: '1000000',
      termEpochs: 24,
    },
    token: true,
    waits: true,
  }),
  contracts_list: defineMethod({
    summary: 'Live contracts by index, optionally of one payer or with slots that nobody stores',
    params: z.strictObject({
      payer: addressText.optional(),
      open: z
        .boolean()
        .optional()
        .describe('only active ones with a lost slot, an evicted node or a notice'),
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
      'act-now: k or fewer. Challenges are decided up to `epoch`, as the next touch of each node ' +
      'will; each slot names the newest decided one',
    params: z.strictObject({ id: recordIndex, prove: prove.optional() }),
    result: z.looseObject({
      contract: recordIndex,
      health: z.enum(['safe', 'degraded', 'act-now']),
      live: z.int(),
      k: z.int(),
      n: z.int(),
      height,
      proof: stateProofs
        .optional()
        .describe(
          'asked for with prove: the contract, then the rail and the node of each filled slot; ' +
            'challenges since the node was touched follow from the epochs',
        ),
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
