import { assert } from '../bytes/assert.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { addressOf } from '../bytes/signature.ts'
import { LEAF_BYTES } from '../bytes/slot-tree.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { LEAVES_PER_GIB, ZERO_HASH } from '../types/primitives.ts'
import { RefillBy, type RefillReceipt, ReceiptKind } from '../types/receipts.ts'
import { type Contract, type ContractSlot, NONE, type Rail } from '../types/records.ts'
import { debit } from './accounts.ts'
import type { TransactionContext } from './block-context.ts'
import { paidForRefill, refillBudget, spendPot } from './contract-pot.ts'
import { burnBaseFee } from './fees.ts'
import { addEntry } from './inventory.ts'
import { CreationKind } from './open-contract.ts'
import { emptyRail, takeRailIndex } from './open-relay.ts'
import { railWeight } from './rail-terms.ts'
import { billedLeaves, byteFee, railNeed, timeAmount } from './settlement.ts'
import { movableLock, type Vacancy } from './slot-vacancy.ts'

/** How a lottery drew the node that refills. */
export type LotteryDraw = Pick<RefillReceipt, 'beacon' | 'nodes' | 'draw' | 'chance'>

/** Who takes which open slot on what terms. */
export interface Refilling {
  readonly contract: number
  readonly slot: number
  readonly vacancy: Vacancy
  /** Index of the node that takes it. */
  readonly node: number
  readonly price: bigint
  readonly unitPrice: bigint
  readonly by: number
  readonly lottery?: LotteryDraw
}

/** Locks of a refilled rail and what paid for them, units. */
interface Funds {
  readonly term: number
  readonly lockTime: bigint
  readonly lockUnits: bigint
  readonly fromFormer: bigint
  readonly fromPayer: bigint
}

/**
 * Puts a new rail into an open slot under the slot's root (PROTOCOL 5.1, 5.2). What the former
 * rail can no longer owe pays for it, as far into the term as it reaches; the node gets no
 * bounty. A slot whose rail was closed has been refunded: its payer locks anew. The byte fee is
 * the pot's, and what that lacks is booked on the node's debt.
 */
export function refillSlot(
  draft: LedgerDraft,
  refilling: Refilling,
  context: TransactionContext,
): Result<undefined> {
  const { contract: index, slot, vacancy, node } = refilling
  const former = draft.rails.get(vacancy.formerRail)
  if (former?.node === node) {
    return fault('OWN_LOST_SLOT', 'a node does not refill a slot that it gave up', { slot })
  }
  if (former && vacancy.why === 'left') handOver(draft, vacancy.formerRail, context.epoch)
  const funds = fundsOf(draft, refilling, context)
  if (!funds.ok) return funds
  const contract = contractAt(draft, index)
  const paid = debit(draft, contract.payer, funds.value.fromPayer)
  if (!paid.ok) return paid
  const ended = draft.rails.get(vacancy.formerRail)
  if (ended) {
    const lockTime = ended.lockTime - funds.value.fromFormer
    draft.rails.set(vacancy.formerRail, { ...ended, lockTime })
  }
  const rail = createRail(draft, refilling, funds.value, context)
  takeSlot(draft, refilling, rail)
  payFee(draft, refilling, { ...funds.value, rail }, context)
  return ok()
}

/**
 * A hand-over ends the notice of the rail that it replaces: one owner of both nodes would else be
 * paid twice for bytes that it keeps once, and the slot's money would end that much earlier.
 */
function handOver(draft: LedgerDraft, formerRail: number, nowEpoch: number): void {
  const former = draft.rails.get(formerRail)
  assert(former?.left, 'only a rail under notice is handed over')
  draft.rails.set(formerRail, { ...former, end: Math.min(former.end, nowEpoch + 1) })
}

function contractAt(draft: LedgerDraft, index: number): Readonly<Contract> {
  const contract = draft.contracts.get(index)
  assert(contract?.live, 'a contract index names no contract')
  return contract
}

function slotAt(contract: Readonly<Contract>, slot: number): Readonly<ContractSlot> {
  const found = contract.rails[slot]
  assert(found, 'a contract has no such slot')
  return found
}

/** Last epoch of a refill, exclusive: the former rail's, or that of the contract as opened. */
function refillEnd(contract: Readonly<Contract>, former: Readonly<Rail> | undefined): number {
  return Math.max(former?.end ?? 0, contract.openEpoch + 1 + contract.term)
}

/**
 * Epochs that a refill at this price would run: as long as the slot, and as the money that the
 * former rail can no longer owe. The rules refuse one below the minimum charge.
 */
export function refillTerm(
  draft: LedgerDraft,
  refill: {
    readonly contract: Readonly<Contract>
    readonly former: Readonly<Rail> | undefined
    readonly price: bigint
  },
  nowEpoch: number,
): number {
  const { contract, former, price } = refill
  const left = refillEnd(contract, former) - nowEpoch - 1
  const weight = price * billedLeaves(contract.leaves)
  if (!former || weight === 0n) return left
  const movable = movableLock(draft, former, nowEpoch)
  return Math.min(left, Number((movable * LEAVES_PER_GIB) / weight))
}

