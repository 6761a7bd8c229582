import { fromHex } from '../bytes/hex.ts'
import type { AuxPow } from './aux-pow.ts'
import { BITCOIN_HEADER_BYTES } from './bitcoin.ts'
import { encodeBlock } from './block.ts'
import {
  asInternalHash,
  doubleHash,
  type InternalHash,
  ZERO_INTERNAL_HASH,
} from './hash-orientation.ts'
import { merkleRoot } from './merkle.ts'
import { AttributeUsage, encodeTransaction, type MainTransaction } from './transaction.ts'
import { PROGRAM_HASH_BYTES } from './transaction-output.ts'
import { TransactionKind } from './transaction-payload.ts'

/** Id of the transaction that registers ELA; the same on every network. */
export const ELA_ASSET_ID: InternalHash = asInternalHash(
  fromHex('b037db964a231458d2d6ffd5ea18944c4f90e63d547c5d3b9874df66a4ead0a3'),
)
export const COINBASE_PAYLOAD_VERSION = 4

/** Nonce of the genesis coinbase of every Elastos network. */
const COINBASE_NONCE = fromHex('4d65822107fcfd52')
/** A Bitcoin transaction without inputs and outputs. */
const EMPTY_COINBASE_BYTES = 10

const EMPTY_PROOF: AuxPow = {
  parentCoinbase: new Uint8Array(EMPTY_COINBASE_BYTES),
  parentHash: ZERO_INTERNAL_HASH,
  parentBranch: [],
  parentIndex: 0,
  auxBranch: [],
  auxIndex: 0,
  parentHeader: new Uint8Array(BITCOIN_HEADER_BYTES),
}

/** Hashes of Elastos' own genesis blocks, in internal order: main, and test with regression net. */
export const ELASTOS_GENESIS_HASHES: readonly InternalHash[] = [
  '8d7014f2f941caa1972c8033b2f0a860ec8d4938b12bae2c62512852a558f405',
  'b3314f465ea5556d570bcc473d59a0855b4405a25b1ea0c957c81b2920be1864',
].map((hex) => asInternalHash(fromHex(hex)))

export interface GenesisAllocation {
  /** 21 bytes: who may spend it. */
  readonly programHash: Uint8Array
  readonly sela: bigint
}

export interface GenesisBlockOptions {
  readonly allocations: readonly GenesisAllocation[]
  /** Seconds since 1970. */
  readonly timestamp: number
  readonly bits: number
  readonly nonce: number
}

const registerEla: MainTransaction = {
  version: 0,
  type: TransactionKind.registerAsset,
  payloadVersion: 0,
  payload: {
    kind: 'register-asset',
    name: 'ELA',
    description: '',
    precision: 8,
    assetType: 0,
    recordType: 0,
    amount: 0n,
    controller: new Uint8Array(PROGRAM_HASH_BYTES),
  },
  attributes: [],
  inputs: [],
  outputs: [],
  lockTime: 0,
  programs: [],
}

function genesisCoinbase(allocations: readonly GenesisAllocation[]): MainTransaction {
  return {
    version: 0,
    type: TransactionKind.coinbase,
    payloadVersion: COINBASE_PAYLOAD_VERSION,
    payload: { kind: 'coinbase', content: new Uint8Array(0) },
    attributes: [{ usage: AttributeUsage.nonce, data: COINBASE_NONCE }],
    inputs: [{ transactionId: ZERO_INTERNAL_HASH, index: 0, sequence: 0 }],
    outputs: allocations.map(({ programHash, sela }) => ({
      assetId: ELA_ASSET_ID,
      value: sela,
      outputLock: 0,
      programHash,
      payload: { kind: 'none' },
    })),
    lockTime: 0,
    programs: [],
  }
}

/**
 * The raw genesis block of a main chain: a coinbase that pays the allocations, the registration
 * of ELA, and an empty proof, since it is trusted by its hash. A pure function of its options:
 * with Elastos' own values it gives Elastos' own genesis blocks.
 */
export function buildGenesisBlock(options: GenesisBlockOptions): Uint8Array {
  const raws = [genesisCoinbase(options.allocations), registerEla].map((transaction) =>
    encodeTransaction(transaction),
  )
  // Without programs the raw form is the unsigned one and a zero count.
  const ids = raws.map((raw) => doubleHash(raw.subarray(0, raw.length - 1)))
  const header = {
    version: 0,
    previous: ZERO_INTERNAL_HASH,
    merkleRoot: merkleRoot(ids),
    timestamp: options.timestamp,
    bits: options.bits,
    nonce: options.nonce,
    height: 0,
  }
  return encodeBlock(header, EMPTY_PROOF, raws)
}
