import { LOCAL_ARBITER_KEYS_HEX } from '@ioex/chain/elastos'
import type { NetworkParams } from '@ioex/chain/params'

const GIB = 2 ** 30
const ELASTOS_RULES = {
  powLimitBits: 0x1f0008ff,
  targetTimespanSeconds: 24 * 3600,
  targetSecondsPerBlock: 120,
  adjustmentFactor: 4,
}
/** With this limit the difficulty never changes (regnet's instant mining). */
const BUILT_IN_RULES = {
  powLimitBits: 0x207fffff,
  targetTimespanSeconds: 10,
  targetSecondsPerBlock: 1,
  adjustmentFactor: 4,
}

/** The main network: one-hour epochs, two-minute main blocks (PROTOCOL 11). */
const main: NetworkParams = {
  network: 'main',
  addressPrefix: 'ioex',
  protocolVersion: 1,
  blockIntervalMs: 1000,
  skipTimeoutMs: 2000,
  skipTimeoutGrowthPercent: 150,
  skipTimeoutCapMs: 60_000,
  rebroadcastMs: 1000,
  clockAheadMs: 1000,
  clockBehindMs: 10_000,
  epochBlocks: 3600,
  proofWindowEpochs: 12,
  strikesToEvict: 5,
  fillDeadlineEpochs: 24,
  minimumChargeEpochs: 24,
  graceEpochs: 336,
  leaveNoticeEpochs: 720,
  vestingEpochs: 168,
  termMaxEpochs: 24 * 365 * 5,
  hostedAfterEpochs: 24,
  mainChain: ELASTOS_RULES,
  mainBlockMs: 120_000,
  beaconConfirmations: 6,
  beaconMarginSeconds: 120,
  depositConfirmations: 6,
  anchorConfirmedMainBlocks: 6,
  anchorFinalMainBlocks: 100,
  proofBudgetBytes: 42_000_000,
  proofBytesFloor: 4096,
  proofBytesMeanEpochs: 24,
  debtProofsMax: 32,
  class1Bytes: GIB,
  beaconRingEpochs: 4096,
  phi: 1000,
  nu: 500,
  rho: 5000,
  emissionCapUnits: 1_000_000_000_000n,
  forfeitBurnPercent: 30,
  repairFloorPrice: 1_000_000n,
  freeAllowanceBytes: 10 * GIB,
  baseFeePerByte: 1n,
  fillBytes: 8192,
  registerDepositUnits: 100_000_000n,
  contractDepositUnits: 1_000_000n,
  priceMax: (1n << 48n) - 1n,
  stakeUnit: 100_000_000n,
  validatorBondMin: 10_000n * 100_000_000n,
  slashShare: 500,
  slashWindowEpochs: 24 * 7,
  unbondingAnchors: 1,
  unbondingEpochs: 24,
  pegDayEpochs: 24,
  pegDailyShare: 2500,
  pegDailyFloorUnits: 100_000_000_000n,
  mainArbiters: [],
}

const test: NetworkParams = {
  ...main,
  network: 'test',
  addressPrefix: 'tioex',
  epochBlocks: 600,
  pegDayEpochs: 144,
  graceEpochs: 48,
  leaveNoticeEpochs: 72,
  vestingEpochs: 24,
  hostedAfterEpochs: 6,
  slashWindowEpochs: 6 * 24 * 7,
  unbondingEpochs: 6 * 24,
}

/** One machine: 20-second epochs, a built-in main chain of two-second blocks. */
const local: NetworkParams = {
  ...main,
  network: 'local',
  addressPrefix: 'lioex',
  skipTimeoutMs: 1500,
  epochBlocks: 20,
  proofWindowEpochs: 2,
  fillDeadlineEpochs: 3,
  minimumChargeEpochs: 1,
  graceEpochs: 3,
  leaveNoticeEpochs: 3,
  vestingEpochs: 2,
  hostedAfterEpochs: 1,
  mainChain: BUILT_IN_RULES,
  mainBlockMs: 2000,
  beaconConfirmations: 1,
  beaconMarginSeconds: 0,
  anchorConfirmedMainBlocks: 3,
  anchorFinalMainBlocks: 10,
  proofBudgetBytes: 0,
  validatorBondMin: 100_000_000n,
  slashWindowEpochs: 12,
  unbondingAnchors: 2,
  unbondingEpochs: 0,
  pegDailyFloorUnits: 1_000_000_000_000n,
  mainArbiters: LOCAL_ARBITER_KEYS_HEX,
}

/** As local, ten times faster, for tests with real processes. */
const ci: NetworkParams = {
  ...local,
  network: 'ci',
  addressPrefix: 'cioex',
  blockIntervalMs: 200,
  skipTimeoutMs: 1000,
  rebroadcastMs: 500,
  epochBlocks: 10,
  strikesToEvict: 3,
  mainBlockMs: 200,
  depositConfirmations: 3,
  anchorConfirmedMainBlocks: 2,
  anchorFinalMainBlocks: 4,
}

/** Networks by name. */
export const presets = { main, test, local, ci } as const
export type PresetName = keyof typeof presets
