import { bytesToHex } from '@ioex/chain/bytes'
import {
  type Anchor,
  AnchorState,
  type AnchorReceipt,
  PayloadKind,
  type Receipt,
  ReceiptKind,
  ReceiptType,
} from '@ioex/chain/types'
import { PAGE_ITEMS_DEFAULT } from '../contract/json-forms.ts'
import type { ResultOf } from '../contract/methods.ts'
import type { Handlers } from './handler.ts'
import type { LedgerSource } from './ledger-source.ts'
import { eachReceipt } from './receipt-pages.ts'
import { notFound } from './rpc-fault.ts'
import { proveState } from './state-proofs.ts'
import { readReceiptCursor, receiptCursor } from './subjects.ts'

type AnchorView = ResultOf<'anchor_list'>['anchors'][number]
type Recorded = { readonly receipt: Receipt; readonly anchor: AnchorReceipt }

const stateNames = Object.keys(AnchorState) as (keyof typeof AnchorState)[]
const carrierNames = ['memo', 'sideChainPow'] as const

export function anchorHandlers(ledger: LedgerSource) {
  return {
    anchor_getStatus: () => status(ledger),
    async anchor_list({ fromEpoch, cursor, limit = PAGE_ITEMS_DEFAULT }) {
      const mainTipHeight = ledger.state().globals.mainTipHeight
      const { receipts, next } = await ledger.receipts({
        kind: 'anchor',
        ...(fromEpoch !== undefined && { fromEpoch }),
        ...(cursor !== undefined && { from: readReceiptCursor(cursor) }),
        limit,
      })
      const anchors: AnchorView[] = []
      for (const recorded of receipts.flatMap(anchorOf)) {
        anchors.push(await view(ledger, recorded, mainTipHeight))
      }
      return { anchors, next: receiptCursor(next), mainTipHeight }
    },
    async anchor_get({ epoch, prove }) {
      const recorded = await findAnchor(ledger, epoch)
      if (!recorded) throw notFound(`epoch ${epoch} is not anchored: see anchor_getStatus`)
      const shown = await view(ledger, recorded, ledger.state().globals.mainTipHeight)
      return prove ? { ...shown, proof: await mainProof(ledger, recorded) } : shown
    },
  } satisfies Handlers
}

async function status(ledger: LedgerSource): Promise<ResultOf<'anchor_getStatus'>> {
  const { height, epoch: currentEpoch } = ledger.status()
  const { mainTipHeight, lastAnchoredEpoch: newest } = ledger.state().globals
  const record = newest === 0 ? undefined : await ledger.epoch(newest)
  // The receipt, which names the carrier, may be missing: a node that joined by snapshot has the
  // state, and receipts only of the blocks after it.
  const recorded = record && (await findAnchor(ledger, newest))
  return {
    epoch: record ? newest : null,
    currentEpoch,
    lag: Math.max(0, currentEpoch - 1 - newest),
    mainHeight: record?.anchorMainHeight ?? null,
    mainTipHeight,
    confirmations: record ? Math.max(0, mainTipHeight - record.anchorMainHeight + 1) : 0,
    method: recorded ? methodOf(recorded.anchor) : null,
    state: stateNames[record?.anchorState ?? 0] ?? 'none',
    height,
  }
}

function methodOf({ carrier }: AnchorReceipt): (typeof carrierNames)[number] {
  return carrierNames[carrier] ?? 'memo'
}

function anchorOf(receipt: Receipt): Recorded[] {
  const { body } = receipt
  return body.selector === ReceiptKind.anchor ? [{ receipt, anchor: body.value }] : []
}

/**
 * The earliest standing anchor that covers the epoch: its own, or that of a later epoch, whose
 * checkpoint commits to all before it. One whose main block was reorganised away does not stand.
 */
async function findAnchor(ledger: LedgerSource, epoch: number): Promise<Recorded | undefined> {
  for await (const receipt of eachReceipt(ledger, { kind: 'anchor', fromEpoch: epoch })) {
    for (const recorded of anchorOf(receipt)) {
      const { anchor } = recorded
      if (anchor.epoch >= epoch && (await isStanding(ledger, anchor))) return recorded
    }
  }
  return undefined
}

async function isStanding(ledger: LedgerSource, anchor: AnchorReceipt): Promise<boolean> {
  const record = await ledger.epoch(anchor.epoch)
  return (
    record !== undefined &&
    record.anchorState !== AnchorState.none &&
    record.anchorMainHeight === anchor.mainHeight
  )
}

async function view(
  ledger: LedgerSource,
  { receipt, anchor }: Recorded,
  mainTipHeight: number,
): Promise<AnchorView> {
  const record = await ledger.epoch(anchor.epoch)
  return {
    epoch: anchor.epoch,
    checkpointHash: bytesToHex(anchor.checkpointHash),
    state: stateNames[record?.anchorState ?? 0] ?? 'none',
    mainHeight: anchor.mainHeight,
    mainHash: bytesToHex(anchor.mainHash),
    mainTransaction: bytesToHex(anchor.mainTransaction),
    confirmations: Math.max(0, mainTipHeight - anchor.mainHeight + 1),
    method: methodOf(anchor),
    receipt: bytesToHex(ReceiptType.hashTreeRoot(receipt)),
    height: receipt.height,
  }
}

/** What the anchor transaction brought of the main chain, and what the state made of it. */
async function mainProof(ledger: LedgerSource, { receipt, anchor: { epoch } }: Recorded) {
  const block = await ledger.block(receipt.height)
  const payload = block?.transactions[receipt.transaction]?.body.payload
  if (payload?.selector !== PayloadKind.anchor) {
    throw notFound(`block ${receipt.height} is not on this node any more`)
  }
  const anchor: Anchor = payload.value
  return {
    transaction: bytesToHex(anchor.transaction),
    branch: anchor.branch.map((hash) => bytesToHex(hash)),
    branchIndex: anchor.branchIndex,
    mainHeight: anchor.mainHeight,
    state: proveState(ledger, [
      { table: 'epochs', index: epoch },
      { table: 'globals', index: 0 },
    ]),
  }
}
