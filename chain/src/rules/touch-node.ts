import { assert } from '../bytes/assert.ts'
import { addressOf } from '../bytes/signature.ts'
import type { NetworkParams } from '../params/network-params.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { ZERO_HASH } from '../types/primitives.ts'
import { type ForfeitReceipt, ReceiptKind } from '../types/receipts.ts'
import { type Epoch, NONE, type Node } from '../types/records.ts'
import type { TransactionContext } from './block-context.ts'
import {
  challengePositions,
  challengeRate,
  challengeSeed,
  type InventorySnapshot,
  isChallenged,
  Q_ALWAYS,
  snapshotOf,
} from './challenge.ts'
import { evictNode } from './held-pay.ts'
import { askOf, stopOf } from './rail-terms.ts'
import { appendResolution, isPruneDue, oldestNeeded, pruneLog } from './resolution-log.ts'
import { creditSubsidy } from './subsidy.ts'

/** What a replay decided: the node after it, and the intervals it lost on the way. */
export interface Replay {
  readonly node: Readonly<Node>
  readonly forfeits: readonly ForfeitReceipt[]
}

/** What a replay reads; epochs of the beacon ring from undecidedFrom on. */
export interface ChallengeRecords {
  readonly params: NetworkParams
  readonly epochs: { get(epoch: number): Readonly<Epoch> | undefined }
}

/** First epoch that a replay of the node reads. */
export function undecidedFrom(
  params: NetworkParams,
  { seen, challenge }: Readonly<Node>,
  nowEpoch: number,
): number {
  const first = challenge === NONE ? seen : Math.min(seen, challenge)
  return Math.max(0, first, nowEpoch - params.beaconRingEpochs)
}

/**
 * Replays the challenge automaton of a node from its first undecided epoch to now (PROTOCOL 6.5),
 * as if every block had looked at it: a challenge opens at the block that fixes the beacon if
 * none is open, and lapses at the first block of its epoch + W. Decides only epochs whose beacon
 * is fixed or which are over, and stops at the strikes that evict. Reads state, writes nothing.
 */
export function replayChallenges(
  records: ChallengeRecords,
  from: Readonly<Node>,
  nowEpoch: number,
): Replay {
  const { proofWindowEpochs, strikesToEvict } = records.params
  const address = addressOf(from.nodeKey)
  const forfeits: ForfeitReceipt[] = []
  let node = from
  while (!node.evicted && node.strikes < strikesToEvict) {
    if (node.challenge !== NONE) {
      if (nowEpoch < node.challenge + proofWindowEpochs) break
      const lapse = lapsed(records, node, address)
      forfeits.push(lapse.forfeit)
      node = lapse.node
      continue
    }
    const next = decided(records, node, address, nowEpoch)
    if (next === node) break
    node = next
  }
  return { node, forfeits }
}

/** The node with its first undecided epoch decided; the same node if that must wait. */
function decided(
  records: ChallengeRecords,
  node: Readonly<Node>,
  address: Uint8Array,
  nowEpoch: number,
): Readonly<Node> {
  const epoch = node.seen
  if (epoch > nowEpoch) return node
  const record = records.epochs.get(epoch)
  const isForgotten = epoch <= nowEpoch - records.params.beaconRingEpochs
  const isFixed = record !== undefined && record.beaconHeight !== 0
  if (!isForgotten && !isFixed && epoch === nowEpoch) return node
  const snapshot = snapshotOf(node, epoch)
  if (snapshot.sum === 0n) return { ...node, seen: afterIdle(node, epoch, nowEpoch) }
  const seen = epoch + 1
  // Beyond the ring nothing is known of beacons, and a node that let all of it pass unproven is
  // not there: it lapses every W epochs (PROTOCOL 6.5).
  if (isForgotten) return { ...node, seen, challenge: epoch, challengeHeight: 0 }
  if (!isFixed || !record) return { ...node, seen }
  const rate = challengeRate(records.params, node, record, snapshot)
  if (!isChallenged(record.beacon, address, rate)) return { ...node, seen }
  return { ...node, seen, challenge: epoch, challengeHeight: record.beaconHeight }
}

/** Where to go on after an epoch without weight: as far as that is known to last, in one step. */
function afterIdle(node: Readonly<Node>, epoch: number, nowEpoch: number): number {
  const kept = node.snapshots.find((snapshot) => snapshot.epoch >= epoch)
  return Math.max(epoch + 1, Math.min(nowEpoch, kept ? kept.epoch + 1 : nowEpoch))
}

