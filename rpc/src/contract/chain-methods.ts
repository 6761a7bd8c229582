import { AccountType, EpochType, HeaderType, TransactionType } from '@ioex/chain/types'
import { z } from 'zod'
import {
  addressText,
  epochNumber,
  hashText,
  height,
  hexText,
  listProof,
  noParams,
  prove,
  provenHeader,
  recordIndex,
  sszHex,
  stateProofs,
  units,
  WAIT_MS_MAX,
} from './json-forms.ts'
import { defineMethod } from './method.ts'
import { receiptView } from './receipts-methods.ts'
import { jsonSchemaOf } from './ssz-json.ts'

/** Certified headers given by one call at most. */
export const HEADERS_MAX = 64
/** Raw blocks given by one call: at most this many, and at most this many bytes of SSZ. */
export const RAW_BLOCKS_MAX = 256
/** Records proven by one call at most. */
export const RECORDS_MAX = 256
/** Epoch proofs given by one call at most. */
export const EPOCH_PROOFS_MAX = 256
export const RAW_BLOCKS_BYTES_MAX = 4 * 1024 * 1024

/** A table of the state (PROTOCOL 2), `peg` or `globals`. */
const tableName = z.string().max(32)

const HASH_EXAMPLE = '0f'.repeat(32)
const ADDRESS_EXAMPLE = 'lioex1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqazslcv'
const waitMs = z.int().min(0).max(WAIT_MS_MAX)

const transactionStatus = z.looseObject({
  id: z.string(),
  state: z.enum(['final', 'pending', 'unknown']),
  transaction: jsonSchemaOf(TransactionType).nullable(),
  height: height.nullable(),
  index: z.int().nullable().describe('position among the transactions of its block'),
  receipts: z.array(receiptView),
  ssz: sszHex.nullable(),
  proof: listProof.optional(),
  receiptProofs: z.array(listProof).optional().describe('one for each receipt, in order'),
})

const chainStatus = z.looseObject({
  chainId: z.string(),
  network: z.string(),
  height,
  hash: z.string(),
  time: z.int().describe('time of the newest block, milliseconds since 1970'),
  epoch: epochNumber,
  targetHeight: height,
  baseFee: units.describe('base fee of the next block, units per byte'),
  peers: z.int(),
  syncing: z.boolean(),
})

const block = z.looseObject({
  height,
  hash: z.string(),
  header: jsonSchemaOf(HeaderType),
  certificate: z.looseObject({}).nullable().describe('null: a later block covers this one'),
  transactions: z.array(
    z.union([z.string(), z.looseObject({ id: z.string(), transaction: z.looseObject({}) })]),
  ),
  receipts: z.array(z.union([z.string(), receiptView])),
  ssz: z.object({ header: sszHex, certificate: sszHex.nullable() }),
})

const account = z.looseObject({
  address: z.string(),
  exists: z.boolean(),
  balance: units,
  bond: units,
  nonce: z.int(),
  height,
  account: jsonSchemaOf(AccountType).nullable(),
  ssz: sszHex.nullable(),
  proof: stateProofs
    .optional()
    .describe('of the account, or of the one before it whose nextAddress shows that it is absent'),
})

const supply = z.looseObject({
  height,
  genesis: units,
  deposited: units,
  minted: units,
  burned: units,
  withdrawn: units,
  circulating: units,
  burns: z.looseObject({ service: units, baseFee: units, forfeit: units, slash: units }),
  reserve: units,
  proof: stateProofs.optional().describe('of globals and peg'),
})

const validators = z.looseObject({
  epoch: epochNumber,
  validators: z.array(
    z.looseObject({
      index: z.int(),
      address: z.string(),
      consensusKey: z.string(),
      power: z.int(),
      bond: units,
      commission: z.int(),
      participation: z.int(),
      jailed: z.boolean(),
      ssz: sszHex,
    }),
  ),
  totalPower: z.int(),
  quorum: z.int().describe('power that a certificate needs: floor(2 x total / 3) + 1'),
  proof: z
    .looseObject({ ...provenHeader, set: sszHex })
    .optional()
    .describe(
      'the set of keys and weights, whose hash is validatorsHash of a header of the epoch, or ' +
        'nextValidatorsHash of a header of the epoch before',
    ),
})

const statusMethods = {
  chain_getStatus: defineMethod({
    summary: 'Where this node stands: chain id, newest final block, peers',
    params: noParams,
    result: chainStatus,
    example: {},
  }),
  chain_getParams: defineMethod({
    summary: 'Every consensus parameter of the network, by name',
    params: noParams,
    result: z.looseObject({
      network: z.string(),
      addressPrefix: z.string(),
      epochBlocks: z.int(),
      blockIntervalMs: z.int().describe('planned time between blocks, milliseconds'),
      baseFeePerByte: units,
    }),
    example: {},
  }),
  chain_getGenesis: defineMethod({
    summary: 'The genesis file, word for word: what an auditor trusts',
    params: noParams,
    result: z.looseObject({ chainId: z.string(), network: z.string(), genesis: z.string() }),
    example: {},
  }),
  chain_getSupply: defineMethod({
    summary: 'Terms of the supply: circulating = genesis + deposited + minted - burned - withdrawn',
    params: z.strictObject({ height: height.optional(), prove: prove.optional() }),
    result: supply,
    example: {},
  }),
  chain_getValidators: defineMethod({
    summary: 'The validator set of an epoch (default: now)',
    params: z.strictObject({ epoch: epochNumber.optional(), prove: prove.optional() }),
    result: validators,
    example: {},
  }),
  chain_getEpoch: defineMethod({
    summary: 'Record of an epoch: beacon, fees, burns, emission, reward root, anchor',
    params: z.strictObject({ epoch: epochNumber, prove: prove.optional() }),
    result: z.looseObject({
      epoch: epochNumber,
      height,
      record: jsonSchemaOf(EpochType),
      ssz: sszHex,
      proof: stateProofs.optional(),
    }),
    example: { epoch: 1 },
  }),
} as const

