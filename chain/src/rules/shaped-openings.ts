import { openingPathLength, LEAF_BYTES } from '../bytes/slot-tree.ts'
import { drawFromSumTree, sumPathOf } from '../bytes/sum-tree.ts'
import { addressOf } from '../bytes/signature.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { ZERO_HASH } from '../types/primitives.ts'
import { bodyRoot, keepBodyRoot } from '../types/transaction-roots.ts'
import {
  OPENINGS,
  type Payload,
  PayloadKind,
  type Prove,
  type ProveOpening,
  type SlotOpening,
  type Transaction,
} from '../types/transactions.ts'
import { challengePosition, challengeSeed } from './challenge.ts'
import { snapshotTree } from './inventory.ts'
import { replayChallenges } from './touch-node.ts'

const LEAF = new Uint8Array(LEAF_BYTES)

/**
 * A transaction whose openings are gone, with openings of the shape that the ledger says they
 * had. What the inventory proves (entry, weight, path) is true; leaves and their paths are zeros.
 * Its size, which fees count, is the one it had, and its id stays. Where the ledger knows of no
 * such draw it stays without openings, and its rule refuses it.
 */
export function withShapedOpenings(
  draft: LedgerDraft,
  transaction: Transaction,
  nowEpoch: number,
): Transaction {
  const { body, signature } = transaction
  const payload = shapedPayload(draft, body.payload, addressOf(body.sender), nowEpoch)
  if (!payload) return transaction
  const shaped = { ...body, payload }
  keepBodyRoot(shaped, bodyRoot(body))
  return { body: shaped, signature }
}

function shapedPayload(
  draft: LedgerDraft,
  payload: Payload,
  sender: Uint8Array,
  nowEpoch: number,
): Payload | undefined {
  const { selector, value } = payload
  switch (selector) {
    case PayloadKind.fill:
      return { selector, value: { ...value, openings: openingsOf(value.grant.leaves) } }
    case PayloadKind.claimSlot: {
      const leaves = draft.contracts.get(value.contract)?.leaves
      return leaves ? { selector, value: { ...value, openings: openingsOf(leaves) } } : undefined
    }
    case PayloadKind.prove: {
      const openings = drawnOpenings(draft, value, sender, nowEpoch)
      return openings && { selector, value: { ...value, openings } }
    }
    default:
      return undefined
  }
}

function openingsOf(leaves: number): SlotOpening[] {
  return Array.from({ length: OPENINGS }, () => openingOf(leaves))
}

function openingOf(leaves: number): SlotOpening {
  return { leaf: LEAF, path: Array.from({ length: openingPathLength(leaves) }, () => ZERO_HASH) }
}

/** What the challenge that is open for the node draws from its inventory (PROTOCOL 6.4). */
function drawnOpenings(
  draft: LedgerDraft,
  { epoch }: Prove,
  sender: Uint8Array,
  nowEpoch: number,
): ProveOpening[] | undefined {
  const index = draft.nodeIndex(sender)
  const record = index === undefined ? undefined : draft.nodes.get(index)
  const challenged = draft.epochs.get(epoch)
  if (index === undefined || !record || !challenged) return undefined
  const { node } = replayChallenges(draft, record, nowEpoch)
  if (node.evicted || node.challenge !== epoch) return undefined
  const seed = challengeSeed(challenged.beacon, sender)
  const { entries, tree } = snapshotTree(draft, index, epoch)
  const openings: ProveOpening[] = []
  for (let i = 0; i < OPENINGS; i++) {
    const place = drawFromSumTree(tree, challengePosition(seed, i, tree.sum))
    const entry = entries[place]
    const rail = entry && draft.rails.get(entry.rail)
    if (!rail || rail.leaves === 0) return undefined
    const opening = openingOf(rail.leaves)
    openings.push({ entry: place, ...entry, sumPath: sumPathOf(tree, place), opening })
  }
  return openings
}
