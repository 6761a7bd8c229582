import { z } from 'zod'
import {
  addressText,
  cursor,
  epochNumber,
  hashText,
  height,
  limit,
  next,
  prove,
  sszHex,
  stateProofs,
  units,
} from './json-forms.ts'
import { defineMethod } from './method.ts'

const depositState = z.enum(['credited', 'failed', 'orphaned', 'replaced'])
const proof = stateProofs.optional()

/** A deposit as the ledger recorded it. */
export const depositView = z.looseObject({
  index: z.int(),
  mainTxid: z.string().describe('main-chain transaction as wallets show it (turned round)'),
  mainTransaction: z.string().describe('the same, internal byte order'),
  mainHeight: z.int(),
  confirmations: z.int().describe('main blocks from its own to the recorded tip, inclusive'),
  state: depositState.describe(
    'failed: to be refunded on the main chain; orphaned: credited, then its main block was ' +
      'replaced; replaced: proven again, see the newer record',
  ),
  failure: z.enum(['none', 'address', 'amount', 'form', 'supply']),
  amount: units,
  entries: z.int(),
  height: height.describe('side-chain block that recorded it'),
  ssz: sszHex,
})

export const withdrawalView = z.looseObject({
  index: z.int(),
  id: z.string().describe('transaction that burned the units'),
  owner: z.string(),
  to: z.string().describe('main-chain address'),
  output: units.describe('units burned here'),
  amount: units.describe('sela that the address gets there'),
  height,
  epoch: epochNumber.describe('the checkpoint of this epoch lists it'),
  state: z.enum(['listed', 'returned']),
  /** State of the anchor of the checkpoint that lists it. */
  anchor: z.enum(['none', 'submitted', 'confirmed', 'final']),
  ssz: sszHex,
})

const pegStatus = z.looseObject({
  height,
  depositAddress: z.string().describe('X address that deposits are paid to on the main chain'),
  depositConfirmations: z.int().describe('main blocks until a deposit is credited, at present'),
  feeMin: units.describe('what each way costs: the difference between output and amount'),
  deposited: units,
  withdrawn: units,
  unbacked: units.describe('credited, but replaced on the main chain by a reorganisation'),
  reserve: units.describe('what may still be withdrawn: deposited - withdrawn - unbacked'),
  paused: z.boolean(),
  cause: z.enum(['vote', 'reorganisation']).nullable(),
  pauseVotes: z.array(z.int()).describe('validators that want the opposite of `paused`'),
  returnVotes: z.array(z.object({ validator: z.int(), withdrawal: z.int() })),
  day: z.looseObject({
    number: z.int(),
    endsWithEpoch: epochNumber,
    withdrawn: units,
    allowance: units.describe('units that may still be withdrawn on this day'),
  }),
  deposits: z.int(),
  withdrawals: z.int(),
  mainTipHeight: z.int(),
  proof,
})

export const pegMethods = {
  peg_getStatus: defineMethod({
    summary: 'The peg with the main chain: deposit address, reserve, daily cap, pause',
    params: z.strictObject({ prove: prove.optional() }),
    result: pegStatus,
    example: {},
  }),
  peg_listDeposits: defineMethod({
    summary: 'Deposits in the order in which they were recorded, credited and failed ones',
    params: z.strictObject({
      state: depositState.optional(),
      cursor: cursor.optional(),
      limit: limit.optional(),
    }),
    result: z.looseObject({ deposits: z.array(depositView), next, height }),
    example: {},
  }),
  peg_getDeposit: defineMethod({
    summary:
      'What became of a main-chain transaction: recorded, waiting for confirmations in the ' +
      'main chain that this node follows, or unknown',
    params: z
      .strictObject({
        txid: hashText.optional().describe('as main-chain wallets show it'),
        mainTransaction: hashText.optional().describe('internal byte order'),
        prove: prove.optional(),
      })
      .refine((given) => (given.txid === undefined) !== (given.mainTransaction === undefined), {
        message: 'give txid or mainTransaction',
      }),
    result: z.looseObject({
      state: z.enum(['recorded', 'waiting', 'unknown']),
      deposit: depositView.nullable(),
      credits: z.array(z.looseObject({ account: z.string(), amount: units })),
      waiting: z
        .looseObject({ mainHeight: z.int(), confirmations: z.int(), needed: z.int() })
        .nullable(),
      height,
      proof,
    }),
    example: { txid: '0f'.repeat(32) },
  }),
  peg_listWithdrawals: defineMethod({
    summary: 'Withdrawals to the main chain in order; of an epoch: those its checkpoint lists',
    params: z.strictObject({
      epoch: epochNumber.optional(),
      owner: addressText.optional(),
      cursor: cursor.optional(),
      limit: limit.optional(),
    }),
    result: z.looseObject({ withdrawals: z.array(withdrawalView), next, height }),
    example: {},
  }),
  peg_getWithdrawal: defineMethod({
    summary: 'One withdrawal by the id of its transaction',
    params: z.strictObject({ id: hashText, prove: prove.optional() }),
    result: withdrawalView.extend({ proof }),
    example: { id: '0f'.repeat(32) },
  }),
} as const