const blockMethods = {
  chain_getBlock: defineMethod({
    summary: 'A final block by height or hash (default: the newest); full: with its contents',
    params: z
      .strictObject({
        height: height.optional(),
        hash: hashText.optional(),
        full: z.boolean().optional(),
      })
      .refine((given) => given.height === undefined || given.hash === undefined, {
        message: 'give height or hash, not both',
      }),
    result: block,
    example: { height: 1, full: true },
  }),
  chain_getCertifiedHeaders: defineMethod({
    summary:
      'Headers with their finality certificates, for thin clients. waitMs: when `from` is not ' +
      'yet final, wait so long for it',
    params: z.strictObject({ from: height, to: height, waitMs: waitMs.optional() }),
    result: z.looseObject({
      height: height.describe('newest final height of this node'),
      headers: z
        .array(z.object({ height, header: sszHex, certificate: sszHex.nullable() }))
        .max(HEADERS_MAX),
    }),
    example: { from: 1, to: 2 },
    waits: true,
  }),
  chain_getRawBlocks: defineMethod({
    summary: 'Whole blocks as SSZ, for auditors and archives; `next` continues a cut answer',
    params: z.strictObject({
      from: height,
      to: height,
      pruned: z
        .boolean()
        .optional()
        .describe('take blocks without openings too where the node has forgotten them'),
    }),
    result: z.looseObject({
      blocks: z
        .array(
          z.object({
            height,
            header: sszHex,
            body: sszHex,
            /** The body has a root in the place of each list of openings. */
            pruned: z.literal(true).optional(),
            justification: sszHex.nullable(),
            certificate: sszHex.nullable(),
          }),
        )
        .max(RAW_BLOCKS_MAX),
      next: height.nullable(),
    }),
    example: { from: 0, to: 2 },
  }),
} as const

const transactionMethods = {
  chain_getTransaction: defineMethod({
    summary: 'A transaction with its receipts, by id',
    params: z.strictObject({ id: hashText, prove: prove.optional() }),
    result: transactionStatus,
    example: { id: HASH_EXAMPLE },
  }),
  chain_waitTransaction: defineMethod({
    summary: 'As chain_getTransaction, but waits until it is final or the time is over',
    params: z.strictObject({
      id: hashText,
      timeoutMs: waitMs.optional(),
      prove: prove.optional(),
    }),
    result: transactionStatus,
    example: { id: HASH_EXAMPLE, timeoutMs: 0 },
    waits: true,
  }),
  chain_sendTransaction: defineMethod({
    summary: 'Hands in a signed transaction (hex of its SSZ bytes)',
    params: z.strictObject({ transaction: hexText(512 * 1024) }),
    result: z.looseObject({ id: z.string() }),
    example: { transaction: '00' },
  }),
  chain_getAccount: defineMethod({
    summary: 'Balance, bond and nonce of an address; an unused address has zeros',
    params: z.strictObject({ address: addressText, prove: prove.optional() }),
    result: account,
    example: { address: ADDRESS_EXAMPLE },
  }),
  chain_getNonce: defineMethod({
    summary: 'Nonce of the next transaction of an address, counting those that wait',
    params: z.strictObject({ address: addressText }),
    result: z.looseObject({ nonce: z.int() }),
    example: { address: ADDRESS_EXAMPLE },
  }),
} as const

const recordPlace = z.union([
  z.strictObject({ table: tableName, index: recordIndex }),
  z.strictObject({ table: z.enum(['accounts', 'nodes']), address: addressText }),
])

const lightMethods = {
  chain_getRecords: defineMethod({
    summary:
      'Records of the newest final state with proofs, all of one block. For an absent account ' +
      'the one before it, past the end of a table its last record; null: nothing proves it',
    params: z.strictObject({ records: z.array(recordPlace).min(1).max(RECORDS_MAX) }),
    result: stateProofs,
    example: { records: [{ table: 'accounts', address: ADDRESS_EXAMPLE }] },
  }),
  chain_getEpochProofs: defineMethod({
    summary:
      'How epochs hand over: last header, its certificate, the next set if it changes (SSZ of ' +
      'EpochHandover). Fewer than asked for where the newest epoch is still open',
    params: z.strictObject({ from: epochNumber, to: epochNumber }),
    result: z.looseObject({ proofs: z.array(sszHex).max(EPOCH_PROOFS_MAX) }),
    example: { from: 1, to: 2 },
  }),
  chain_getHeaderProof: defineMethod({
    summary: 'An old header with its path under historyRoot of the newest final header',
    params: z.strictObject({ height }),
    result: z.looseObject({
      header: sszHex,
      branch: z.array(z.string().regex(/^[0-9a-f]{64}$/)).max(64),
      under: z.looseObject(provenHeader),
    }),
    example: { height: 1 },
  }),
} as const

export const chainMethods = {
  ...statusMethods,
  ...blockMethods,
  ...transactionMethods,
  ...lightMethods,
} as const
