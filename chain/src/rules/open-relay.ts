import { assert } from '../bytes/assert.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { ZERO_HASH } from '../types/primitives.ts'
import { NONE, type Rail } from '../types/records.ts'
import { ReceiptKind } from '../types/receipts.ts'
import type { OpenRelay } from '../types/transactions.ts'
import { debit } from './accounts.ts'
import type { TransactionContext } from './block-context.ts'
import { CreationKind } from './open-contract.ts'

/**
 * Opens a relay channel to a node: a rail without a root, which only vouchers pay from
 * `lockUnits` (PROTOCOL 2, 7, 8). It ends after the longest term, so that a channel whose payer
 * vanished can be closed by anyone some day.
 */
export function applyOpenRelay(
  draft: LedgerDraft,
  open: OpenRelay,
  context: TransactionContext,
): Result<undefined> {
  const { params } = draft
  if (open.unitPrice > params.priceMax || open.reservationPrice > params.priceMax) {
    return fault('PRICE_TOO_HIGH', `prices are at most ${params.priceMax} units`)
  }
  if (open.lockUnits === 0n) return fault('AMOUNT_ZERO', 'a relay rail locks at least one unit')
  const node = draft.nodeIndex(open.node)
  if (node === undefined) return fault('NODE_UNKNOWN', 'no node has this key address')
  if (draft.nodes.get(node)?.evicted) return fault('NODE_EVICTED', 'the node was evicted')
  const paid = debit(draft, context.senderAddress, open.lockUnits)
  if (!paid.ok) return paid
  const index = takeRailIndex(draft)
  const generation = draft.rails.get(index)?.generation ?? 0
  const rail: Rail = {
    ...emptyRail(context.epoch, params.termMaxEpochs),
    generation,
    payer: context.senderAddress,
    node,
    unitPrice: open.unitPrice,
    reservationPrice: open.reservationPrice,
    lockUnits: open.lockUnits,
  }
  draft.rails.set(index, rail)
  context.emit({
    selector: ReceiptKind.creation,
    value: { kind: CreationKind.relayRail, index, generation, owner: context.senderAddress },
  })
  return ok()
}

/** A live rail that starts now (s = epoch + 1, PROTOCOL 6.6), with nothing locked or counted. */
export function emptyRail(epoch: number, term: number): Rail {
  return {
    generation: 0,
    live: true,
    payer: new Uint8Array(20),
    node: NONE,
    contract: NONE,
    slot: 0,
    root: ZERO_HASH,
    leaves: 0,
    price: 0n,
    unitPrice: 0n,
    reservationPrice: 0n,
    need: 0n,
    lockTime: 0n,
    lockUnits: 0n,
    kib: 0,
    reservations: 0,
    paidTime: 0n,
    paidUnits: 0n,
    burned: 0n,
    validators: 0n,
    net: 0n,
    held: 0n,
    forfeited: 0n,
    fillEpoch: epoch,
    term,
    end: epoch + 1 + term,
    askEpoch: NONE,
    askHeight: 0,
    lostEpoch: NONE,
    left: false,
    entry: NONE,
    clearedEpoch: NONE,
    base: NONE,
    baseProven: 0,
    carriedE: 0,
    carriedElapsed: 0,
    delegateFee: 0n,
    delegatePaid: 0n,
    unpaid: false,
    chargedBefore: 0,
  }
}

/** A freed rail index, or the next new one. */
export function takeRailIndex(draft: LedgerDraft): number {
  const globals = draft.globals()
  const freed = globals.freeRails.at(-1)
  if (freed === undefined) return draft.rails.count
  draft.setGlobals({ ...globals, freeRails: globals.freeRails.slice(0, -1) })
  assert(draft.rails.get(freed.index)?.live === false, 'a free rail index is in use')
  return freed.index
}
