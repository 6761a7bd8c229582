import { askOf, byteFee, railEpochs, railTotals, stopOf } from '@ioex/chain/rules'
import type { Indexed } from '@ioex/chain/state'
import {
  type Contract,
  KIB_PER_GIB,
  type Node,
  NONE,
  PayloadKind,
  type Rail,
  RAILS_PER_REDEEM_MAX,
  type Redeem,
  type SignedVoucher,
} from '@ioex/chain/types'
import type { ReservationLedger } from '../transfer/reservation-ledger.ts'
import type { RailLedger } from '../transfer/voucher-ledger.ts'
import { kibOf } from '../transfer/voucher-step.ts'
import type { ChainClient } from './chain-client.ts'
import { ledgerView } from './ledger-view.ts'

/** What a redeem must bring in relation to its byte fee, to be worth a transaction. */
const WORTH_FACTOR = 4n
/** Serialized bytes of a redeem beside its rails and vouchers, and of each of those. */
const REDEEM_FIXED_BYTES = 300
const REDEEM_RAIL_BYTES = 4
const REDEEM_VOUCHER_BYTES = 121

/** One rail of a redeem, and what it would bring now. */
interface DueRail {
  readonly index: number
  readonly voucher: SignedVoucher | undefined
  readonly proceeds: bigint
}

/**
 * Redeems that are worth their fee now: all rails of a node that would bring something, in
 * batches (PROTOCOL 7). `node` is the node's record as the rules see it now. With `always` even
 * small sums are redeemed, as long as they pay the byte fee.
 */
export async function dueRedeems(
  chain: ChainClient,
  ledger: RailLedger,
  parts: { nodeIndex: number; node: Readonly<Node>; nowEpoch: number; always?: boolean },
): Promise<{ selector: 6; value: Redeem }[]> {
  const rails = await chain.railsOfNode(parts.nodeIndex)
  const contracts = await contractsOf(chain, rails)
  const due: DueRail[] = []
  for (const { index, record } of rails) {
    const voucher = await ledger.voucher({ rail: index, generation: record.generation })
    const proceeds = proceedsOf(chain, { ...parts, contracts, rail: record, voucher })
    if (proceeds > 0n) due.push({ index, voucher, proceeds })
  }
  due.sort((a, b) => (a.proceeds < b.proceeds ? 1 : -1))
  const redeems: { selector: 6; value: Redeem }[] = []
  for (let at = 0; at < due.length; at += RAILS_PER_REDEEM_MAX) {
    const batch = due.slice(at, at + RAILS_PER_REDEEM_MAX)
    const vouchers = batch.flatMap(({ voucher }) => (voucher ? [voucher] : []))
    const fee = byteFee(chain.params, redeemBytes(batch.length, vouchers.length))
    const sum = batch.reduce((total, { proceeds }) => total + proceeds, 0n)
    // Whoever repeats it must bring as much again.
    const least = fee * (parts.always ? 1n : WORTH_FACTOR)
    if (sum < least) break
    const value = { rails: batch.map(({ index }) => index), vouchers, least }
    redeems.push({ selector: PayloadKind.redeem, value })
  }
  return redeems
}

/** What a node wrote down of its rails. */
export interface RailLedgers {
  readonly vouchers: RailLedger
  readonly reserved?: ReservationLedger | undefined
}

/**
 * Rails whose payer asked for the rest of its lock but did not sign for all that it got: saying so
 * burns the price of a step out of that rest (PROTOCOL 8). Once per rail.
 */
export async function unpaidRails(
  chain: ChainClient,
  ledgers: RailLedgers,
  parts: { nodeIndex: number; nowEpoch: number },
): Promise<number[]> {
  const rails = await chain.railsOfNode(parts.nodeIndex)
  const view = ledgerView(chain, { contracts: await contractsOf(chain, rails) })
  const unpaid: number[] = []
  for (const { index, record } of rails) {
    const isEnding = parts.nowEpoch >= record.end || askOf(view, record, parts.nowEpoch)
    const isFree = record.unitPrice === 0n && record.reservationPrice === 0n
    if (!isEnding || record.unpaid || isFree) continue
    if (await isUnpaid(ledgers, { rail: index, generation: record.generation })) unpaid.push(index)
  }
  return unpaid
}

/** True where more was used on a rail than its newest voucher signs for. */
async function isUnpaid(
  { vouchers, reserved }: RailLedgers,
  place: { readonly rail: number; readonly generation: number },
): Promise<boolean> {
  const entry = await vouchers.get(place)
  const { kib = 0, reservations = 0 } = entry?.newest[0]?.voucher ?? {}
  const used = await reserved?.get(place)
  return kibOf(entry?.usedBytes ?? 0) > kib || (used?.units ?? 0) > reservations
}

function redeemBytes(rails: number, vouchers: number): number {
  return REDEEM_FIXED_BYTES + rails * REDEEM_RAIL_BYTES + vouchers * REDEEM_VOUCHER_BYTES
}

async function contractsOf(
  chain: ChainClient,
  rails: readonly Indexed<Rail>[],
): Promise<Map<number, Contract>> {
  const contracts = new Map<number, Contract>()
  for (const { record } of rails) {
    if (record.contract === NONE || contracts.has(record.contract)) continue
    const contract = await chain.contract(record.contract)
    if (contract) contracts.set(record.contract, contract)
  }
  return contracts
}

/** What settling a rail now would pay out, before the byte fee. */
function proceedsOf(
  chain: ChainClient,
  parts: {
    readonly rail: Rail
    readonly voucher: SignedVoucher | undefined
    readonly node: Readonly<Node>
    readonly nowEpoch: number
    readonly contracts: ReadonlyMap<number, Contract>
  },
): bigint {
  const { rail, node, nowEpoch, contracts } = parts
  const view = ledgerView(chain, { contracts })
  const stop = stopOf(node.log, rail, askOf(view, rail, nowEpoch))
  const { kib = 0, reservations = 0 } = parts.voucher?.voucher ?? {}
  const counted = {
    ...rail,
    kib: Math.max(rail.kib, kib),
    reservations: Math.max(rail.reservations, reservations),
  }
  const totals = railTotals(chain.params, counted, railEpochs(node.log, rail, stop))
  return totals.net - totals.held - (rail.net - rail.held)
}

/** Units that so many bytes over a rail cost, rounded up. */
export function trafficUnits(unitPrice: bigint, bytes: number): bigint {
  const kib = BigInt(Math.ceil(bytes / 1024))
  return (unitPrice * kib + KIB_PER_GIB - 1n) / KIB_PER_GIB
}
