import { assert } from '../bytes/assert.ts'
import type { NetworkParams } from '../params/network-params.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { AnchorState, type Epoch } from '../types/records.ts'
import { confirmationsOf } from './main-chain.ts'

/** State of an anchor whose main block has so many confirmations (the block itself is one). */
export function anchorStateAt(params: NetworkParams, confirmations: number): number {
  if (confirmations >= params.anchorFinalMainBlocks) return AnchorState.final
  if (confirmations >= params.anchorConfirmedMainBlocks) return AnchorState.confirmed
  return AnchorState.submitted
}

/**
 * Brings the states of all open anchors up to the main chain on record. Those above
 * `forkHeight`, the last header that stayed, lost their block and must be recorded anew.
 */
export function refreshAnchors(draft: LedgerDraft, forkHeight: number): void {
  const { openAnchors, lastFinalEpoch } = draft.globals()
  const stillOpen: number[] = []
  let newestFinal = lastFinalEpoch
  for (const epoch of openAnchors) {
    const record = epochAt(draft, epoch)
    const { anchorMainHeight } = record
    if (anchorMainHeight > forkHeight) {
      draft.epochs.set(epoch, { ...record, anchorMainHeight: 0, anchorState: AnchorState.none })
      continue
    }
    const state = anchorStateAt(draft.params, confirmationsOf(draft, anchorMainHeight))
    if (state !== record.anchorState) {
      const anchorFinalEpoch = state === AnchorState.final ? draft.globals().epoch : 0
      draft.epochs.set(epoch, { ...record, anchorState: state, anchorFinalEpoch })
    }
    if (state === AnchorState.final) newestFinal = Math.max(newestFinal, epoch)
    else stillOpen.push(epoch)
  }
  draft.setGlobals({
    ...draft.globals(),
    openAnchors: stillOpen,
    lastFinalEpoch: newestFinal,
    lastAnchoredEpoch: Math.max(newestFinal, ...stillOpen),
  })
}

function epochAt(draft: LedgerDraft, epoch: number): Readonly<Epoch> {
  const record = draft.epochs.get(epoch)
  assert(record !== undefined, 'an anchored epoch has its record')
  return record
}
