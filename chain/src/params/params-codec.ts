import { type BasicType, type CompositeTypeAny, ContainerType } from '@chainsafe/ssz'
import { InvariantError } from '../bytes/assert.ts'
import { bytesToHex, concatBytes, fromHex } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { decodeCanonical } from '../bytes/ssz.ts'
import { byteList, Count64, Units64 } from '../types/primitives.ts'
import { assertParams, type MainChainRules, type NetworkParams } from './network-params.ts'

/** Bytes of a network's or prefix's name, ASCII. */
const TEXT_BYTES_MAX = 32
export const PARAMS_BYTES_MAX = 2048
const ARBITERS_MAX = 36
const ARBITER_KEY_BYTES = 33

const text = byteList(TEXT_BYTES_MAX)
type FieldType = BasicType<unknown> | CompositeTypeAny

const mainChainFields: { readonly [K in keyof MainChainRules]: FieldType } = {
  powLimitBits: Count64,
  targetTimespanSeconds: Count64,
  targetSecondsPerBlock: Count64,
  adjustmentFactor: Count64,
}

/** Every parameter, in the order in which genesis commits to them. New ones go at the end. */
const fields: { readonly [K in Exclude<keyof NetworkParams, 'forks'>]: FieldType } = {
  network: text,
  addressPrefix: text,
  protocolVersion: Count64,
  blockIntervalMs: Count64,
  skipTimeoutMs: Count64,
  skipTimeoutGrowthPercent: Count64,
  skipTimeoutCapMs: Count64,
  rebroadcastMs: Count64,
  clockAheadMs: Count64,
  clockBehindMs: Count64,
  epochBlocks: Count64,
  proofWindowEpochs: Count64,
  strikesToEvict: Count64,
  fillDeadlineEpochs: Count64,
  minimumChargeEpochs: Count64,
  graceEpochs: Count64,
  leaveNoticeEpochs: Count64,
  vestingEpochs: Count64,
  termMaxEpochs: Count64,
  hostedAfterEpochs: Count64,
  mainChain: new ContainerType(mainChainFields as never),
  mainBlockMs: Count64,
  beaconConfirmations: Count64,
  beaconMarginSeconds: Count64,
  depositConfirmations: Count64,
  anchorConfirmedMainBlocks: Count64,
  anchorFinalMainBlocks: Count64,
  proofBudgetBytes: Count64,
  proofBytesFloor: Count64,
  proofBytesMeanEpochs: Count64,
  debtProofsMax: Count64,
  class1Bytes: Count64,
  beaconRingEpochs: Count64,
  phi: Count64,
  nu: Count64,
  rho: Count64,
  emissionCapUnits: Units64,
  forfeitBurnPercent: Count64,
  repairFloorPrice: Units64,
  freeAllowanceBytes: Count64,
  baseFeePerByte: Units64,
  fillBytes: Count64,
  registerDepositUnits: Units64,
  contractDepositUnits: Units64,
  priceMax: Units64,
  stakeUnit: Units64,
  validatorBondMin: Units64,
  slashShare: Count64,
  slashWindowEpochs: Count64,
  unbondingAnchors: Count64,
  unbondingEpochs: Count64,
  pegDayEpochs: Count64,
  pegDailyShare: Count64,
  pegDailyFloorUnits: Units64,
  mainArbiters: byteList(ARBITERS_MAX * ARBITER_KEY_BYTES),
}

type Fields = Record<string, unknown>
const NetworkParamsType = new ContainerType(fields as never, {
  typeName: 'NetworkParams',
}) as unknown as {
  serialize(value: Fields): Uint8Array
  deserialize(bytes: Uint8Array): Fields
}

/** Canonical bytes of all parameters: part of what the chain id is the hash of. */
export function encodeParams(params: NetworkParams): Uint8Array {
  const { network, addressPrefix } = params
  return NetworkParamsType.serialize({
    ...params,
    network: asciiBytes(network),
    addressPrefix: asciiBytes(addressPrefix),
    mainArbiters: concatBytes(...params.mainArbiters.map(fromHex)),
  })
}

/** Decodes parameters; faults with PARAMS_INVALID where they break a relation the rules need. */
export function decodeParams(bytes: Uint8Array): Result<NetworkParams> {
  const decoded = decodeCanonical(NetworkParamsType as never, bytes, PARAMS_BYTES_MAX)
  if (!decoded.ok) return decoded
  const value = decoded.value as Fields
  const network = value.network as Uint8Array
  const addressPrefix = value.addressPrefix as Uint8Array
  // One network has one encoding, and so one chain id.
  if (![...network, ...addressPrefix].every((byte) => byte < 0x80)) {
    return fault('PARAMS_INVALID', 'the names of a network are ASCII')
  }
  const params = {
    ...value,
    network: String.fromCharCode(...network),
    addressPrefix: String.fromCharCode(...addressPrefix),
    mainArbiters: arbiterKeys(value.mainArbiters as Uint8Array),
  } as unknown as NetworkParams
  try {
    assertParams(params)
  } catch (error) {
    if (error instanceof InvariantError) return fault('PARAMS_INVALID', error.message)
    throw error
  }
  return ok(params)
}

/** Keys in a row; a rest that is no key is refused with the relations between parameters. */
function arbiterKeys(bytes: Uint8Array): string[] {
  const keys: string[] = []
  for (let at = 0; at < bytes.length; at += ARBITER_KEY_BYTES) {
    keys.push(bytesToHex(bytes.slice(at, at + ARBITER_KEY_BYTES)))
  }
  return keys
}

function asciiBytes(value: string): Uint8Array {
  return Uint8Array.from(value, (letter) => letter.charCodeAt(0) & 0x7f)
}
