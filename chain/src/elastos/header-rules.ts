import { bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { checkAuxPow } from './aux-pow.ts'
import {
  compactToTarget,
  hashMeetsBits,
  INSTANT_POW_LIMIT_BITS,
  POW_LIMIT,
  targetToCompact,
  workOfBits,
} from './difficulty.ts'
import type { InternalHash } from './hash-orientation.ts'
import type { DecodedHeader } from './main-header.ts'

/** Difficulty rules of a main-chain network. */
export interface MainChainParams {
  /** Bits of the first blocks; 0x207fffff switches retargeting off. */
  readonly powLimitBits: number
  readonly targetTimespanSeconds: number
  readonly targetSecondsPerBlock: number
  /** Largest factor by which one retarget may change the target. */
  readonly adjustmentFactor: number
}

export const ELASTOS_MAIN_NET: MainChainParams = {
  powLimitBits: 0x1f0008ff,
  targetTimespanSeconds: 24 * 3600,
  targetSecondsPerBlock: 120,
  adjustmentFactor: 4,
}
/** Elastos' regnet: blocks at once, no retarget. */
export const ELASTOS_REG_NET: MainChainParams = {
  powLimitBits: INSTANT_POW_LIMIT_BITS,
  targetTimespanSeconds: 10,
  targetSecondsPerBlock: 1,
  adjustmentFactor: 4,
}

/** Headers whose median time a new header must pass. */
export const MEDIAN_TIME_HEADERS = 11
/** How far a header may be ahead of the clock before a node holds it back. */
const FUTURE_SECONDS_MAX = 2 * 3600

/** What must be known of the chain below a header to check it. */
export interface HeaderContext {
  readonly previous: {
    readonly hash: InternalHash
    readonly height: number
    readonly time: number
    readonly bits: number
  }
  /** Times of the last headers up to and with the previous one, oldest first; at most 11. */
  readonly lastTimes: readonly number[]
  /**
   * Time of the first header of the retarget window that the previous one belongs to: of height
   * floor(previous height / window) x window. Read only where a window ends.
   */
  readonly windowFirstTime: number
}

/** Headers between two retargets: 720 on the main net. */
export function retargetWindow(params: MainChainParams): number {
  return Math.floor(params.targetTimespanSeconds / params.targetSecondsPerBlock)
}

export function medianTime(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

/** The bits that the header after `context.previous` must carry. */
export function expectedBits(context: HeaderContext, params: MainChainParams): number {
  const { previous } = context
  if (previous.height === 0 || params.powLimitBits === INSTANT_POW_LIMIT_BITS) {
    return params.powLimitBits
  }
  if ((previous.height + 1) % retargetWindow(params) !== 0) return previous.bits
  // Unsigned, as the reference node subtracts: a window that ran backwards counts as very long.
  const elapsed = (previous.time - context.windowFirstTime) >>> 0
  const span = params.targetTimespanSeconds
  const least = Math.floor(span / params.adjustmentFactor)
  const most = span * params.adjustmentFactor
  const clamped = Math.min(Math.max(elapsed, least), most)
  const target = (compactToTarget(previous.bits) * BigInt(clamped)) / BigInt(span)
  return targetToCompact(target > POW_LIMIT ? POW_LIMIT : target)
}

/**
 * Every rule by which a header follows from the chain below it: link, height, median time, bits,
 * AuxPow with chain id 1224, work. No clock: see `isTooFarAhead`. Returns the work it adds.
 */
export function checkHeader(
  decoded: DecodedHeader,
  context: HeaderContext,
  params: MainChainParams,
): Result<{ readonly work: bigint }> {
  const { header } = decoded
  const { previous } = context
  if (!bytesEqual(header.previous, previous.hash)) {
    return fault('MAIN_HEADER_PREVIOUS', 'the header does not follow the previous one')
  }
  if (header.height !== previous.height + 1) {
    return fault('MAIN_HEADER_HEIGHT', `height ${header.height} follows ${previous.height}`)
  }
  if (header.timestamp <= medianTime(context.lastTimes)) {
    return fault('MAIN_HEADER_TIME', 'the time is not after the median of the last 11 headers')
  }
  const bits = expectedBits(context, params)
  if (header.bits !== bits) {
    return fault('MAIN_HEADER_BITS', 'the difficulty is not the one that the chain demands', {
      height: header.height,
      bits: header.bits,
      expected: bits,
    })
  }
  if (!hashMeetsBits(decoded.bitcoinParentHash, header.bits)) {
    return fault('MAIN_HEADER_WORK', 'the Bitcoin header does not meet the target')
  }
  const committed = checkAuxPow(decoded.auxPow, decoded.hash)
  return committed.ok ? ok({ work: workOfBits(header.bits) }) : committed
}

/** The soft rule on future times; a matter of the node's clock, never of validity. */
export function isTooFarAhead(timestamp: number, nowSeconds: number): boolean {
  return timestamp > nowSeconds + FUTURE_SECONDS_MAX
}

/** The context after a genesis block, which is trusted by its hash. */
export function genesisContext(genesis: Pick<DecodedHeader, 'header' | 'hash'>): HeaderContext {
  const { height, timestamp, bits } = genesis.header
  return {
    previous: { hash: genesis.hash, height, time: timestamp, bits },
    lastTimes: [timestamp],
    windowFirstTime: timestamp,
  }
}

/** The context that a checked header leaves for the one after it. */
export function advanceContext(
  context: HeaderContext,
  decoded: DecodedHeader,
  params: MainChainParams,
): HeaderContext {
  const { timestamp, height, bits } = decoded.header
  return {
    previous: { hash: decoded.hash, height, time: timestamp, bits },
    lastTimes: [...context.lastTimes, timestamp].slice(-MEDIAN_TIME_HEADERS),
    windowFirstTime: height % retargetWindow(params) === 0 ? timestamp : context.windowFirstTime,
  }
}
