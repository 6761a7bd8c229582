import { concatBytes } from '../bytes/hex.ts'
import { encodeBlock } from '../elastos/block.ts'
import { COINBASE_PAYLOAD_VERSION, ELA_ASSET_ID } from '../elastos/genesis-block.ts'
import type { AuxPow } from '../elastos/aux-pow.ts'
import { type InternalHash, ZERO_INTERNAL_HASH } from '../elastos/hash-orientation.ts'
import { expectedBits, type HeaderContext, medianTime } from '../elastos/header-rules.ts'
import { headerHash, type MainHeader } from '../elastos/main-header.ts'
import { merkleRoot } from '../elastos/merkle.ts'
import {
  AttributeUsage,
  type DecodedTransaction,
  encodeTransaction,
  type MainTransaction,
  transactionId,
} from '../elastos/transaction.ts'
import { TransactionKind } from '../elastos/transaction-payload.ts'
import type { MainChainParams } from '../elastos/header-rules.ts'

const COINBASE_INPUT_INDEX = 0xffff
const COINBASE_SEQUENCE = 0xffff_ffff

/** A block without its proof of work. */
export interface BlockTemplate {
  readonly header: MainHeader
  /** What a merged miner commits to. */
  readonly hash: InternalHash
  /** What the coinbase pays, sela. */
  readonly coinbaseValue: bigint
  readonly rawTransactions: readonly Uint8Array[]
}

export interface TemplateOptions {
  readonly context: HeaderContext
  readonly params: MainChainParams
  readonly transactions: readonly DecodedTransaction[]
  /** Reward and fees together, sela. */
  readonly coinbaseValue: bigint
  /** 21-byte program hash of the miner. */
  readonly payTo: Uint8Array
  readonly nowSeconds: number
  /** 8 bytes that make the coinbase unlike every other. */
  readonly coinbaseNonce: Uint8Array
}

/** The next block on top of the context, paying the miner. */
export function buildBlockTemplate(options: TemplateOptions): BlockTemplate {
  const { context, params } = options
  const height = context.previous.height + 1
  const coinbase: MainTransaction = {
    version: 0,
    type: TransactionKind.coinbase,
    payloadVersion: COINBASE_PAYLOAD_VERSION,
    payload: { kind: 'coinbase', content: new Uint8Array(0) },
    attributes: [{ usage: AttributeUsage.nonce, data: options.coinbaseNonce }],
    inputs: [
      {
        transactionId: ZERO_INTERNAL_HASH,
        index: COINBASE_INPUT_INDEX,
        sequence: COINBASE_SEQUENCE,
      },
    ],
    outputs: [
      {
        assetId: ELA_ASSET_ID,
        value: options.coinbaseValue,
        outputLock: 0,
        programHash: options.payTo,
        payload: { kind: 'none' },
      },
    ],
    lockTime: height,
    programs: [],
  }
  const ids = [transactionId(coinbase), ...options.transactions.map(({ id }) => id)]
  const header: MainHeader = {
    version: 0,
    previous: context.previous.hash,
    merkleRoot: merkleRoot(ids),
    // Faster than one block a second, the median rule, not the clock, decides the time.
    timestamp: Math.max(options.nowSeconds, medianTime(context.lastTimes) + 1),
    bits: expectedBits(context, params),
    nonce: 0,
    height,
  }
  return {
    header,
    hash: headerHash(header),
    coinbaseValue: options.coinbaseValue,
    rawTransactions: [
      encodeTransaction(coinbase),
      ...options.transactions.map(({ raw }) => concatBytes(raw)),
    ],
  }
}

/** The whole block, once a miner has found the proof. */
export function sealTemplate(template: BlockTemplate, auxPow: AuxPow): Uint8Array {
  return encodeBlock(template.header, auxPow, template.rawTransactions)
}
