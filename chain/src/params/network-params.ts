import { assert } from '../bytes/assert.ts'
import { MAIN_HEADERS_PER_TRANSACTION_MAX } from '../types/transactions.ts'

/** Difficulty rules of the main chain that this network follows. */
export interface MainChainRules {
  /** Compact form of the highest allowed target. */
  readonly powLimitBits: number
  readonly targetTimespanSeconds: number
  readonly targetSecondsPerBlock: number
  /** Largest factor by which one retarget may change the difficulty. */
  readonly adjustmentFactor: number
}

/**
 * Every consensus parameter of a network, by name. A value handed down from genesis, never
 * read from a global. All time rules count blocks and epochs; the few milliseconds here pace
 * proposals and never decide validity.
 */
export interface NetworkParams {
  readonly network: string
  /** Human-readable part of bech32m addresses. */
  readonly addressPrefix: string
  readonly protocolVersion: number
  /** Later versions that this program knows, in order; no part of genesis (see paramsAt). */
  readonly forks?: readonly ParamsFork[]

  readonly blockIntervalMs: number
  readonly skipTimeoutMs: number
  /** Growth of the skip timeout per view without finality, in 1/100. */
  readonly skipTimeoutGrowthPercent: number
  readonly skipTimeoutCapMs: number
  readonly rebroadcastMs: number
  readonly clockAheadMs: number
  readonly clockBehindMs: number

  /** Blocks of an epoch; its last block is the checkpoint. */
  readonly epochBlocks: number
  readonly proofWindowEpochs: number
  readonly strikesToEvict: number
  readonly fillDeadlineEpochs: number
  readonly minimumChargeEpochs: number
  readonly graceEpochs: number
  readonly leaveNoticeEpochs: number
  readonly vestingEpochs: number
  readonly termMaxEpochs: number
  readonly hostedAfterEpochs: number

  readonly mainChain: MainChainRules
  readonly mainBlockMs: number
  readonly beaconConfirmations: number
  readonly beaconMarginSeconds: number
  readonly depositConfirmations: number
  readonly anchorConfirmedMainBlocks: number
  readonly anchorFinalMainBlocks: number

  /** Proof bytes per epoch that challenges may cost (L); 0 = no limit, every node each epoch. */
  readonly proofBudgetBytes: number
  readonly proofBytesFloor: number
  readonly proofBytesMeanEpochs: number
  /** Debt beyond the byte fees of this many proofs makes a prove invalid. */
  readonly debtProofsMax: number
  /** Bytes under contract from which a node is of class 1. */
  readonly class1Bytes: number
  /** Epochs that the ring of beacons remembers. */
  readonly beaconRingEpochs: number

  /** Shares in 1/10,000: burned, to validators, subsidy per burn. */
  readonly phi: number
  readonly nu: number
  readonly rho: number
  /** Most that may be minted in an epoch, units. */
  readonly emissionCapUnits: bigint
  /** Share of held pay that burns at loss or eviction, in percent. */
  readonly forfeitBurnPercent: number
  /** Units per GiB moved below which repair is never priced. */
  readonly repairFloorPrice: bigint
  readonly freeAllowanceBytes: number
  /** Floor of the base fee, units per byte; also the byte fee of all kinds without an account. */
  readonly baseFeePerByte: bigint
  /** Size that a fill is prepaid and charged for, bytes. */
  readonly fillBytes: number
  readonly registerDepositUnits: bigint
  readonly contractDepositUnits: bigint
  readonly priceMax: bigint

  /** Units of stake per unit of weight in a validator set. */
  readonly stakeUnit: bigint
  /** Least own stake of a validator, units. */
  readonly validatorBondMin: bigint
  /** Part of the stake that one double sign burns, in 1/10,000. */
  readonly slashShare: number
  /** Epochs in which guilt adds up (PROTOCOL 7, correlated guilt). */
  readonly slashWindowEpochs: number
  /** FINAL anchors that commit to an exit, and epochs after the last of them, until release. */
  readonly unbondingAnchors: number
  readonly unbondingEpochs: number

  /** Epochs of a day, by which withdrawals to the main chain are capped. */
  readonly pegDayEpochs: number
  /** Share of the reserve that may be withdrawn in a day, in 1/10,000. */
  readonly pegDailyShare: number
  /** Units that may be withdrawn in a day whatever the share. */
  readonly pegDailyFloorUnits: bigint
  /**
   * Compressed P-256 keys of the main chain's cross-chain arbiters, lower-case hex, at most 36;
   * empty where they change by election and nobody can know them beforehand.
   */
  readonly mainArbiters: readonly string[]
}

