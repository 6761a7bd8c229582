import { assert } from '../bytes/assert.ts'
import { type HeaderContext, MEDIAN_TIME_HEADERS, retargetWindow } from '../elastos/header-rules.ts'
import { asInternalHash } from '../elastos/hash-orientation.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { MAIN_HEADERS_KEPT, type MainHeaderRecord } from '../types/records.ts'

/** The main chain as the state knows it: its last 2,048 headers by height (PROTOCOL 9). */
export function mainHeaderAt(
  draft: LedgerDraft,
  height: number,
): Readonly<MainHeaderRecord> | undefined {
  const { mainBaseHeight, mainTipHeight } = draft.globals()
  if (height < mainBaseHeight || height > mainTipHeight) return undefined
  const record = draft.mainHeaders.get(height % MAIN_HEADERS_KEPT)
  assert(record?.height === height, 'a header within the kept heights is on record')
  return record
}

/** 1 for the tip itself; 0 or less for a height that is not on record yet. */
export function confirmationsOf(draft: LedgerDraft, height: number): number {
  return draft.globals().mainTipHeight - height + 1
}

/** Work since the genesis' main checkpoint, as a number. */
export function workOf(record: Pick<MainHeaderRecord, 'work'>): bigint {
  let work = 0n
  for (let i = record.work.length - 1; i >= 0; i--) {
    work = (work << 8n) | BigInt(record.work[i] as number)
  }
  return work
}

export function encodeWork(work: bigint): Uint8Array {
  assert(work >= 0n && work < 1n << 256n, 'work fits 256 bits')
  const bytes = new Uint8Array(32)
  let rest = work
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = Number(rest & 255n)
    rest >>= 8n
  }
  return bytes
}

/** What the header after `parent` is checked against. */
export function headerContext(
  draft: LedgerDraft,
  parent: Readonly<MainHeaderRecord>,
): HeaderContext {
  const window = retargetWindow(draft.params.mainChain)
  const windowFirst = mainHeaderAt(draft, Math.floor(parent.height / window) * window)
  return {
    previous: {
      hash: asInternalHash(parent.hash),
      height: parent.height,
      time: parent.time,
      bits: parent.bits,
    },
    lastTimes: lastTimes(draft, parent.height),
    // Read only at a retarget; genesis' checkpoint starts a window, so it is known there.
    windowFirstTime: windowFirst?.time ?? 0,
  }
}

/**
 * Times of the last eleven headers, oldest first. Right above genesis' checkpoint they are not
 * all known, and a median of fewer could refuse what the main chain takes, so none is demanded.
 */
function lastTimes(draft: LedgerDraft, tipHeight: number): number[] {
  const times: number[] = []
  for (let height = tipHeight; height >= 0 && times.length < MEDIAN_TIME_HEADERS; height--) {
    const record = mainHeaderAt(draft, height)
    if (record === undefined) return []
    times.unshift(record.time)
  }
  return times
}
