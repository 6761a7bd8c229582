import { isDrawn, lotteryOf, lotteryStart, refillTerm, type Vacancy } from '@ioex/chain/rules'
import type { Indexed } from '@ioex/chain/state'
import { type Contract, type Epoch, type Node, NONE, type Rail } from '@ioex/chain/types'
import type { ChainClient } from '../node/chain-client.ts'
import { ledgerView } from '../node/ledger-view.ts'
import { watchSlot } from './watch-contract.ts'

/** A slot in the lottery of last resort (PROTOCOL 5.2), with what stood there before. */
export interface LotterySlot {
  readonly contract: number
  readonly record: Contract
  readonly slot: number
  /** Number of the refill that a claim would be. */
  readonly refill: number
  readonly vacancy: Vacancy
  readonly former: Rail
  /** The node that stored it, its challenges decided up to now. */
  readonly formerNode: Node
}

/**
 * A slot that nobody refilled in time, judged by the rules on proven records; undefined for one
 * whose payer or delegate may still grant it, that is stored, or whose money reaches no further.
 */
export async function lotterySlot(
  chain: ChainClient,
  { index: contract, record }: Indexed<Contract>,
  slot: number,
  epoch: number,
): Promise<LotterySlot | undefined> {
  const { vacancy, rail, node } = await watchSlot(chain, record, slot, epoch)
  if (!vacancy || !rail || !node || vacancy.since === NONE) return undefined
  const former = rail.record
  const now = await chain.epoch(epoch)
  const view = ledgerView(chain, {
    nodes: new Map([[former.node, node.record]]),
    epochs: new Map(now ? [[epoch, now]] : []),
  })
  if (epoch < lotteryStart(view, vacancy.since)) return undefined
  const term = refillTerm(view, { contract: record, former, price: former.price }, epoch)
  if (term < chain.params.minimumChargeEpochs) return undefined
  const refill = (record.rails[slot]?.refill ?? 0) + 1
  return { contract, record, slot, refill, vacancy, former, formerNode: node.record }
}

/** Whether the lottery admits a node to the slot now; the window doubles every epoch. */
export async function isAdmitted(
  chain: ChainClient,
  { contract, slot, refill, vacancy }: LotterySlot,
  nodeAddress: Uint8Array,
  epoch: number,
): Promise<boolean> {
  const epochs = new Map<number, Epoch>()
  const last = Math.min(epoch, vacancy.since + chain.params.beaconRingEpochs)
  for (let at = vacancy.since + 1; at <= last; at++) {
    const found = await chain.epoch(at)
    if (!found) continue
    epochs.set(at, found)
    // The draw is from the first beacon after the opening: no later one is read.
    if (found.beaconHeight !== 0) break
  }
  const view = ledgerView(chain, { epochs, globals: await chain.globals() })
  const place = { contract, slot, refill, since: vacancy.since }
  const drawn = lotteryOf(view, place, nodeAddress, epoch)
  return drawn !== undefined && isDrawn(drawn)
}
