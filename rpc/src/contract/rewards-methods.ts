import { z } from 'zod'
import {
  epochNumber,
  height,
  listProof,
  nodeId,
  prove,
  rewardSteps,
  stateProofs,
  units,
} from './json-forms.ts'
import { defineMethod } from './method.ts'
import { receiptView } from './receipts-methods.ts'

/** Epochs of one summary at most. */
export const SUMMARY_EPOCHS_MAX = 1000

const sums = {
  fees: units.describe('what customers paid for the service'),
  burned: units.describe('phi of the fees'),
  toValidators: units.describe('nu of the fees'),
  net: units.describe("the node's part of the fees, held pay included"),
  held: units.describe('held back until it covers repair'),
  released: units.describe('held pay given out by clean closes'),
  forfeited: units.describe('held pay lost by eviction or declared loss'),
  byteFees: units.describe('byte fees of its redeems, burned'),
  debtPaid: units.describe('byte fees of its proofs, burned'),
  paid: units.describe('moved to the payout address: proceeds - byteFees - debtPaid'),
  subsidy: units.describe('minted for the fees of the epoch'),
  forfeits: z.int().describe('intervals lost to missed challenges'),
}
export const rewardSums = z.looseObject(sums)

const share = z.int().describe('in 1/10,000')

export const rewardsMethods = {
  rewards_getStatement: defineMethod({
    summary: "A node's earnings of an epoch, with every receipt and all inputs of the formula",
    params: z.strictObject({ node: nodeId, epoch: epochNumber, prove: prove.optional() }),
    result: z.looseObject({
      node: z.string(),
      epoch: epochNumber,
      ...sums,
      subsidyState: z
        .enum(['none', 'pending', 'credited'])
        .describe('pending: credited at the next touch of the node after the epoch'),
      receipts: z.array(receiptView),
      inputs: z.looseObject({
        phi: share,
        nu: share,
        rho: share,
        epochFees: units.describe('F(e)'),
        epochBurned: units.describe('burned(e)'),
        emission: units.describe('M(e); 0 before the epoch is closed'),
        emissionCap: units,
        closed: z.boolean(),
      }),
      height,
      proof: z
        .looseObject({
          epoch: stateProofs.describe("the epoch's record: F, M, reward root"),
          fee: z
            .looseObject({ node: z.string(), fee: units, steps: rewardSteps })
            .nullable()
            .describe(
              "the node's leaf in the epoch's reward tree, whose fee is the sum over its " +
                'receipts; null: it has none, or the epoch is open',
            ),
          receipts: z.array(listProof).describe('one for each receipt, in order'),
        })
        .optional(),
    }),
    example: { node: 0, epoch: 1 },
  }),
  rewards_getSummary: defineMethod({
    summary: "A node's earnings over a range of epochs; epochs without receipts are left out",
    params: z
      .strictObject({ node: nodeId, fromEpoch: epochNumber, toEpoch: epochNumber })
      .refine((range) => range.toEpoch >= range.fromEpoch, {
        message: 'toEpoch lies before fromEpoch',
      })
      .refine((range) => range.toEpoch - range.fromEpoch < SUMMARY_EPOCHS_MAX, {
        message: `ask for at most ${SUMMARY_EPOCHS_MAX} epochs`,
      }),
    result: z.looseObject({
      node: z.string(),
      fromEpoch: epochNumber,
      toEpoch: epochNumber,
      epochs: z.array(z.looseObject({ epoch: epochNumber, ...sums })),
      totals: rewardSums,
      height,
    }),
    example: { node: 0, fromEpoch: 1, toEpoch: 10 },
  }),
  rewards_getEpoch: defineMethod({
    summary: 'Totals of an epoch over all nodes, and the root of its reward tree',
    params: z.strictObject({ epoch: epochNumber, prove: prove.optional() }),
    result: z.looseObject({
      epoch: epochNumber,
      totals: z.looseObject({ fees: units, toValidators: units, proofs: z.int() }),
      minted: units,
      burned: units,
      emission: units,
      root: z.string(),
      count: z.int(),
      closed: z.boolean(),
      height,
      proof: stateProofs.optional().describe("of the epoch's record"),
    }),
    example: { epoch: 1 },
  }),
} as const
