import type { TransactionInclusion } from '../follower/followed-block.ts'
import type { MainChainFollower } from '../follower/follower.ts'
import type { SubmittedAnchors } from '../anchor/submitted-anchors.ts'
import { bytesEqual } from '../bytes/hex.ts'
import { asInternalHash, toInternalHex } from '../elastos/hash-orientation.ts'
import { decodeHeaderWithAuxPow } from '../elastos/main-header.ts'
import { isCheckpointHeight } from '../params/network-params.ts'
import { depositDepth } from '../rules/deposit.ts'
import { mainHeaderAt } from '../rules/main-chain.ts'
import { depositOf } from '../rules/peg-view.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import type { Header } from '../types/consensus-objects.ts'
import { ZERO_KEY, ZERO_SIGNATURE } from '../types/primitives.ts'
import { DepositState } from '../types/records.ts'
import {
  type Evidence,
  type LateVote,
  MAIN_HEADERS_PER_TRANSACTION_MAX,
  type Payload,
  PayloadKind,
  type Transaction,
} from '../types/transactions.ts'

/** Deposits that one block takes at most, and their bytes: the rest comes with the next. */
const DEPOSITS_PER_BLOCK = 16
const DEPOSIT_BYTES_PER_BLOCK = 256 * 1024

/** Headers of one transaction, bytes: well below what one may have. */
const HEADER_BYTES_PER_BLOCK = 384 * 1024

/** How many headers that it must have known a proposer may leave out of a checkpoint. */
const HEADERS_BEHIND_MAX = 1

/** What a proposer has beside its view of the main chain. */
export interface SystemLaneExtras {
  readonly evidence?: readonly Evidence[]
  readonly lateVotes?: readonly LateVote[]
  /** Proofs that an Arbiter brought. */
  readonly submitted?: SubmittedAnchors
}

/**
 * Transactions that only a proposer makes: evidence and late votes that it keeps, and, from what
 * its own main node shows, the main headers it knows (it must include them), the anchors that may
 * be recorded now, newest checkpoint first (the block takes the first that is valid, which makes
 * the others old), and deposits that have their confirmations there.
 */
export function systemTransactions(
  ledger: LedgerDraft,
  follower: MainChainFollower,
  { evidence = [], lateVotes = [], submitted }: SystemLaneExtras = {},
): Transaction[] {
  const transactions = evidence.map((value) =>
    unsigned(ledger, { selector: PayloadKind.evidence, value }),
  )
  if (lateVotes.length > 0) {
    const value = { votes: [...lateVotes] }
    transactions.push(unsigned(ledger, { selector: PayloadKind.lateVotes, value }))
  }
  const tip = recordedTip(ledger)
  const headers = tip && withinBytes(follower.headersAfter(tip, MAIN_HEADERS_PER_TRANSACTION_MAX))
  if (headers?.length) {
    transactions.push(unsigned(ledger, { selector: PayloadKind.mainHeaders, value: { headers } }))
  }
  for (const anchor of waitingAnchors(ledger, follower, submitted)) {
    transactions.push(unsigned(ledger, anchor))
  }
  for (const deposit of openDeposits(ledger, follower)) {
    transactions.push(unsigned(ledger, deposit))
  }
  return transactions
}

/**
 * Why this node will not vote for a block that follows every rule: a header in it contradicts
 * our own main node, or waits for the Confirm that this node asks for, or it closes an epoch
 * without headers that everybody could know, which would let its proposer choose among known
 * beacons (PROTOCOL 6.2, 9). Could know: they have been here for a skip timeout, within which a
 * proposal was made or its view is over. A block that holds as many as one may is not refused for
 * the rest: after a standstill of the side chain, no checkpoint could hold them all.
 */