function lapsed(
  records: ChallengeRecords,
  node: Readonly<Node>,
  address: Uint8Array,
): { node: Node; forfeit: ForfeitReceipt } {
  const epoch = node.challenge
  const toEpoch = epoch + records.params.proofWindowEpochs
  const strikes = node.strikes + 1
  const record = node.challengeHeight === 0 ? undefined : records.epochs.get(epoch)
  const resolution = { epoch, A: toEpoch, P: node.P, passed: false }
  const snapshot = snapshotOf(node, epoch)
  const rate = record ? challengeRate(records.params, node, record, snapshot) : Q_ALWAYS
  return {
    node: {
      ...node,
      A: toEpoch,
      seen: toEpoch,
      challenge: NONE,
      challengeHeight: 0,
      strikes,
      log: appendResolution(node.log, resolution, node.inventoryChanged),
    },
    forfeit: {
      node: address,
      epoch,
      beacon: record?.beacon ?? ZERO_HASH,
      beaconHeight: node.challengeHeight,
      fromEpoch: node.A,
      toEpoch,
      strikes,
      rate,
      inventoryRoot: snapshot.root,
      inventorySum: snapshot.sum,
      inventoryCount: snapshot.count,
    },
  }
}

/**
 * The node as its next touch in `nowEpoch` would leave it, its inventory and money aside. Reads
 * records, writes nothing: for who looks at a node that no transaction has touched for a while.
 */
export function nodeAsTouched(
  records: ChallengeRecords,
  before: Readonly<Node>,
  nowEpoch: number,
): Readonly<Node> {
  const { node } = replayChallenges(records, before, nowEpoch)
  if (node.evicted || node.strikes < records.params.strikesToEvict) return node
  return { ...node, evicted: true, evictedEpoch: nowEpoch, challenge: NONE, snapshots: [] }
}

/**
 * Brings a node up to now before anything is decided about it: credits its subsidy, resolves and
 * opens its challenges, evicts it where its strikes say so. Every rule that reads or changes a
 * node, its rails or its inventory calls this first.
 */
export function touchNode(
  draft: LedgerDraft,
  nodeIndex: number,
  context: TransactionContext,
): Readonly<Node> {
  creditSubsidy(draft, nodeIndex, context)
  const before = nodeAt(draft, nodeIndex)
  const { node, forfeits } = replayChallenges(draft, before, context.epoch)
  if (node !== before) storeResolved(draft, nodeIndex, node, context.epoch)
  for (const value of forfeits) context.emit({ selector: ReceiptKind.forfeit, value })
  if (!node.evicted && node.strikes >= draft.params.strikesToEvict) {
    evictNode(draft, nodeIndex, context)
  }
  return nodeAt(draft, nodeIndex)
}

/** Stores a node after resolutions, its log pruned where it has doubled. */
export function storeResolved(
  draft: LedgerDraft,
  nodeIndex: number,
  node: Readonly<Node>,
  nowEpoch: number,
): void {
  const { log } = node
  const before = nodeAt(draft, nodeIndex).log.length
  if (!isPruneDue(before, log.length)) {
    draft.nodes.set(nodeIndex, node)
    return
  }
  let needed = log.length
  for (const entry of draft.inventory(nodeIndex)) {
    const rail = draft.rails.get(entry.rail)
    assert(rail, 'an inventory names no rail')
    const ask = askOf(draft, rail, nowEpoch)
    const oldest = oldestNeeded(log, rail, stopOf(log, rail, ask), ask?.epoch ?? NONE)
    needed = Math.min(needed, oldest)
  }
  draft.nodes.set(nodeIndex, { ...node, log: pruneLog(log, needed) })
}

function nodeAt(draft: LedgerDraft, index: number): Readonly<Node> {
  const node = draft.nodes.get(index)
  assert(node, 'a node index names no node')
  return node
}

/** An open challenge as the one who must answer it sees it. */
export interface OpenChallenge {
  readonly epoch: number
  readonly beacon: Uint8Array
  /** H(beacon, node), from which challengeLeaf draws. */
  readonly seed: Uint8Array
  readonly snapshot: InventorySnapshot
  /** Where the eight openings fall among the snapshot's weights. */
  readonly positions: readonly bigint[]
  /** Height of the block that opened it. */
  readonly openedAt: number
  /** First epoch in which it has lapsed: prove is valid before it. */
  readonly lapsesIn: number
}

/**
 * The challenge that is open for a node in `nowEpoch`, whether or not a transaction has touched
 * the node since it opened; undefined if none is.
 */
export function challengeOf(
  draft: LedgerDraft,
  nodeIndex: number,
  nowEpoch: number,
): OpenChallenge | undefined {
  const record = draft.nodes.get(nodeIndex)
  if (!record) return undefined
  const { node } = replayChallenges(draft, record, nowEpoch)
  if (node.evicted || node.challenge === NONE) return undefined
  const epoch = draft.epochs.get(node.challenge)
  if (!epoch) return undefined
  const address = addressOf(node.nodeKey)
  const snapshot = snapshotOf(node, node.challenge)
  return {
    epoch: node.challenge,
    beacon: epoch.beacon,
    seed: challengeSeed(epoch.beacon, address),
    snapshot,
    positions: challengePositions(epoch.beacon, address, snapshot.sum),
    openedAt: node.challengeHeight,
    lapsesIn: node.challenge + draft.params.proofWindowEpochs,
  }
}
