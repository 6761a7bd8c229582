import { assert } from '../bytes/assert.ts'
import { bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { findMemoAnchor, type FoundMemoAnchor, verifyMemoAnchor } from '../elastos/memo-anchor.ts'
import { verifyTransactionInclusion } from '../elastos/merkle.ts'
import { decodeTransaction } from '../elastos/transaction.ts'
import { TransactionKind } from '../elastos/transaction-payload.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { AnchorState, type Epoch, OPEN_ANCHORS_MAX } from '../types/records.ts'
import { ReceiptKind } from '../types/receipts.ts'
import type { Anchor } from '../types/transactions.ts'
import { anchorStateAt } from './anchor-states.ts'
import type { TransactionContext } from './block-context.ts'
import { confirmationsOf, mainHeaderAt } from './main-chain.ts'
import { setMembers, validatorAt } from './validator-set.ts'

/** AnchorReceipt.carrier. */
export const AnchorCarrier = { memo: 0, sideChainPow: 1 } as const

/**
 * Records that a checkpoint stands in a block of the main chain on record: a memo that a
 * validator signed, with its Merkle branch (PROTOCOL 9). Anchoring an epoch anchors all before
 * it, so only newer epochs than the last anchored one are taken.
 */
export function applyAnchor(
  draft: LedgerDraft,
  anchor: Anchor,
  context: TransactionContext,
): Result<undefined> {
  const record = anchoredEpoch(draft, anchor)
  if (!record.ok) return record
  const header = mainHeaderAt(draft, anchor.mainHeight)
  if (header === undefined) {
    return fault('ANCHOR_HEADER_UNKNOWN', 'the main block of the anchor is not on record', {
      mainHeight: anchor.mainHeight,
    })
  }
  const found = anchorIn(anchor.transaction)
  if (!found.ok) return found
  const { branch, branchIndex } = anchor
  const { id, anchor: memo } = found.value
  const included = verifyTransactionInclusion(id, branch, branchIndex, header.merkleRoot)
  if (!included.ok) return included
  const signed = checkMemo(draft, anchor, found.value)
  if (!signed.ok) return signed
  recordAnchor(draft, anchor, record.value)
  context.emit({
    selector: ReceiptKind.anchor,
    value: {
      epoch: anchor.epoch,
      checkpointHash: anchor.checkpointHash,
      mainHeight: anchor.mainHeight,
      mainHash: header.hash,
      mainTransaction: id,
      carrier: AnchorCarrier.memo,
      validator: memo.validatorIndex,
    },
  })
  return ok()
}

/** The epoch's record, if its checkpoint is the one named and it is news. */
function anchoredEpoch(draft: LedgerDraft, anchor: Anchor): Result<Readonly<Epoch>> {
  const { epoch, checkpointHash } = anchor
  const globals = draft.globals()
  const record = draft.epochs.get(epoch)
  if (record === undefined || epoch >= globals.epoch) {
    return fault('ANCHOR_EPOCH_OPEN', `epoch ${epoch} has no checkpoint yet`, { epoch })
  }
  // Genesis (epoch 0) is known to everybody: nothing is gained by anchoring it.
  if (epoch <= globals.lastAnchoredEpoch) {
    return fault('ANCHOR_OLD', `epoch ${globals.lastAnchoredEpoch} is anchored already`, { epoch })
  }
  if (!bytesEqual(record.checkpointHash, checkpointHash)) {
    return fault('ANCHOR_CHECKPOINT', 'the anchored hash is not the checkpoint of this epoch')
  }
  if (globals.openAnchors.length >= OPEN_ANCHORS_MAX) {
    return fault('ANCHORS_PENDING', 'too many anchors wait for their depth')
  }
  return ok(record)
}

function anchorIn(rawTransaction: Uint8Array): Result<FoundMemoAnchor> {
  const decoded = decodeTransaction(rawTransaction)
  if (!decoded.ok) return decoded
  if (decoded.value.transaction.type === TransactionKind.sideChainPow) {
    return fault(
      'ANCHOR_CARRIER',
      'anchors by SideChainPow are not accepted in this version of the network; use a memo',
    )
  }
  return findMemoAnchor(decoded.value)
}

function checkMemo(draft: LedgerDraft, anchor: Anchor, found: FoundMemoAnchor): Result<undefined> {
  const memo = found.anchor
  if (memo.epoch !== anchor.epoch || !bytesEqual(memo.checkpointHash, anchor.checkpointHash)) {
    return fault('ANCHOR_MEMO_OTHER', 'the memo commits to another checkpoint')
  }
  const member = setMembers(draft, memo.epoch)?.[memo.validatorIndex]
  if (member === undefined || validatorAt(draft, member.validator).jailed) {
    return fault('ANCHOR_VALIDATOR', 'the memo names no active validator of its epoch', {
      validator: memo.validatorIndex,
    })
  }
  return verifyMemoAnchor(memo, draft.chainId, member.publicKey)
}

function recordAnchor(draft: LedgerDraft, anchor: Anchor, record: Readonly<Epoch>): void {
  const { epoch, mainHeight } = anchor
  const anchorState = anchorStateAt(draft.params, confirmationsOf(draft, mainHeight))
  const anchorFinalEpoch = anchorState === AnchorState.final ? draft.globals().epoch : 0
  draft.epochs.set(epoch, {
    ...record,
    anchorMainHeight: mainHeight,
    anchorState,
    anchorFinalEpoch,
  })
  const globals = draft.globals()
  assert(!globals.openAnchors.includes(epoch), 'an epoch has one anchor')
  const isFinal = confirmationsOf(draft, mainHeight) >= draft.params.anchorFinalMainBlocks
  draft.setGlobals({
    ...globals,
    lastAnchoredEpoch: epoch,
    lastFinalEpoch: isFinal ? epoch : globals.lastFinalEpoch,
    openAnchors: isFinal ? globals.openAnchors : [...globals.openAnchors, epoch],
  })
}