export function mainChainObjection(
  header: Header,
  transactions: readonly Transaction[],
  parent: LedgerDraft,
  follower: Pick<
    MainChainFollower,
    'blockAt' | 'contradicts' | 'heightKnownFor' | 'confirmedHeight'
  >,
): string | undefined {
  let tip = parent.globals().mainTipHeight
  const room = { headers: MAIN_HEADERS_PER_TRANSACTION_MAX, bytes: HEADER_BYTES_PER_BLOCK }
  for (const { body } of transactions) {
    if (body.payload.selector !== PayloadKind.mainHeaders) continue
    for (const raw of body.payload.value.headers) {
      room.headers -= 1
      room.bytes -= raw.length
      const decoded = decodeHeaderWithAuxPow(raw)
      if (!decoded.ok) continue
      const { height } = decoded.value.header
      tip = Math.max(tip, height)
      if (follower.contradicts({ height, hash: decoded.value.hash })) {
        return `main header ${height} is not the one that our main node has at that height`
      }
      if (height > follower.confirmedHeight) {
        return `main header ${height} has no Confirm here of the main chain's arbiters`
      }
    }
  }
  const behind = follower.heightKnownFor(parent.params.skipTimeoutMs) - tip
  const nextBytes = follower.blockAt(tip + 1)?.rawHeader.length ?? 0
  const isFull = room.headers <= 0 || room.bytes < nextBytes
  const isCheckpoint = isCheckpointHeight(parent.params, header.height)
  if (isCheckpoint && behind > HEADERS_BEHIND_MAX && !isFull) {
    return `the checkpoint leaves out ${behind} main headers`
  }
  return undefined
}

/** Whether the block brings a main header that this node has not read yet. */
export function bringsNewerHeader(
  transactions: readonly Transaction[],
  follower: Pick<MainChainFollower, 'tip'>,
): boolean {
  return transactions.some(({ body: { payload } }) => {
    if (payload.selector !== PayloadKind.mainHeaders) return false
    const last = payload.value.headers.at(-1)
    const decoded = last && decodeHeaderWithAuxPow(last)
    return decoded?.ok === true && decoded.value.header.height > follower.tip.height
  })
}

/** As many of the first headers as fit one transaction. */
function withinBytes(headers: readonly Uint8Array[]): Uint8Array[] {
  let bytes = 0
  return headers.filter((header) => {
    bytes += header.length
    return bytes <= HEADER_BYTES_PER_BLOCK
  })
}

/**
 * Depth at which the main chain that this node follows leaves the recorded one, where that is
 * more than the rules ever replace; undefined while all is well. Nothing but people helps then.
 */
export function unrecordableFork(
  ledger: LedgerDraft,
  follower: MainChainFollower,
): number | undefined {
  const tip = recordedTip(ledger)
  const [first] = tip ? follower.headersAfter(tip, 1) : []
  const decoded = first && decodeHeaderWithAuxPow(first)
  if (!tip || !decoded?.ok) return undefined
  const depth = tip.height - (decoded.value.header.height - 1)
  return depth >= ledger.params.anchorFinalMainBlocks ? depth : undefined
}

function recordedTip(ledger: LedgerDraft) {
  const height = ledger.globals().mainTipHeight
  const record = mainHeaderAt(ledger, height)
  return record && { height, hash: asInternalHash(record.hash) }
}

/** Epochs below the newest one in which the checkpoint of a SideChainPow is looked for. */
const POW_ANCHOR_EPOCHS = 4096
/** Anchors that a proposer offers to one block; all but one are dropped. */
const ANCHORS_TRIED_MAX = 32

interface AnchorCandidate extends TransactionInclusion {
  readonly epoch: number
  readonly checkpointHash: Uint8Array
}

/**
 * Anchors whose main block is on record, newest checkpoint first. Anybody can write a memo that
 * looks like an anchor, so several are tried; a SideChainPow was checked by the main chain and
 * goes before a memo of the same checkpoint.
 */
