import { bytesToHex, formatAddress } from '@ioex/chain/bytes'
import { checkpointHeight } from '@ioex/chain/params'
import { type DueOpening, explainEviction, explainForfeit } from '@ioex/chain/rules'
import {
  type EvictionReceipt,
  type ForfeitReceipt,
  NONE,
  type Receipt,
  ReceiptKind,
} from '@ioex/chain/types'
import type { ReceiptExplanation } from '../contract/receipts-methods.ts'
import type { LedgerSource } from './ledger-source.ts'
import { eachReceipt } from './receipt-pages.ts'

/**
 * Why an interval was forfeited or a node evicted, so that anyone with headers replays it: seed,
 * draws, leaves, heights. Null for a receipt of another kind, which carries all its own inputs.
 */
export async function explanationOf(
  ledger: LedgerSource,
  receipt: Receipt,
): Promise<ReceiptExplanation | null> {
  const { body } = receipt
  if (body.selector === ReceiptKind.forfeit) {
    return { kind: 'forfeit', forfeits: [await forfeitJson(ledger, body.value)] }
  }
  if (body.selector !== ReceiptKind.eviction) return null
  const forfeits = await strikesOf(ledger, receipt, body.value)
  const explained = await Promise.all(forfeits.map((forfeit) => forfeitJson(ledger, forfeit)))
  return { kind: body.value.rail === NONE ? 'eviction' : 'held-pay-lost', forfeits: explained }
}

/** The strikes that an eviction rests on; none for the hold of a single rail. */
async function strikesOf(
  ledger: LedgerSource,
  receipt: Receipt,
  eviction: EvictionReceipt,
): Promise<readonly ForfeitReceipt[]> {
  if (eviction.rail !== NONE) return []
  const forfeits: ForfeitReceipt[] = []
  const query = { node: eviction.node, kind: 'forfeit', toEpoch: receipt.epoch } as const
  for await (const { body, height } of eachReceipt(ledger, query)) {
    if (body.selector === ReceiptKind.forfeit && height <= receipt.height) {
      forfeits.push(body.value)
    }
  }
  const run = explainEviction(ledger.params, eviction, forfeits)
  return run.ok ? run.value : []
}

async function forfeitJson(ledger: LedgerSource, forfeit: ForfeitReceipt) {
  const { params } = ledger
  const explained = explainForfeit(params, forfeit, await inventoryOf(ledger, forfeit))
  const checkpoint = await ledger.epoch(forfeit.epoch - 1)
  return {
    node: formatAddress(forfeit.node, params.addressPrefix),
    epoch: forfeit.epoch,
    strikes: forfeit.strikes,
    strikesToEvict: params.strikesToEvict,
    fromEpoch: forfeit.fromEpoch,
    toEpoch: forfeit.toEpoch,
    beacon: bytesToHex(forfeit.beacon),
    beaconBlock: explained.isDrawn ? explained.beaconHeight : null,
    checkpointBlock: checkpointHeight(params, forfeit.epoch - 1),
    checkpointHash: checkpoint ? bytesToHex(checkpoint.checkpointHash) : null,
    seed: bytesToHex(explained.seed),
    draw: explained.draw.toString(),
    rate: explained.rate.toString(),
    firstBlock: explained.firstBlock,
    lastBlock: explained.lastBlock,
    inventoryRoot: bytesToHex(forfeit.inventoryRoot),
    inventorySum: forfeit.inventorySum.toString(),
    openings: explained.openings.map(openingJson),
  }
}

function openingJson({ position, drawn }: DueOpening, opening: number) {
  return {
    opening,
    position: position.toString(),
    entry: drawn?.entry ?? null,
    rail: drawn?.rail ?? null,
    leaf: drawn?.leaf ?? null,
  }
}

/** The snapshot that was drawn from, if this node still keeps it, with its rails' sizes. */
async function inventoryOf(ledger: LedgerSource, forfeit: ForfeitReceipt) {
  const node = await ledger.nodeByAddress(forfeit.node)
  const entries = node && (await ledger.inventory(node.index, forfeit.inventoryRoot))
  if (!entries) return undefined
  const leaves = new Map<string, number>()
  for (const { rail, generation } of entries) {
    const record = await ledger.railAt(rail)
    if (record?.generation === generation) leaves.set(`${rail}-${generation}`, record.leaves)
  }
  const leavesOf = (rail: number, generation: number) => leaves.get(`${rail}-${generation}`)
  return { entries, leavesOf }
}
