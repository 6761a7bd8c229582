import { bytesEqual } from '../bytes/hex.ts'
import type { NetworkParams } from '../params/network-params.ts'
import { type Receipt, ReceiptKind } from '../types/receipts.ts'
import type { Epoch } from '../types/records.ts'
import { emissionOf, subsidyOf } from './subsidy.ts'

/** What a node earned in an epoch, every sum from receipts alone, units. */
export interface Statement {
  /** Fees moved to the node by redeems and closes of the epoch, and what they burned and shared. */
  readonly fees: bigint
  readonly burned: bigint
  readonly toValidators: bigint
  readonly net: bigint
  /** Of net: kept back, and of what was kept back earlier: paid out now. */
  readonly held: bigint
  readonly released: bigint
  /** Held pay lost in the epoch. */
  readonly forfeited: bigint
  readonly byteFees: bigint
  readonly debtPaid: bigint
  /** What reached the payout address for the fees: net - held + released - byteFees - debtPaid. */
  readonly paid: bigint
  /** Subsidy for the epoch: credited, or, until the node's next touch, due once the epoch is over. */
  readonly subsidy: bigint
  readonly subsidyCredited: boolean
  /** Inputs of subsidy = floor(M x fees / F). */
  readonly inputs: {
    readonly F: bigint
    readonly burnedInEpoch: bigint
    readonly M: bigint
    readonly phi: number
    readonly nu: number
    readonly rho: number
    readonly emissionCap: bigint
  }
  /** The receipts that make it up, in order. */
  readonly receipts: readonly Receipt[]
}

/**
 * The statement of a node for an epoch from receipts: those booked in the epoch, and the Reward
 * whose source it is, which stands in a later block. Others among `receipts` are left out.
 * @param node address of the node's key
 */
export function statementOf(
  params: NetworkParams,
  epoch: number,
  record: Readonly<Epoch>,
  node: Uint8Array,
  receipts: readonly Receipt[],
): Statement {
  const own = receipts.filter((receipt) => isOf(receipt, epoch, node))
  const sums = { ...NOTHING }
  for (const receipt of own) add(sums, receipt)
  const M = emissionOf(params, record)
  const { rewards, ...rest } = sums
  const subsidyCredited = rewards > 0n
  return {
    ...rest,
    subsidy: subsidyCredited ? rewards : subsidyOf({ emission: M, fees: record.fees }, sums.fees),
    subsidyCredited,
    inputs: {
      F: record.fees,
      burnedInEpoch: record.burned,
      M,
      phi: params.phi,
      nu: params.nu,
      rho: params.rho,
      emissionCap: params.emissionCapUnits,
    },
    receipts: own,
  }
}

const NOTHING = {
  fees: 0n,
  burned: 0n,
  toValidators: 0n,
  net: 0n,
  held: 0n,
  released: 0n,
  forfeited: 0n,
  byteFees: 0n,
  debtPaid: 0n,
  paid: 0n,
  rewards: 0n,
}

function isOf({ epoch: booked, body }: Receipt, epoch: number, node: Uint8Array): boolean {
  if (body.selector === ReceiptKind.reward) {
    return body.value.epoch === epoch && bytesEqual(body.value.node, node)
  }
  return booked === epoch && 'node' in body.value && bytesEqual(body.value.node, node)
}

function add(sums: { -readonly [K in keyof typeof NOTHING]: bigint }, { body }: Receipt): void {
  switch (body.selector) {
    case ReceiptKind.storage:
    case ReceiptKind.relay:
      sums.fees += body.value.fee
      sums.burned += body.value.burned
      sums.toValidators += body.value.toValidators
      sums.net += body.value.net
      sums.held += body.value.held
      sums.released += body.value.released
      return
    case ReceiptKind.repair:
      sums.fees += body.value.fee
      sums.burned += body.value.burned
      sums.toValidators += body.value.toValidators
      sums.net += body.value.net
      return
    case ReceiptKind.payout:
      sums.byteFees += body.value.byteFee
      sums.debtPaid += body.value.debtPaid
      sums.paid += body.value.paid
      return
    case ReceiptKind.eviction:
      sums.forfeited += body.value.burned + body.value.toPots
      return
    case ReceiptKind.reward:
      sums.rewards += body.value.amount
      return
    case ReceiptKind.proof:
    case ReceiptKind.forfeit:
    case ReceiptKind.anchor:
    case ReceiptKind.close:
    case ReceiptKind.fee:
    case ReceiptKind.creation:
    case ReceiptKind.contractEnd:
    case ReceiptKind.deposit:
    case ReceiptKind.withdrawal:
    case ReceiptKind.peg:
    case ReceiptKind.refill:
    case ReceiptKind.delegateFee:
    case ReceiptKind.slash:
    case ReceiptKind.stake:
      return
  }
}