function waitingAnchors(
  ledger: LedgerDraft,
  follower: MainChainFollower,
  submitted: SubmittedAnchors | undefined,
): Payload[] {
  const { lastAnchoredEpoch } = ledger.globals()
  const memos = follower.anchors().map((sighting): AnchorCandidate => {
    const { epoch, checkpointHash } = sighting.anchor
    return { ...sighting, epoch, checkpointHash }
  })
  const pows = [...follower.powAnchors(), ...(submitted?.list() ?? [])].flatMap(
    (sighting): AnchorCandidate[] => {
      const epoch = epochOfCheckpoint(ledger, sighting.checkpointHash)
      return epoch === undefined ? [] : [{ ...sighting, epoch }]
    },
  )
  const candidates = [...pows, ...memos].filter(({ epoch, checkpointHash, height, headerHash }) => {
    const checkpoint = ledger.epochs.get(epoch)?.checkpointHash
    const recorded = mainHeaderAt(ledger, height)
    return (
      epoch > lastAnchoredEpoch &&
      checkpoint !== undefined &&
      bytesEqual(checkpoint, checkpointHash) &&
      recorded !== undefined &&
      bytesEqual(recorded.hash, headerHash)
    )
  })
  const once = new Map(candidates.map((candidate) => [toInternalHex(candidate.id), candidate]))
  const newestFirst = [...once.values()].sort((a, b) => b.epoch - a.epoch)
  return newestFirst.slice(0, ANCHORS_TRIED_MAX).map((candidate) => ({
    selector: PayloadKind.anchor,
    value: {
      epoch: candidate.epoch,
      checkpointHash: candidate.checkpointHash,
      transaction: candidate.raw,
      branch: [...candidate.branch],
      branchIndex: candidate.index,
      mainHeight: candidate.height,
    },
  }))
}

/** The epoch that a checkpoint ends, among those that wait for an anchor. */
function epochOfCheckpoint(ledger: LedgerDraft, checkpointHash: Uint8Array): number | undefined {
  const { epoch: current, lastAnchoredEpoch } = ledger.globals()
  const oldest = Math.max(lastAnchoredEpoch + 1, current - POW_ANCHOR_EPOCHS)
  for (let epoch = current - 1; epoch >= oldest; epoch--) {
    const record = ledger.epochs.get(epoch)
    if (record && bytesEqual(record.checkpointHash, checkpointHash)) return epoch
  }
  return undefined
}

/**
 * Deposits that nobody credited yet, or whose backing a reorganisation took, oldest first. What
 * an Arbiter asks for plays no part. Found again after every start: a follower begins further
 * below the recorded tip than any deposit waits.
 */
function openDeposits(ledger: LedgerDraft, follower: MainChainFollower): Payload[] {
  const { mainTipHeight } = ledger.globals()
  const found: Payload[] = []
  let bytes = 0
  const confirmed = mainTipHeight - depositDepth(ledger) + 1
  for (const { id, raw, branch, index, height, headerHash } of follower.deposits(0, confirmed)) {
    const known = depositOf(ledger, id)
    if (known !== undefined && known.record.state !== DepositState.orphaned) continue
    const recorded = mainHeaderAt(ledger, height)
    if (recorded === undefined || !bytesEqual(recorded.hash, headerHash)) continue
    bytes += raw.length
    if (found.length >= DEPOSITS_PER_BLOCK || bytes > DEPOSIT_BYTES_PER_BLOCK) break
    const value = {
      transaction: raw,
      branch: [...branch],
      branchIndex: index,
      mainHeight: height,
    }
    found.push({ selector: PayloadKind.deposit, value })
  }
  return found
}

/** A transaction of the system lane for the next block. */
export function unsigned(
  ledger: LedgerDraft,
  payload: Payload,
  validUntil = ledger.globals().height + 1,
): Transaction {
  const body = {
    sender: ZERO_KEY,
    nonce: 0,
    validUntil,
    maxBaseFee: 0n,
    tip: 0n,
    payload,
  }
  return { body, signature: ZERO_SIGNATURE }
}
