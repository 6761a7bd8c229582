import { assert } from '../bytes/assert.ts'
import { addressOf } from '../bytes/signature.ts'
import { BASIS_POINTS, type NetworkParams } from '../params/network-params.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { ReceiptKind } from '../types/receipts.ts'
import { type Epoch, NONE } from '../types/records.ts'
import { credit } from './accounts.ts'
import type { TransactionContext } from './block-context.ts'

/**
 * M(e), the most that may be minted for an epoch: rho of what its service fees burned. Measured
 * on floor(phi F) where that is less, since burns are rounded up per rail and a cloud of dust
 * redeems beside a washer would otherwise mint more than phi of the fees (PROTOCOL 7).
 */
export function emissionOf(params: NetworkParams, epoch: Pick<Epoch, 'fees' | 'burned'>): bigint {
  const dueOnFees = (BigInt(params.phi) * epoch.fees) / BASIS_POINTS
  const measured = epoch.burned < dueOnFees ? epoch.burned : dueOnFees
  const emission = (BigInt(params.rho) * measured) / BASIS_POINTS
  return emission < params.emissionCapUnits ? emission : params.emissionCapUnits
}

/** Subsidy of a node with this fee in an epoch that is over: floor(M x fee / F). */
export function subsidyOf(epoch: Pick<Epoch, 'emission' | 'fees'>, fee: bigint): bigint {
  return epoch.fees === 0n ? 0n : (epoch.emission * fee) / epoch.fees
}

/**
 * Credits a node the subsidy of the last epoch in which it booked fees, once that epoch is over,
 * whole to its payout. Runs at every touch before any new fee is booked and counts as minted in
 * the source epoch, so that minted(e) never exceeds M(e) whenever it is claimed.
 */
export function creditSubsidy(
  draft: LedgerDraft,
  nodeIndex: number,
  context: TransactionContext,
): void {
  const node = draft.nodes.get(nodeIndex)
  assert(node, 'a node index names no node')
  const { pendingEpoch, pendingFee } = node
  if (pendingEpoch === NONE || pendingEpoch >= context.epoch) return
  const source = draft.epochs.get(pendingEpoch)
  assert(source, 'fees were booked in an epoch without a record')
  const amount = subsidyOf(source, pendingFee)
  draft.nodes.set(nodeIndex, { ...node, pendingEpoch: NONE, pendingFee: 0n, pendingLeaf: 0 })
  if (amount === 0n) return
  const minted = source.minted + amount
  assert(minted <= source.emission, 'an epoch would mint more than its ceiling')
  draft.epochs.set(pendingEpoch, { ...source, minted })
  const globals = draft.globals()
  draft.setGlobals({ ...globals, minted: globals.minted + amount })
  credit(draft, node.payout, amount)
  context.emit({
    selector: ReceiptKind.reward,
    value: {
      node: addressOf(node.nodeKey),
      epoch: pendingEpoch,
      fee: pendingFee,
      epochFees: source.fees,
      emission: source.emission,
      amount,
    },
  })
}
