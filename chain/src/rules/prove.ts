import { assert } from '../bytes/assert.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { firstFalseOpening, type OpeningClaim } from '../bytes/slot-tree.ts'
import { sumTreeHolds } from '../bytes/sum-tree.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { ReceiptKind } from '../types/receipts.ts'
import { NONE, type Node, type Rail } from '../types/records.ts'
import { OPENINGS, type Prove } from '../types/transactions.ts'
import type { TransactionContext } from './block-context.ts'
import {
  challengeLeaf,
  challengePosition,
  challengeRate,
  challengeSeed,
  isChallenged,
  snapshotOf,
} from './challenge.ts'
import { clearRail, isSpent } from './clear-weight.ts'
import { snapshotTree } from './inventory.ts'
import { appendResolution } from './resolution-log.ts'
import { byteFee } from './settlement.ts'
import { storeResolved, touchNode } from './touch-node.ts'

/**
 * A node answers its open challenge with eight openings (PROTOCOL 6.4, 6.5). It moves no money:
 * its epochs up to the challenge count as proven, its byte fee is booked as debt. It may clear
 * the weight of own rails that have ended.
 */
export function applyProve(
  draft: LedgerDraft,
  prove: Prove,
  context: TransactionContext,
): Result<undefined> {
  const index = draft.nodeIndex(context.senderAddress)
  if (index === undefined) return fault('NODE_UNKNOWN', 'no node has this key')
  const node = touchNode(draft, index, context)
  const allowed = checkProvable(draft, node, prove, context)
  if (!allowed.ok) return allowed
  const opened = checkOpenings(draft, index, prove, context)
  if (!opened.ok) return opened
  pass(draft, index, node, context)
  for (const railIndex of prove.clear) {
    const rail = draft.rails.get(railIndex)
    if (!rail?.live || rail.node !== index) {
      return fault('RAIL_UNKNOWN', 'the node has no such rail', { rail: railIndex })
    }
    const cleared = clearRail(draft, railIndex, true, context)
    if (!cleared.ok) return cleared
  }
  return ok()
}

/** What can be said before any hash: an open challenge of this epoch, and debt within bounds. */
function checkProvable(
  draft: LedgerDraft,
  node: Readonly<Node>,
  prove: Prove,
  context: TransactionContext,
): Result<undefined> {
  if (node.evicted) return fault('NODE_EVICTED', 'an evicted node has nothing to prove')
  if (node.challenge === NONE || node.challenge !== prove.epoch) {
    return fault('CHALLENGE_NOT_OPEN', 'no challenge of this epoch is open for the node', {
      epoch: prove.epoch,
    })
  }
  if (prove.openings.length !== OPENINGS) {
    return fault('OPENINGS_COUNT', `a proof has ${OPENINGS} openings`)
  }
  const { params } = draft
  const debtMax = BigInt(params.debtProofsMax) * byteFee(params, context.bytes)
  if (node.debt > debtMax) {
    return fault('DEBT_TOO_HIGH', 'the node owes too much for proofs: redeem, or transfer to it', {
      debt: node.debt,
      debtMax,
    })
  }
  return ok()
}

function checkOpenings(
  draft: LedgerDraft,
  index: number,
  prove: Prove,
  context: TransactionContext,
): Result<undefined> {
  const record = draft.epochs.get(prove.epoch)
  assert(record, 'an open challenge has an epoch record')
  const seed = challengeSeed(record.beacon, context.senderAddress)
  const { entries, tree } = snapshotTree(draft, index, prove.epoch)
  const claims: OpeningClaim[] = []
  for (const [i, drawn] of prove.openings.entries()) {
    const { rail, generation, weight } = drawn
    const isDrawn = sumTreeHolds(tree, entries, {
      index: drawn.entry,
      entry: { rail, generation, weight },
      path: drawn.sumPath,
      position: challengePosition(seed, i, tree.sum),
    })
    if (!isDrawn) {
      return fault('OPENING_ENTRY', 'the entry is not where the draw falls', { opening: i })
    }
    const opened = railDrawn(draft, index, rail, {
      generation,
      opening: i,
      nowEpoch: context.epoch,
    })
    if (!opened.ok) return opened
    const { root, leaves } = opened.value
    const leafIndex = challengeLeaf(seed, i, leaves)
    claims.push({ root, leafCount: leaves, leafIndex, ...drawn.opening })
  }
  if (context.believesOpenings) return ok()
  const opening = firstFalseOpening(claims)
  if (opening === undefined) return ok()
  return fault('OPENING_LEAF', 'the leaf is not the one drawn from the slot', {
    opening,
    rail: prove.openings[opening]?.rail ?? NONE,
  })
}

