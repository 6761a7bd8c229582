import { NodeType } from '@ioex/chain/types'
import { z } from 'zod'
import {
  cursor,
  epochNumber,
  hashText,
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

export const roleName = z.enum(['peer', 'bootstrap', 'validator'])

/** Inventory entries given by one call at most. */
export const INVENTORY_ENTRIES_MAX = 4096

export const nodeView = z.looseObject({
  index: recordIndex,
  address: z.string().describe("the node key's address"),
  owner: z.string(),
  payout: z.string(),
  roles: z.array(roleName),
  offers: z
    .array(z.enum(['storage', 'relay', 'validation']))
    .describe('kinds alone: prices, space, limits and tags stand in the directory of offers'),
  held: units,
  strikes: z.int(),
  provenEpochs: z.int(),
  resolvedEpoch: z.int(),
  bytes: z.int().describe('bytes under contract'),
  evicted: z.boolean(),
  deposit: units.describe('of register, paid back after its roles were given up'),
  exitEpoch: epochNumber.nullable().describe('first epoch without these roles'),
  record: jsonSchemaOf(NodeType),
  ssz: sszHex,
})

export const nodesMethods = {
  nodes_list: defineMethod({
    summary: 'Nodes by index, optionally of one role',
    params: z.strictObject({
      role: roleName.optional(),
      cursor: cursor.optional(),
      limit: limit.optional(),
      prove: prove.optional(),
    }),
    result: z.looseObject({
      nodes: z.array(nodeView),
      next,
      height,
      proof: stateProofs.optional(),
    }),
    example: { role: 'bootstrap' },
  }),
  nodes_get: defineMethod({
    summary: 'One node: held pay, strikes, proven epochs, bytes',
    params: z.strictObject({ id: nodeId, prove: prove.optional() }),
    result: nodeView.extend({ height, proof: stateProofs.optional() }),
    example: { id: 0 },
  }),
  nodes_getInventory: defineMethod({
    summary:
      'Entries of the inventory tree with this root (current or of a snapshot still kept); ' +
      '`ssz` is their SSZ bytes one after the other',
    params: z.strictObject({
      node: nodeId,
      root: hashText,
      from: z.int().min(0).optional(),
      limit: z.int().min(1).max(INVENTORY_ENTRIES_MAX).optional(),
    }),
    result: z.looseObject({
      node: recordIndex,
      count: z.int(),
      entries: z
        .array(
          z.looseObject({
            rail: recordIndex.nullable(),
            generation: epochNumber.nullable(),
            weight: units,
          }),
        )
        .max(INVENTORY_ENTRIES_MAX),
      ssz: sszHex,
      next: z.int().nullable(),
    }),
    example: { node: 0, root: '00'.repeat(32) },
  }),
} as const
