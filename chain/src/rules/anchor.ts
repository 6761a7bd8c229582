import { assert } from '../bytes/assert.ts'
import { bytesEqual, fromHex } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { findMemoAnchor, type FoundMemoAnchor, verifyMemoAnchor } from '../elastos/memo-anchor.ts'
import type { InternalHash } from '../elastos/hash-orientation.ts'
import { verifyTransactionInclusion } from '../elastos/merkle.ts'
import { isSideChainPowSignedBy } from '../elastos/side-aux-pow.ts'
import { type DecodedTransaction, decodeTransaction } from '../elastos/transaction.ts'
import { TransactionKind } from '../elastos/transaction-payload.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { AnchorState, type Epoch, NONE, OPEN_ANCHORS_MAX } from '../types/records.ts'
import { ReceiptKind } from '../types/receipts.ts'
import type { Anchor } from '../types/transactions.ts'
import { anchorStateAt } from './anchor-states.ts'
import type { TransactionContext } from './block-context.ts'
import { confirmationsOf, mainHeaderAt } from './main-chain.ts'
import { setMembers, validatorAt } from './validator-set.ts'

/** AnchorReceipt.carrier. */
export const AnchorCarrier = { memo: 0, sideChainPow: 1 } as const

/** What a main-chain transaction says about a checkpoint, by either carrier. */
interface CarriedAnchor {
  readonly id: InternalHash
  readonly carrier: number
  /** Index of the validator that signed a memo; NONE for a SideChainPow. */
  readonly validator: number
}

const ARBITER_SIGNATURE_BYTES = 64

/**
 * Records that a checkpoint stands in a block of the main chain on record: a memo that a
 * validator signed, or the SideChainPow of an arbiter, with its Merkle branch (PROTOCOL 9).
 * Anchoring an epoch anchors all before it, so only newer epochs than the last anchored one are
 * taken.
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
  const decoded = decodeTransaction(anchor.transaction)
  if (!decoded.ok) return decoded
  const { branch, branchIndex } = anchor
  const { id } = decoded.value
  const included = verifyTransactionInclusion(id, branch, branchIndex, header.merkleRoot)
  if (!included.ok) return included
  const carried = carriedBy(draft, anchor, decoded.value)
  if (!carried.ok) return carried
  recordAnchor(draft, anchor, record.value)
  context.emit({
    selector: ReceiptKind.anchor,
    value: {
      epoch: anchor.epoch,
      checkpointHash: anchor.checkpointHash,
      mainHeight: anchor.mainHeight,
      mainHash: header.hash,
      mainTransaction: id,
      carrier: carried.value.carrier,
      validator: carried.value.validator,
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

function carriedBy(
  draft: LedgerDraft,
  anchor: Anchor,
  decoded: DecodedTransaction,
): Result<CarriedAnchor> {
  const { id } = decoded
  if (decoded.transaction.type === TransactionKind.sideChainPow) {
    const checked = checkSideChainPow(draft, anchor, decoded)
    if (!checked.ok) return checked
    return ok({ id, carrier: AnchorCarrier.sideChainPow, validator: NONE })
  }
  const found = findMemoAnchor(decoded)
  if (!found.ok) return found
  const checked = checkMemo(draft, anchor, found.value)
  if (!checked.ok) return checked
  return ok({ id, carrier: AnchorCarrier.memo, validator: found.value.anchor.validatorIndex })
}

/**
 * What the reference node does not look at: type and version, this chain's genesis, the signer
 * where the network knows the arbiters. The work is that of the header on record, whose bits are
 * the bits of the proof (PROTOCOL 9). The height is the one the arbiter was shown: that of the
 * last checkpoint anchored then, so it lies below this one.
 */
function checkSideChainPow(
  draft: LedgerDraft,
  anchor: Anchor,
  decoded: DecodedTransaction,
): Result<undefined> {
  const { payload, payloadVersion } = decoded.transaction
  if (payload.kind !== 'side-chain-pow' || payloadVersion !== 0) {
    return fault('MAIN_ANCHOR_TYPE', 'a SideChainPow has payload version 0')
  }
  if (!bytesEqual(payload.sideGenesisHash, draft.chainId)) {
    return fault('MAIN_ANCHOR_GENESIS', 'the anchor is of another side chain')
  }
  if (!bytesEqual(payload.sideBlockHash, anchor.checkpointHash)) {
    return fault('MAIN_ANCHOR_BLOCK', 'the SideChainPow commits to another checkpoint')
  }
  if (payload.sideHeight >= anchor.epoch) {
    return fault('MAIN_ANCHOR_HEIGHT', 'the SideChainPow was made for a later checkpoint')
  }
  if (payload.signature.length !== ARBITER_SIGNATURE_BYTES) {
    return fault('MAIN_ANCHOR_SIGNATURE', 'the SideChainPow carries no signature of an arbiter')
  }
  const { mainArbiters } = draft.params
  const isTheirs = mainArbiters.some((key) => isSideChainPowSignedBy(decoded, fromHex(key)))
  // Where the set is unknown, the main chain has checked the signer before it took the block.
  if (mainArbiters.length === 0 || isTheirs) return ok()
  return fault('MAIN_ANCHOR_SIGNATURE', 'the SideChainPow is not signed by an arbiter')
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
