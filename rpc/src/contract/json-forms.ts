import { z } from 'zod'

/** Bounds that the server and its clients agree on. */
export const BATCH_CALLS_MAX = 100
export const PAGE_ITEMS_MAX = 200
export const PAGE_ITEMS_DEFAULT = 50
export const WAIT_MS_MAX = 30_000

/** Hex without a fixed length, pairs of digits, an optional 0x in front. */
export const hexText = (maxBytes: number) =>
  z
    .string()
    .max(maxBytes * 2 + 2)
    .regex(/^(0x)?(?:[0-9a-fA-F]{2})*$/, 'give hex text: pairs of the digits 0-9 and a-f')

/**
 * SSZ bytes as the server writes them. A capturing group would take a place on the stack for each
 * byte, and an answer of some megabytes would overflow it.
 */
export const sszHex = z.string().regex(/^(?:[0-9a-f]{2})*$/)

export const hashText = z
  .string()
  .regex(/^(0x)?[0-9a-fA-F]{64}$/, 'give a hash or id: 64 hex digits (32 bytes)')

export const addressText = z
  .string()
  .min(8)
  .max(90)
  .describe('bech32m address of this network, e.g. ioex1q…')

/** Whole units (1 IOEX = 10^8 units) as a decimal string, so that no JSON reader rounds it. */
export const units = z.string().regex(/^[0-9]{1,39}$/)

export const height = z.int().min(0)
export const epochNumber = z.int().min(0).max(0xffff_fffe)
export const recordIndex = z.int().min(0).max(0xffff_fffe)

/** A node by its index or by its node key's address. */
export const nodeId = z
  .union([recordIndex, addressText])
  .describe("a node: its index, or its node key's address")

export const cursor = z
  .string()
  .max(64)
  .describe('`next` of the previous page; leave it out for the first page')

export const limit = z.int().min(1).max(PAGE_ITEMS_MAX)

/** Where the next page starts; null at the end. */
export const next = z
  .string()
  .nullable()
  .describe('cursor of the next page, null at the end; a page may be short or empty before it')

export const noParams = z.strictObject({})

const hashHex = z.string().regex(/^[0-9a-f]{64}$/)

/** A final header as proofs carry it. */
export const provenHeader = {
  height: height.describe('of the block whose state or lists the proof is about'),
  header: sszHex,
  certificate: sszHex
    .nullable()
    .describe('finality certificate of the header; null: a later certified header covers it'),
}

/**
 * A record of the state with its path to the header's stateRoot (docs/protocol/light-client.md):
 * hash the record's root with `branch` bottom-up. `index` and `count` place it in its table.
 */
export const stateProof = z.looseObject({
  table: z.string(),
  index: z.int().min(0),
  count: z.int().min(0),
  branch: z.array(hashHex).max(64),
  record: sszHex,
})
export type StateProofJson = z.output<typeof stateProof>

/** Records of one final block's state, in the order asked for; null: nothing proves that one. */
export const stateProofs = z.looseObject({
  ...provenHeader,
  records: z.array(stateProof.nullable()),
})
export type StateProofsJson = z.output<typeof stateProofs>

/** A path in an epoch's reward tree in the form of merkletreejs. */
export const rewardSteps = z
  .array(z.looseObject({ position: z.enum(['left', 'right']), data: hashHex }))
  .max(64)

export const prove = z.boolean().describe('also give the proof up to a certified header')

/**
 * Proof that a leaf stands in a list committed by a header field: hash `leaf` with `branch`
 * bottom-up (bit i of `index` set: the sibling is on the left); the last sibling is the list's
 * length. The outcome is `root`, which is the named field of `header`.
 */
export const listProof = z.looseObject({
  field: z.enum(['txRoot', 'receiptRoot']),
  leaf: z.string(),
  index: z.int(),
  branch: z.array(z.string()),
  root: z.string(),
  height,
  header: sszHex,
  certificate: sszHex
    .nullable()
    .describe('finality certificate of the header; null: a later certified header covers it'),
})
export type ListProofJson = z.output<typeof listProof>
