import { assert } from '../bytes/assert.ts'
import { bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { advanceContext, checkHeader } from '../elastos/header-rules.ts'
import { type DecodedHeader, decodeHeaderWithAuxPow } from '../elastos/main-header.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { MAIN_HEADERS_KEPT, type MainHeaderRecord } from '../types/records.ts'
import type { MainHeaders } from '../types/transactions.ts'
import { refreshAnchors } from './anchor-states.ts'
import { fixBeacon } from './beacon.ts'
import type { TransactionContext } from './block-context.ts'
import { encodeWork, headerContext, mainHeaderAt, workOf } from './main-chain.ts'
import { orphanDeposits } from './peg-reorganisation.ts'

/**
 * Extends the main chain on record with headers in order, each checked in full: link, AuxPow of
 * chain id 1224, work, retarget, median time. They may leave the recorded chain below its tip if
 * they bring more work; what has the depth of FINAL is never replaced (PROTOCOL 9).
 */
export function applyMainHeaders(
  draft: LedgerDraft,
  payload: MainHeaders,
  context: TransactionContext,
): Result<undefined> {
  const decoded = decodeHeaders(payload.headers)
  if (!decoded.ok) return decoded
  const parent = forkPoint(draft, decoded.value)
  if (!parent.ok) return parent
  const checked = checkBranch(draft, parent.value, decoded.value, context.height)
  if (!checked.ok) return checked
  const tip = mainHeaderAt(draft, draft.globals().mainTipHeight)
  const newTip = checked.value.at(-1)
  assert(tip !== undefined && newTip !== undefined, 'both branches have a tip')
  if (workOf(newTip) <= workOf(tip)) {
    return fault('MAIN_HEADERS_WORK', 'the headers bring no more work than the recorded chain', {
      tip: tip.height,
      offered: newTip.height,
    })
  }
  orphanReplaced(draft, parent.value.height, context)
  for (const record of checked.value) {
    draft.mainHeaders.set(record.height % MAIN_HEADERS_KEPT, record)
  }
  const globals = draft.globals()
  const oldest = newTip.height - MAIN_HEADERS_KEPT + 1
  draft.setGlobals({
    ...globals,
    mainTipHeight: newTip.height,
    mainBaseHeight: Math.max(globals.mainBaseHeight, oldest),
  })
  refreshAnchors(draft, parent.value.height)
  fixBeacon(draft, context.height)
  return ok()
}

/** Deposits of recorded headers that give way lose their backing. */
function orphanReplaced(draft: LedgerDraft, forkHeight: number, context: TransactionContext): void {
  const replaced = mainHeaderAt(draft, forkHeight + 1)
  if (replaced) orphanDeposits(draft, forkHeight, replaced.recordedAt, context)
}

function decodeHeaders(raw: readonly Uint8Array[]): Result<DecodedHeader[]> {
  if (raw.length === 0) return fault('MAIN_HEADERS_EMPTY', 'there is no header to record')
  const headers: DecodedHeader[] = []
  for (const bytes of raw) {
    const decoded = decodeHeaderWithAuxPow(bytes)
    if (!decoded.ok) return decoded
    if (decoded.value.length !== bytes.length) {
      return fault('MAIN_HEADER_TRAILING', 'bytes follow the end of a header')
    }
    headers.push(decoded.value)
  }
  return ok(headers)
}

/** The recorded header that the first one stands on. */
function forkPoint(
  draft: LedgerDraft,
  headers: readonly DecodedHeader[],
): Result<Readonly<MainHeaderRecord>> {
  const first = headers[0]?.header
  assert(first !== undefined, 'an empty list was refused before')
  const parent = mainHeaderAt(draft, first.height - 1)
  if (parent === undefined || !bytesEqual(parent.hash, first.previous)) {
    return fault('MAIN_HEADER_UNKNOWN_PARENT', 'the first header stands on none on record', {
      height: first.height,
      tip: draft.globals().mainTipHeight,
    })
  }
  const depth = draft.globals().mainTipHeight - parent.height
  if (depth >= draft.params.anchorFinalMainBlocks) {
    return fault('MAIN_REORG_TOO_DEEP', `headers ${depth} deep are final here and stay`, { depth })
  }
  return ok(parent)
}

function checkBranch(
  draft: LedgerDraft,
  parent: Readonly<MainHeaderRecord>,
  headers: readonly DecodedHeader[],
  recordedAt: number,
): Result<MainHeaderRecord[]> {
  const { mainChain } = draft.params
  const records: MainHeaderRecord[] = []
  let context = headerContext(draft, parent)
  let work = workOf(parent)
  for (const decoded of headers) {
    const checked = checkHeader(decoded, context, mainChain)
    if (!checked.ok) return checked
    context = advanceContext(context, decoded, mainChain)
    work += checked.value.work
    records.push(mainHeaderRecord(decoded, work, recordedAt))
  }
  return ok(records)
}

export function mainHeaderRecord(
  decoded: DecodedHeader,
  work: bigint,
  recordedAt: number,
): MainHeaderRecord {
  const { header } = decoded
  return {
    hash: decoded.hash,
    merkleRoot: header.merkleRoot,
    bitcoinHash: decoded.bitcoinParentHash,
    height: header.height,
    time: header.timestamp,
    bits: header.bits,
    work: encodeWork(work),
    recordedAt,
  }
}