function fundsOf(
  draft: LedgerDraft,
  { contract: index, vacancy, price, by }: Refilling,
  context: TransactionContext,
): Result<Funds> {
  const contract = contractAt(draft, index)
  const { leaves } = contract
  const former = draft.rails.get(vacancy.formerRail)
  const movable = former ? movableLock(draft, former, context.epoch) : 0n
  const term = refillTerm(draft, { contract, former, price }, context.epoch)
  const { minimumChargeEpochs } = draft.params
  if (term < minimumChargeEpochs) {
    return fault('REFILL_TERM', 'too little of the term, or of its lock, is left for a refill', {
      term,
      minimumChargeEpochs,
    })
  }
  const lockTime = timeAmount(price, leaves, term)
  if (former) {
    const rest = movable - lockTime
    const lockUnits = rest < contract.lockUnits ? rest : contract.lockUnits
    const fromFormer = lockTime + lockUnits
    return ok({ term, lockTime, lockUnits, fromFormer, fromPayer: 0n })
  }
  if (by !== RefillBy.payer) {
    return fault('REFILL_UNFUNDED', 'the slot was closed and refunded: only its payer locks anew')
  }
  const { lockUnits } = contract
  return ok({ term, lockTime, lockUnits, fromFormer: 0n, fromPayer: lockTime + lockUnits })
}

/** A slot that its payer closed starts anew, so that no payer stores for nothing by turns. */
function chargedBefore(draft: LedgerDraft, { vacancy }: Refilling, nowEpoch: number): number {
  const former = draft.rails.get(vacancy.formerRail)
  return former ? former.chargedBefore + nowEpoch - former.fillEpoch : 0
}

/** The delegate's fee: as agreed, at most the slot's need and what serving rails left over. */
function feeOfRefill(draft: LedgerDraft, { contract, slot }: Refilling, need: bigint): bigint {
  const record = contractAt(draft, contract)
  const left = refillBudget(draft, record, slot) - paidForRefill(record, slot)
  return [need, left].reduce((least, one) => (one < least ? one : least), record.delegateFee)
}

/** Gives the new rail's index. */
function createRail(
  draft: LedgerDraft,
  refilling: Refilling,
  { term, lockTime, lockUnits }: Funds,
  context: TransactionContext,
): number {
  const contract = contractAt(draft, refilling.contract)
  const { root } = slotAt(contract, refilling.slot)
  const { leaves, payer } = contract
  const { node, price, unitPrice } = refilling
  const need = railNeed(draft.params, unitPrice, leaves)
  const index = takeRailIndex(draft)
  const generation = draft.rails.get(index)?.generation ?? 0
  const rail: Rail = {
    ...emptyRail(context.epoch, term),
    generation,
    payer,
    node,
    contract: refilling.contract,
    slot: refilling.slot,
    root,
    leaves,
    price,
    unitPrice,
    need,
    lockTime,
    lockUnits,
    chargedBefore: chargedBefore(draft, refilling, context.epoch),
    delegateFee: refilling.by === RefillBy.delegate ? feeOfRefill(draft, refilling, need) : 0n,
  }
  const entry = { rail: index, generation, weight: railWeight(rail) }
  draft.rails.set(index, rail)
  const position = addEntry(draft, node, entry, leaves * LEAF_BYTES, context.epoch)
  draft.rails.set(index, { ...rail, entry: position })
  context.emit({
    selector: ReceiptKind.creation,
    value: { kind: CreationKind.storageRail, index, generation, owner: payer },
  })
  return index
}

/** The slot names the new rail; a former one lives on beside it until it is closed. */
function takeSlot(draft: LedgerDraft, { contract: index, slot, vacancy }: Refilling, rail: number) {
  const contract = contractAt(draft, index)
  const rails = [...contract.rails]
  const place = slotAt(contract, slot)
  rails[slot] = { ...place, rail, refill: place.refill + 1 }
  draft.contracts.set(index, {
    ...contract,
    rails,
    detached: contract.detached + (vacancy.formerRail === NONE ? 0 : 1),
    // Vouchers for a refill are good while it lasts.
    repairs: contract.repairs.filter((repair) => repair.slot !== slot),
  })
}

function payFee(
  draft: LedgerDraft,
  refilling: Refilling,
  booked: Funds & { readonly rail: number },
  context: TransactionContext,
): void {
  const { contract: index, slot, vacancy, by, lottery } = refilling
  const fee = byteFee(draft.params, draft.params.fillBytes)
  const spent = spendPot(draft, index, fee)
  const fromPot = spent.fromHeld + spent.fromPot
  burnBaseFee(draft, fromPot)
  const node = draft.nodes.get(refilling.node)
  const rail = draft.rails.get(booked.rail)
  assert(node && rail, 'a refill has its node and rail')
  draft.nodes.set(refilling.node, { ...node, debt: node.debt + fee - fromPot })
  const { generation } = contractAt(draft, index)
  const { term, lockTime, lockUnits, fromFormer, fromPayer } = booked
  context.emit({
    selector: ReceiptKind.refill,
    value: {
      contract: index,
      generation,
      slot,
      refill: slotAt(contractAt(draft, index), slot).refill,
      root: rail.root,
      leaves: rail.leaves,
      formerRail: vacancy.formerRail,
      openSince: vacancy.since,
      rail: booked.rail,
      railGeneration: rail.generation,
      node: addressOf(node.nodeKey),
      by,
      price: rail.price,
      unitPrice: rail.unitPrice,
      term,
      lockTime,
      lockUnits,
      fromFormer,
      fromPayer,
      feeFromHeld: spent.fromHeld,
      feeFromPot: spent.fromPot,
      feeAsDebt: fee - fromPot,
      delegateFee: rail.delegateFee,
      ...(lottery ?? NO_DRAW),
    },
  })
}

const NO_DRAW: LotteryDraw = { beacon: ZERO_HASH, nodes: 0, draw: 0n, chance: 0n }