/** The rail that an opening drew, if it is still there and can earn. */
function railDrawn(
  draft: LedgerDraft,
  index: number,
  railIndex: number,
  drawn: { generation: number; opening: number; nowEpoch: number },
): Result<Readonly<Rail>> {
  const { generation, opening, nowEpoch } = drawn
  const rail = draft.rails.get(railIndex)
  if (!rail?.live || rail.generation !== generation) {
    return fault('RAIL_UNKNOWN', 'the drawn rail is gone', { opening, rail: railIndex })
  }
  const node = draft.nodes.get(index)
  assert(node, 'a node index names no node')
  // Weight that earns nothing in this interval would dilute what must be shown (PROTOCOL 6.1).
  if (isSpent(draft, node, rail, nowEpoch)) {
    return fault('RAIL_SPENT', 'the drawn rail can no longer earn: clear its weight', {
      opening,
      rail: railIndex,
    })
  }
  return ok(rail)
}

/**
 * Challenges that did not open because this one was open until now. Their byte fees are due with
 * this answer: one proof at the end of the window would else cost a twelfth of twelve.
 */
function heldUpChallenges(
  draft: LedgerDraft,
  node: Readonly<Node>,
  context: TransactionContext,
): number {
  let count = 0
  for (let epoch = node.challenge + 1; epoch <= context.epoch; epoch++) {
    const record = draft.epochs.get(epoch)
    if (!record || record.beaconHeight === 0) continue
    const snapshot = snapshotOf(node, epoch)
    if (snapshot.sum === 0n) continue
    const rate = challengeRate(draft.params, { strikes: 0 }, record, snapshot)
    if (isChallenged(record.beacon, context.senderAddress, rate)) count += 1
  }
  return count
}

function pass(
  draft: LedgerDraft,
  index: number,
  node: Readonly<Node>,
  context: TransactionContext,
): void {
  const epoch = node.challenge
  assert(epoch >= node.A, 'a challenge is older than what is resolved')
  const epochs = epoch - node.A
  const P = node.P + epochs
  const now = draft.epochs.get(context.epoch)
  assert(now, 'the epoch of a block has no record')
  const answers = 1 + heldUpChallenges(draft, node, context)
  const fee = BigInt(answers) * byteFee(draft.params, context.bytes)
  const resolution = { epoch, A: epoch, P, passed: true }
  const passed: Node = {
    ...node,
    A: epoch,
    P,
    // A beacon that was fixed while this challenge was open opened none; a later one may.
    seen: now.beaconHeight === 0 ? context.epoch : context.epoch + 1,
    challenge: NONE,
    challengeHeight: 0,
    strikes: 0,
    debt: node.debt + fee,
    log: appendResolution(node.log, resolution, node.inventoryChanged),
  }
  storeResolved(draft, index, passed, context.epoch)
  draft.epochs.set(context.epoch, {
    ...now,
    proofBytes: now.proofBytes + context.bytes,
    proofs: now.proofs + 1,
  })
  context.emit({
    selector: ReceiptKind.proof,
    value: {
      node: context.senderAddress,
      epoch,
      epochs,
      A: epoch,
      P,
      bytes: context.bytes,
      debt: passed.debt,
    },
  })
}
