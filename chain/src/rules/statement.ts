import { bytesEqual } from '../bytes/hex.ts'
import type { NetworkParams } from '../params/network-params.ts'
import { type Receipt, ReceiptKind } from '../types/receipts.ts'
import type { Epoch } from '../types/records.ts'
import { addReceipt, noIncome, type NodeIncome } from './node-income.ts'
import { emissionOf, subsidyOf } from './subsidy.ts'

/** What a node earned in an epoch, every sum from receipts alone, units. */
export interface Statement extends Readonly<NodeIncome> {
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
  const income = noIncome()
  for (const receipt of own) addReceipt(income, receipt)
  const M = emissionOf(params, record)
  const { fees, subsidy } = income
  const subsidyCredited = subsidy > 0n
  return {
    ...income,
    subsidy: subsidyCredited ? subsidy : subsidyOf({ emission: M, fees: record.fees }, fees),
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

function isOf({ epoch: booked, body }: Receipt, epoch: number, node: Uint8Array): boolean {
  if (body.selector === ReceiptKind.reward) {
    return body.value.epoch === epoch && bytesEqual(body.value.node, node)
  }
  return booked === epoch && 'node' in body.value && bytesEqual(body.value.node, node)
}
