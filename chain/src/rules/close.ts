import { assert } from '../bytes/assert.ts'
import { bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { addressOf } from '../bytes/signature.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { ReceiptKind } from '../types/receipts.ts'
import { NONE, type Rail } from '../types/records.ts'
import { type Close, CloseKind } from '../types/transactions.ts'
import { credit } from './accounts.ts'
import type { TransactionContext } from './block-context.ts'
import { endContractIfOver, FREED_INDEXES_MAX, hasLiveRails, isFillOver } from './contract-end.ts'
import { removeEntry } from './inventory.ts'
import {
  type Ask,
  askOf,
  closingResolution,
  contractOf,
  isInSnapshot,
  isStorageRail,
  liveContract,
  liveRail,
  nodeOf,
  railBytes,
  railWeight,
} from './rail-terms.ts'
import { bookFees, payNode, settleRail } from './settle-rail.ts'
import { minimumEpochs, railRests } from './settlement.ts'
import { touchNode } from './touch-node.ts'
import { unpaidStep } from './unpaid-step.ts'

/**
 * Closes a rail in two steps (PROTOCOL 6.7): the first asks, from when on nothing more is earned;
 * the second, which anyone may send, settles, refunds and frees. Or asks for all rails of a
 * contract at once, and ends a contract that has none left.
 */
export function applyClose(
  draft: LedgerDraft,
  close: Close,
  context: TransactionContext,
): Result<undefined> {
  if (close.kind === CloseKind.contract) return closeContract(draft, close, context)
  if (close.kind !== CloseKind.rail) {
    return fault('CLOSE_KIND', 'a close names a rail or a contract', { kind: close.kind })
  }
  const found = liveRail(draft, close.target, close.generation)
  if (!found.ok) return found
  touchNode(draft, found.value.node, context)
  const ask = askOf(draft, found.value, context.epoch)
  return ask
    ? settleClosed(draft, close.target, ask, context)
    : askClose(draft, close.target, context)
}

function railAt(draft: LedgerDraft, index: number): Readonly<Rail> {
  const rail = draft.rails.get(index)
  assert(rail, 'a rail index names no rail')
  return rail
}

function askClose(
  draft: LedgerDraft,
  index: number,
  context: TransactionContext,
): Result<undefined> {
  const rail = railAt(draft, index)
  const isPayer = bytesEqual(context.senderAddress, rail.payer)
  const openToAll = rail.end + draft.params.graceEpochs
  if (!isPayer && context.epoch < openToAll) {
    return fault('NOT_PAYER', 'only its payer may close the rail before end and grace are over', {
      openToAll,
    })
  }
  draft.rails.set(index, { ...rail, askEpoch: context.epoch, askHeight: context.height })
  emitClose(draft, index, { asked: true, time: 0n, units: 0n, burned: 0n, held: 0n }, context)
  return ok()
}

/** Whether the second step must still wait, and why. */
function checkSettleable(
  draft: LedgerDraft,
  rail: Readonly<Rail>,
  ask: Ask,
  context: TransactionContext,
): Result<undefined> {
  const node = nodeOf(draft, rail)
  const earliest = ask.epoch + draft.params.proofWindowEpochs
  if (context.epoch < earliest) {
    return fault('CLOSE_TOO_EARLY', `the rail settles from epoch ${earliest} on`, { earliest })
  }
  if (node.evicted) return ok()
  const isDrawn = railWeight(rail) > 0n && rail.clearedEpoch === NONE && rail.lostEpoch === NONE
  if (isDrawn && !closingResolution(draft, node.log, rail, ask)) {
    return fault('CLOSE_UNRESOLVED', 'no challenge since the ask has been resolved yet')
  }
  // The openings of an open challenge need the rail's root: it cannot be freed under them.
  if (node.challenge !== NONE && isInSnapshot(rail, node.challenge)) {
    return fault('CHALLENGE_OPEN', 'an open challenge of its node can still draw the rail', {
      challenge: node.challenge,
    })
  }
  // Nor under a challenge of this epoch that opens only when its beacon comes: the snapshot it
  // will draw from still holds the rail, and an honest node could not answer.
  const mayOpen = draft.epochs.get(context.epoch)?.beaconHeight === 0
  if (mayOpen && isInSnapshot(rail, context.epoch)) {
    return fault('CHALLENGE_PENDING', 'the beacon of this epoch may still draw the rail', {
      epoch: context.epoch,
    })
  }
  return ok()
}

/** Epochs due at least: the minimum charge, if the rail was still there when it was closed. */
function minimumCharge(draft: LedgerDraft, rail: Readonly<Rail>, ask: Ask): number {
  if (!isStorageRail(rail) || rail.left || rail.lostEpoch !== NONE) return 0
  const closing = closingResolution(draft, nodeOf(draft, rail).log, rail, ask)
  if (!closing?.passed || !isInSnapshot(rail, closing.epoch)) return 0
  return minimumEpochs(draft.params, rail)
}

function settleClosed(
  draft: LedgerDraft,
  index: number,
  ask: Ask,
  context: TransactionContext,
): Result<undefined> {
  const rail = railAt(draft, index)
  const allowed = checkSettleable(draft, rail, ask, context)
  if (!allowed.ok) return allowed
  const terms = { epochsMin: minimumCharge(draft, rail, ask), releases: true }
  const booking = settleRail(draft, index, rail, context, terms)
  bookFees(draft, rail.node, booking, context)
  payNode(draft, rail.node, booking.proceeds, 0n, context)
  const settled = railAt(draft, index)
  const rests = railRests(settled)
  const step = settled.unpaid ? unpaidStep(settled) : 0n
  const burned = step < rests.units ? step : rests.units
  burnForfeit(draft, burned)
  const units = rests.units - burned
  credit(draft, rail.payer, rests.time + units)
  const held = settled.held - settled.forfeited
  emitClose(draft, index, { asked: false, time: rests.time, units, burned, held }, context)
  freeRail(draft, index, context)
  return ok()
}

function burnForfeit(draft: LedgerDraft, amount: bigint): void {
  if (amount === 0n) return
  const globals = draft.globals()
  draft.setGlobals({ ...globals, burnedForfeit: globals.burnedForfeit + amount })
}

/** Takes the rail out of its node's inventory and its contract, and its index for reuse. */
function freeRail(draft: LedgerDraft, index: number, context: TransactionContext): void {
  const rail = railAt(draft, index)
  if (isStorageRail(rail) && !nodeOf(draft, rail).evicted) {
    const bytes = rail.lostEpoch === NONE ? railBytes(rail) : 0
    removeEntry(draft, rail.node, rail.entry, bytes, context.epoch)
  }
  draft.rails.set(index, {
    ...rail,
    live: false,
    generation: rail.generation + 1,
    entry: NONE,
  })
  const globals = draft.globals()
  if (globals.freeRails.length < FREED_INDEXES_MAX) {
    draft.setGlobals({ ...globals, freeRails: [...globals.freeRails, { index }] })
  }
  const contract = contractOf(draft, rail)
  if (!contract) return
  const slot = contract.rails[rail.slot]
  assert(slot, 'a rail stands in a slot of its contract')
  if (slot.rail === index) {
    const rails = [...contract.rails]
    // The root stays: whoever refills the slot must bring the same bytes (PROTOCOL 5.1).
    rails[rail.slot] = { ...slot, rail: NONE }
    draft.contracts.set(rail.contract, { ...contract, rails })
  } else {
    draft.contracts.set(rail.contract, { ...contract, detached: contract.detached - 1 })
  }
  endContractIfOver(draft, rail.contract, context)
}

function emitClose(
  draft: LedgerDraft,
  index: number,
  amounts: { asked: boolean; time: bigint; units: bigint; burned: bigint; held: bigint },
  context: TransactionContext,
): void {
  const rail = railAt(draft, index)
  context.emit({
    selector: ReceiptKind.close,
    value: {
      rail: index,
      generation: rail.generation,
      node: addressOf(nodeOf(draft, rail).nodeKey),
      payer: rail.payer,
      contract: rail.contract,
      asked: amounts.asked,
      refundTime: amounts.time,
      refundUnits: amounts.units,
      burnedUnits: amounts.burned,
      releasedHeld: amounts.held,
    },
  })
}

function closeContract(
  draft: LedgerDraft,
  close: Close,
  context: TransactionContext,
): Result<undefined> {
  const { target: index, generation } = close
  const found = liveContract(draft, index, generation)
  if (!found.ok) return found
  const contract = found.value
  const isOver = isFillOver(draft, contract, context.epoch)
  if (!isOver && !bytesEqual(context.senderAddress, contract.payer)) {
    return fault('NOT_PAYER', 'only its payer may close a contract')
  }
  if ((isOver || contract.askEpoch !== NONE) && hasLiveRails(contract)) {
    return fault('RAILS_LIVE', 'the contract is closing: close its rails, each by itself')
  }
  if (contract.askEpoch === NONE) {
    const asked = { askEpoch: context.epoch, askHeight: context.height }
    draft.contracts.set(index, { ...contract, ...asked })
  }
  endContractIfOver(draft, index, context)
  return ok()
}
