import { concatBytes, fromHex, utf8ToBytes } from '../bytes/hex.ts'
import { type AuxPow, MERGED_MINING_MARKER } from './aux-pow.ts'
import { BITCOIN_HEADER_BYTES, encodeBitcoinHeader, encodeBitcoinTransaction } from './bitcoin.ts'
import { hashMeetsBits } from './difficulty.ts'
import { doubleHash, type InternalHash, ZERO_INTERNAL_HASH } from './hash-orientation.ts'

const NONCE_OFFSET = BITCOIN_HEADER_BYTES - 4
const NONCES = 2 ** 32
const MINER_TAG = utf8ToBytes('/ioeX/')
/** Tree of one chain: size 1, nonce 0. */
const LONE_CHAIN = fromHex('0100000000000000')
const PARENT_VERSION = 0x2000_0000
const U32_MAX = 0xffff_ffff

/** What a merged miner works on. */
export interface MiningJob {
  readonly auxBlockHash: InternalHash
  /** Target that the parent header must meet. */
  readonly bits: number
  /** Time written into the parent header, seconds. */
  readonly timestamp: number
  /** The parent header's own previous hash. */
  readonly parentPrevious: InternalHash
  /** Bytes that make this parent coinbase differ from all others; at most 64. */
  readonly extraNonce: Uint8Array
}

/**
 * A merged miner: wraps the block hash in a Bitcoin coinbase and tries nonces until the parent
 * header meets the target. Undefined if `attemptsMax` nonces were not enough; then change the
 * extra nonce. Each attempt is one double SHA-256.
 */
export function mineAuxPow(job: MiningJob, attemptsMax = NONCES): AuxPow | undefined {
  const parentCoinbase = encodeBitcoinTransaction({
    version: 1,
    inputs: [
      {
        transactionId: ZERO_INTERNAL_HASH,
        index: U32_MAX,
        script: concatBytes(
          fromHex(MERGED_MINING_MARKER),
          job.auxBlockHash,
          LONE_CHAIN,
          MINER_TAG,
          job.extraNonce,
        ),
        sequence: U32_MAX,
      },
    ],
    // OP_TRUE: nobody's coins on a chain that does not exist.
    outputs: [{ value: 0n, script: Uint8Array.of(0x51) }],
    lockTime: 0,
  })
  const parentHeader = encodeBitcoinHeader({
    version: PARENT_VERSION,
    previous: job.parentPrevious,
    merkleRoot: doubleHash(parentCoinbase),
    timestamp: job.timestamp,
    bits: job.bits,
    nonce: 0,
  })
  const view = new DataView(parentHeader.buffer)
  for (let nonce = 0; nonce < Math.min(attemptsMax, NONCES); nonce++) {
    view.setUint32(NONCE_OFFSET, nonce, true)
    const parentHash = doubleHash(parentHeader)
    if (!hashMeetsBits(parentHash, job.bits)) continue
    return {
      parentCoinbase,
      parentHash,
      parentBranch: [],
      parentIndex: 0,
      auxBranch: [],
      auxIndex: 0,
      parentHeader,
    }
  }
  return undefined
}
