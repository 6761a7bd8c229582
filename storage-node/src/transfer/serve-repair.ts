import { addressOf, bytesEqual } from '@ioex/chain/bytes'
import { paidForRefill, refillBudget, repairBudgetKib } from '@ioex/chain/rules'
import {
  type Contract,
  KIB_PER_GIB,
  NONE,
  type Rail,
  SignedRepairVoucherType,
} from '@ioex/chain/types'
import type { ChainClient } from '../node/chain-client.ts'
import { onceKnown } from '../node/chain-lag.ts'
import { ledgerView } from '../node/ledger-view.ts'
import { watchSlot } from '../repair/watch-contract.ts'
import { RepairAnswerType, type RepairBlocks } from './messages.ts'
import { isOwner, type ProviderContext } from './provider-context.ts'
import { Refusal } from './refusal.ts'
import { openRepairMeter, type RepairTerms } from './repair-meter.ts'
import type { SecureChannel } from './secure-channel.ts'
import { servePaid } from './serve-blocks.ts'
import { repairKey } from './voucher-ledger.ts'

/** Readings under way: their meters count alone, so there is one per refill and rail. */
const busy = new WeakMap<ProviderContext, Set<string>>()

/**
 * Serves blocks of a stored slot to the delegate of its contract, which rebuilds another slot
 * from them; the contract's pot pays (PROTOCOL 7). The vouchers are good only while that slot is
 * open, so they are redeemed as soon as the session has ended.
 */
export async function serveRepair(
  context: ProviderContext,
  channel: SecureChannel,
  request: RepairBlocks,
): Promise<void> {
  const terms = await repairTerms(context, channel, request)
  const key = repairKey(terms.place)
  const running = busy.get(context) ?? new Set()
  busy.set(context, running)
  if (running.has(key)) throw new Refusal('REPAIR_BUSY', 'this refill reads the slot already')
  running.add(key)
  try {
    await servePaid(context, channel, {
      request,
      answerType: RepairAnswerType,
      voucherType: SignedRepairVoucherType,
      open: () => openRepairMeter(terms, context.repairs),
      close: async (meter) => {
        await meter.save()
        if (meter.newest) context.onRepairServed()
      },
    })
  } finally {
    running.delete(key)
  }
}

/** What the pot pays for, if the peer is the contract's delegate and the slot is open. */
async function repairTerms(
  { chain, nodeAddress, store }: ProviderContext,
  channel: SecureChannel,
  request: RepairBlocks,
): Promise<RepairTerms> {
  const { rail: railIndex, slot, lost, refill } = request
  const contract = await onceKnown(chain, async () => {
    const record = await chain.contract(request.contract)
    return record?.live && bytesEqual(record.salt, request.salt) ? record : undefined
  })
  if (!contract) throw new Refusal('CONTRACT_UNKNOWN', 'there is no such contract')
  const { peerOwnerKey } = channel
  if (!isOwner(channel, contract.delegate) || !peerOwnerKey) {
    throw new Refusal('NOT_DELEGATE', 'only the delegate of the contract reads slots for repair')
  }
  const rail = await chain.rail(railIndex)
  const node = rail?.live ? await chain.nodeAt(rail.node) : undefined
  const isMine = node !== undefined && bytesEqual(addressOf(node.nodeKey), nodeAddress)
  const isThere = contract.rails[slot]?.rail === railIndex && slot !== lost
  if (!rail || !isMine || !isThere || rail.lostEpoch !== NONE || !store.find(request)) {
    throw new Refusal('RAIL_UNKNOWN', `rail ${railIndex} does not store this slot here`)
  }
  const { epoch } = await chain.head()
  const { vacancy } = await watchSlot(chain, contract, lost, epoch)
  if (!vacancy || contract.rails[lost]?.refill !== refill) {
    throw new Refusal('SLOT_TAKEN', `slot ${lost} is not open for refill ${refill + 1}`)
  }
  const place = { contract: request.contract, generation: contract.generation, slot: lost, refill }
  const isForfeit = vacancy.why === 'lost' || vacancy.why === 'evicted'
  const former = isForfeit ? await chain.rail(vacancy.formerRail) : undefined
  return {
    chainId: chain.chainId,
    place: { ...place, rail: railIndex },
    delegateKey: peerOwnerKey,
    budgetKib: budgetKib(chain, contract, { lost, rail, railIndex, former }),
  }
}

/** KiB that pot and budget of the refill pay this rail in all, as the chain stands now. */
function budgetKib(
  chain: ChainClient,
  contract: Contract,
  of: { lost: number; rail: Rail; railIndex: number; former: Rail | undefined },
): number {
  const { lost, rail, railIndex, former } = of
  const ofSlot = contract.repairs.filter(({ slot }) => slot === lost)
  const own = ofSlot.find(
    (repair) => repair.rail === railIndex && repair.generation === rail.generation,
  )
  const kibOfOthers = ofSlot.reduce((sum, repair) => sum + (repair === own ? 0 : repair.kib), 0)
  const kibMax = repairBudgetKib(contract) - kibOfOthers
  if (rail.unitPrice === 0n) return kibMax
  // What a lost rail holds is forfeited, most of it to the pot, by the redeem itself at the latest.
  const held = former && former.held > former.forfeited ? former.held : (former?.forfeited ?? 0n)
  const rails = new Map(
    former && [[contract.rails[lost]?.rail ?? NONE, { ...former, forfeited: held }] as const],
  )
  const budget = refillBudget(ledgerView(chain, { rails }), contract, lost)
  const left = budget - paidForRefill(contract, lost, own)
  const inPot = contract.pot + (own?.paid ?? 0n)
  const kib = ((left < inPot ? left : inPot) * KIB_PER_GIB) / rail.unitPrice
  return Math.max(0, Math.min(kibMax, Number(kib)))
}
