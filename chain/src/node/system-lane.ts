import type { MainChainFollower } from '../anchor/follower.ts'
import { bytesEqual } from '../bytes/hex.ts'
import { asInternalHash } from '../elastos/hash-orientation.ts'
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
  MAIN_HEADERS_PER_TRANSACTION_MAX,
  type Payload,
  PayloadKind,
  type Transaction,
} from '../types/transactions.ts'

/** Deposits that one block takes at most, and their bytes: the rest comes with the next. */
const DEPOSITS_PER_BLOCK = 16
const DEPOSIT_BYTES_PER_BLOCK = 256 * 1024

/** How many headers a proposer may leave out before others refuse its checkpoint. */
const HEADERS_BEHIND_MAX = 1

/**
 * Transactions that only a proposer makes: evidence that it keeps, and, from what its own main
 * node shows, the main headers it knows (it must include them), the newest memo anchor whose
 * block is on record, and deposits that have their confirmations there.
 */
export function systemTransactions(
  ledger: LedgerDraft,
  follower: MainChainFollower,
  evidence: readonly Evidence[] = [],
): Transaction[] {
  const transactions = evidence.map((value) =>
    unsigned(ledger, { selector: PayloadKind.evidence, value }),
  )
  const tip = recordedTip(ledger)
  const headers = tip && follower.headersAfter(tip, MAIN_HEADERS_PER_TRANSACTION_MAX)
  if (headers?.length) {
    transactions.push(unsigned(ledger, { selector: PayloadKind.mainHeaders, value: { headers } }))
  }
  const anchor = newestAnchor(ledger, follower)
  if (anchor) transactions.push(unsigned(ledger, anchor))
  for (const deposit of openDeposits(ledger, follower)) {
    transactions.push(unsigned(ledger, deposit))
  }
  return transactions
}

/**
 * Why this node will not vote for a block that follows every rule: a header in it contradicts
 * our own main node, or it closes an epoch without headers that everybody could know, which
 * would let its proposer choose among known beacons (PROTOCOL 6.2, 9).
 */
export function mainChainObjection(
  header: Header,
  transactions: readonly Transaction[],
  parent: LedgerDraft,
  follower: MainChainFollower,
): string | undefined {
  let tip = parent.globals().mainTipHeight
  for (const { body } of transactions) {
    if (body.payload.selector !== PayloadKind.mainHeaders) continue
    for (const raw of body.payload.value.headers) {
      const decoded = decodeHeaderWithAuxPow(raw)
      if (!decoded.ok) continue
      const { height } = decoded.value.header
      tip = Math.max(tip, height)
      if (follower.contradicts({ height, hash: decoded.value.hash })) {
        return `main header ${height} is not the one that our main node has at that height`
      }
    }
  }
  const behind = follower.tip.height - tip
  if (isCheckpointHeight(parent.params, header.height) && behind > HEADERS_BEHIND_MAX) {
    return `the checkpoint leaves out ${behind} main headers`
  }
  return undefined
}

function recordedTip(ledger: LedgerDraft) {
  const height = ledger.globals().mainTipHeight
  const record = mainHeaderAt(ledger, height)
  return record && { height, hash: asInternalHash(record.hash) }
}

function newestAnchor(ledger: LedgerDraft, follower: MainChainFollower): Payload | undefined {
  const { lastAnchoredEpoch } = ledger.globals()
  const candidates = follower.anchors().filter(({ anchor, height, headerHash }) => {
    const checkpoint = ledger.epochs.get(anchor.epoch)?.checkpointHash
    const recorded = mainHeaderAt(ledger, height)
    return (
      anchor.epoch > lastAnchoredEpoch &&
      checkpoint !== undefined &&
      bytesEqual(checkpoint, anchor.checkpointHash) &&
      recorded !== undefined &&
      bytesEqual(recorded.hash, headerHash)
    )
  })
  const newest = candidates.sort((a, b) => b.anchor.epoch - a.anchor.epoch)[0]
  if (!newest) return undefined
  return {
    selector: PayloadKind.anchor,
    value: {
      epoch: newest.anchor.epoch,
      checkpointHash: newest.anchor.checkpointHash,
      transaction: newest.raw,
      branch: [...newest.branch],
      branchIndex: newest.index,
      mainHeight: newest.height,
    },
  }
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
