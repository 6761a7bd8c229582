import { assert } from '../bytes/assert.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { LEAF_BYTES } from '../bytes/slot-tree.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { RefillBy } from '../types/receipts.ts'
import { type Contract, NONE, type Node } from '../types/records.ts'
import type { ClaimSlot } from '../types/transactions.ts'
import type { TransactionContext } from './block-context.ts'
import { isDrawn, lotteryDraw } from './challenge.ts'
import { checkFillOpenings, coveredBytes } from './fill.ts'
import { liveContract } from './rail-terms.ts'
import { type LotteryDraw, refillSlot } from './refill.ts'
import { openVacancy, type Vacancy } from './slot-vacancy.ts'
import { touchNode } from './touch-node.ts'

/**
 * The lottery of last resort (PROTOCOL 5.2): a slot that was lost and that neither payer nor
 * delegate had refilled in time goes to a node that was drawn after it opened, at the former
 * rail's prices. Only nodes whose held pay covers all they hold with the new slot take part, so
 * identities that cost nothing cannot be drawn.
 */
export function applyClaimSlot(
  draft: LedgerDraft,
  claim: ClaimSlot,
  context: TransactionContext,
): Result<undefined> {
  const found = liveContract(draft, claim.contract, claim.generation)
  if (!found.ok) return found
  const nodeIndex = draft.nodeIndex(context.senderAddress)
  if (nodeIndex === undefined) return fault('NODE_UNKNOWN', 'no node has this key')
  if (touchNode(draft, nodeIndex, context).evicted) {
    return fault('NODE_EVICTED', 'an evicted node takes no slots')
  }
  const opened = openVacancy(draft, claim.contract, claim.slot, context)
  if (!opened.ok) return opened
  const contract = draft.contracts.get(claim.contract)
  assert(contract, 'the contract is there')
  const drawn = checkDrawn(draft, claim, opened.value, context)
  if (!drawn.ok) return drawn
  const former = draft.rails.get(opened.value.formerRail)
  assert(former, 'a slot of the lottery has its former rail')
  const able = checkAble(draft, { nodeIndex, contract, unitPrice: former.unitPrice }, opened.value)
  if (!able.ok) return able
  const { root, leaves } = former
  const place = { contract: claim.contract, slot: claim.slot, root, leaves }
  const shown = checkFillOpenings(draft, place, claim.openings, context)
  if (!shown.ok) return shown
  return refillSlot(
    draft,
    {
      contract: claim.contract,
      slot: claim.slot,
      vacancy: opened.value,
      node: nodeIndex,
      price: former.price,
      unitPrice: former.unitPrice,
      by: RefillBy.lottery,
      lottery: drawn.value,
    },
    context,
  )
}

/**
 * Whether the sender is drawn. The draw comes from the first beacon after the slot opened; the
 * window starts at one node expected among all and doubles every epoch, so somebody comes.
 */
function checkDrawn(
  draft: LedgerDraft,
  claim: ClaimSlot,
  { since }: Vacancy,
  context: TransactionContext,
): Result<LotteryDraw> {
  const start = lotteryStart(draft, since)
  if (since === NONE || context.epoch < start) {
    return fault('LOTTERY_NOT_OPEN', 'payer and delegate may still grant the refill', { start })
  }
  const refill = (draft.contracts.get(claim.contract)?.rails[claim.slot]?.refill ?? 0) + 1
  if (claim.refill !== refill) {
    return fault('CLAIM_REFILL', `the next refill of the slot is number ${refill}`, { refill })
  }
  const drawn = lotteryOf(draft, { ...claim, since }, context.senderAddress, context.epoch)
  if (!drawn) return fault('BEACON_MISSING', 'no beacon is fixed yet since the slot opened')
  if (isDrawn(drawn)) return ok(drawn)
  const { draw, chance } = drawn
  return fault('CLAIM_NOT_DRAWN', 'the node is not drawn yet; the window doubles every epoch', {
    draw,
    chance,
  })
}

/** First epoch of the lottery for a slot that opened in `since`. */
export function lotteryStart(draft: LedgerDraft, since: number): number {
  return since + draft.params.fillDeadlineEpochs
}

/**
 * Draw and window of a node for an open slot in `nowEpoch`: what it asks itself before it fetches
 * anything. Undefined while no beacon after the opening is fixed.
 */
export function lotteryOf(
  draft: LedgerDraft,
  place: {
    readonly contract: number
    readonly slot: number
    readonly refill: number
    readonly since: number
  },
  node: Uint8Array,
  nowEpoch: number,
): LotteryDraw | undefined {
  let beacon: Uint8Array | undefined
  // No further than the ring of beacons reaches: a claim costs its sender nothing.
  const last = Math.min(nowEpoch, place.since + draft.params.beaconRingEpochs)
  for (let epoch = place.since + 1; epoch <= last && !beacon; epoch++) {
    const record = draft.epochs.get(epoch)
    if (record && record.beaconHeight !== 0) beacon = record.beacon
  }
  if (!beacon) return undefined
  const { nodesClass1, nodesClass2 } = draft.globals()
  const nodes = Math.max(1, nodesClass1 + nodesClass2)
  const epochs = nowEpoch - lotteryStart(draft, place.since)
  return { beacon, nodes, ...lotteryDraw({ ...place, beacon, node, nodes, epochs }) }
}

/** Known before the slot opened, not in the contract already, and covered by held pay alone. */
function checkAble(
  draft: LedgerDraft,
  claimed: {
    readonly nodeIndex: number
    readonly contract: Readonly<Contract>
    readonly unitPrice: bigint
  },
  { since }: Vacancy,
): Result<undefined> {
  const { nodeIndex, contract, unitPrice } = claimed
  const node: Readonly<Node> | undefined = draft.nodes.get(nodeIndex)
  assert(node, 'a node index names no node')
  if (node.registered > since) {
    return fault('CLAIM_TOO_YOUNG', 'the node came after the slot had opened', {
      registered: node.registered,
      since,
    })
  }
  if (contract.rails.some(({ rail }) => draft.rails.get(rail)?.node === nodeIndex)) {
    return fault('CLAIM_IN_CONTRACT', 'the node has, or had, another slot of this contract')
  }
  const bytes = BigInt(node.inventoryBytes) + BigInt(contract.leaves * LEAF_BYTES)
  const covered = coveredBytes(draft.params, node, unitPrice)
  if (bytes <= covered) return ok()
  return fault('BYTES_NOT_ASSIGNABLE', 'the held pay of the node does not cover so many bytes', {
    bytes,
    assignable: covered,
  })
}