/** What no fork may change: a chain that already runs is laid out by it. */
export const FROZEN_PARAMS = [
  'network',
  'addressPrefix',
  'protocolVersion',
  'epochBlocks',
  'mainChain',
  'proofWindowEpochs',
  'proofBytesMeanEpochs',
  'beaconRingEpochs',
  'forks',
] as const satisfies readonly (keyof NetworkParams)[]

export type ForkChanges = Partial<Omit<NetworkParams, (typeof FROZEN_PARAMS)[number]>>

/**
 * A protocol version and the epoch from which it rules (PROTOCOL 11). Forks are what a release
 * knows of a running network: genesis, and so the chain id, does not commit to them.
 */
export interface ParamsFork {
  /** First epoch of the version. */
  readonly epoch: number
  readonly protocolVersion: number
  readonly changes: ForkChanges
}

export const BASIS_POINTS = 10_000n

/** An epoch's first block has height (epoch - 1) * L + 1; genesis (height 0) closes epoch 0. */
export function epochOfHeight(params: NetworkParams, height: number): number {
  return height === 0 ? 0 : Math.floor((height - 1) / params.epochBlocks) + 1
}

/** The last block of an epoch is its checkpoint. */
export function isCheckpointHeight(params: NetworkParams, height: number): boolean {
  return height % params.epochBlocks === 0
}

export function checkpointHeight(params: NetworkParams, epoch: number): number {
  return epoch * params.epochBlocks
}

/**
 * Relations between parameters that the rules rely on; a network that breaks one never starts.
 * Net may not fall when total grows (PROTOCOL 7): true for phi and nu when one unit of total
 * adds at most one unit to ceil(phi) + floor(nu).
 */
export function assertParams(params: NetworkParams): void {
  const { phi, nu, rho } = params
  assert(phi > 0 && nu >= 0 && rho >= 0 && rho < 10_000, 'shares are out of range')
  assert(phi + nu < 10_000, 'phi and nu leave nothing for the node')
  assert(netNeverFalls(phi, nu), 'net pay can fall when total grows: choose other phi and nu')
  assert(params.epochBlocks >= 2, 'an epoch has at least two blocks')
  assert(params.proofWindowEpochs >= 1 && params.proofWindowEpochs <= 12, 'proof window is 1 to 12')
  assert(params.strikesToEvict >= 1 && params.strikesToEvict <= 255, 'strikes are 1 to 255')
  assert(params.minimumChargeEpochs >= 1, 'minimum charge is at least one epoch')
  assert(
    params.anchorFinalMainBlocks < MAIN_HEADERS_PER_TRANSACTION_MAX,
    'a reorganisation that may be recorded fits one transaction',
  )
  assert(params.pegDayEpochs >= 1, 'a day of withdrawals has at least one epoch')
  assert(params.pegDailyShare <= 10_000, 'no more than the reserve can be withdrawn in a day')
  assert(params.priceMax < 1n << 48n, 'prices must stay below 2^48 so that weights fit 128 bits')
  assert(params.stakeUnit >= 1n, 'a unit of weight is at least one unit of stake')
  assert(params.validatorBondMin >= params.stakeUnit, 'a validator has weight from its own stake')
  assert(params.slashShare > 0 && params.slashShare <= 10_000, 'the slash is a part of the stake')
  assert(params.slashWindowEpochs >= 1, 'guilt adds up within an epoch at least')
  const isKey = (key: string) => /^0[23][0-9a-f]{64}$/.test(key)
  assert(params.mainArbiters.every(isKey), 'an arbiter has a compressed P-256 key')
  // Invariant A: no stake leaves before an anchor of its exit is FINAL.
  assert(params.unbondingAnchors >= 1, 'stake leaves behind an anchor')
}

/** Checks one period of total, after which the pattern of ceil and floor repeats. */
function netNeverFalls(phi: number, nu: number): boolean {
  let previous = 0
  for (let total = 1; total <= 10_000; total++) {
    const net = total - Math.ceil((phi * total) / 10_000) - Math.floor((nu * total) / 10_000)
    if (net < previous) return false
    previous = net
  }
  return true
}
