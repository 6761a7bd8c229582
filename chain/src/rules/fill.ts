import { assert } from '../bytes/assert.ts'
import { bytesEqual } from '../bytes/hex.ts'
import { fault, ok, type Result } from '../bytes/result.ts'
import { addressOf, signingDigest, verifySignature } from '../bytes/signature.ts'
import { firstFalseOpening, LEAF_BYTES } from '../bytes/slot-tree.ts'
import type { NetworkParams } from '../params/network-params.ts'
import type { LedgerDraft } from '../state/ledger-draft.ts'
import { ReceiptKind, RefillBy } from '../types/receipts.ts'
import { type Contract, type ContractSlot, NONE, type Node, type Rail } from '../types/records.ts'
import { ZERO_HASH } from '../types/primitives.ts'
import {
  type Fill,
  NodeBindingType,
  type NodeIdentity,
  NodeRole,
  OPENINGS,
  type SlotGrant,
  SlotGrantType,
  type SlotOpening,
} from '../types/transactions.ts'
import { credit } from './accounts.ts'
import type { TransactionContext } from './block-context.ts'
import { fillLeaves, newestBeacons } from './challenge.ts'
import { burnBaseFee } from './fees.ts'
import { addEntry } from './inventory.ts'
import { newNode } from './new-node.ts'
import { CreationKind } from './open-contract.ts'
import { emptyRail, takeRailIndex } from './open-relay.ts'
import { isFillOver } from './contract-end.ts'
import { railWeight } from './rail-terms.ts'
import { refillSlot } from './refill.ts'
import { byteFee, isDust, railNeed, repairPrice, slotReserve, timeAmount } from './settlement.ts'
import { openVacancy, type Vacancy } from './slot-vacancy.ts'
import { touchNode } from './touch-node.ts'

/** Beacons that openings of a fill may be drawn from: the newest, and the one it replaced. */
const FILL_BEACONS = 2

/**
 * A node takes a slot that the payer granted to it (PROTOCOL 5.2): shows eight leaves of the
 * slot, and gets a rail. The first fill of a new node creates its record, under an owner who
 * signed for it. Free for the node: the contract prepaid the byte fee.
 */
export function applyFill(
  draft: LedgerDraft,
  fill: Fill,
  context: TransactionContext,
): Result<undefined> {
  const { grant } = fill
  const contract = draft.contracts.get(grant.contract)
  if (!contract?.live || !bytesEqual(contract.salt, grant.salt)) {
    return fault('CONTRACT_UNKNOWN', 'there is no such contract', { contract: grant.contract })
  }
  const slot = contract.rails[grant.slot]
  if (!slot) return fault('SLOT_UNKNOWN', `the contract has ${contract.n} slots`)
  const granted = checkGrant(draft, fill, contract, slot, context)
  if (!granted.ok) return granted
  const isRefill = !bytesEqual(slot.root, ZERO_HASH)
  const vacancy = isRefill ? checkRefill(draft, grant, slot, context) : checkFirst(grant)
  if (!vacancy.ok) return vacancy
  const opened = checkFillOpenings(draft, grant, fill.openings, context)
  if (!opened.ok) return opened
  const signed = checkGrantSignature(draft.chainId, fill, contract, isRefill)
  if (!signed.ok) return signed
  const found = fillingNode(draft, fill, context)
  if (!found.ok) return found
  const assignable = checkAssignable(draft, found.value, grant)
  if (!assignable.ok) return assignable
  if (!vacancy.value) {
    createRail(draft, found.value, grant, context)
    return ok()
  }
  const { price, unitPrice } = grant
  const place = { contract: grant.contract, slot: grant.slot, vacancy: vacancy.value }
  const refilling = { ...place, node: found.value, price, unitPrice, by: signed.value }
  return refillSlot(draft, refilling, context)
}

/** A slot that was never filled: the grant says so too, so that no grant is good twice. */
function checkFirst(grant: SlotGrant): Result<undefined> {
  return grant.refill === 0 ? ok() : grantOfOtherRefill(0)
}

/** An emptied slot takes the same bytes again, under a grant for this very refill. */
function checkRefill(
  draft: LedgerDraft,
  grant: SlotGrant,
  slot: Readonly<ContractSlot>,
  context: TransactionContext,
): Result<Vacancy> {
  const opened = openVacancy(draft, grant.contract, grant.slot, context)
  if (!opened.ok) return opened
  if (grant.refill !== slot.refill + 1) return grantOfOtherRefill(slot.refill + 1)
  if (bytesEqual(grant.root, slot.root)) return opened
  return fault('SLOT_ROOT', 'a refill brings the bytes that were there: the root is another')
}

function grantOfOtherRefill(refill: number) {
  return fault('GRANT_REFILL', `the next fill of the slot is number ${refill}`, { refill })
}

function checkGrant(
  draft: LedgerDraft,
  { grant }: Fill,
  contract: Readonly<Contract>,
  slot: Readonly<ContractSlot>,
  context: TransactionContext,
): Result<undefined> {
  if (!bytesEqual(grant.node, context.senderAddress)) {
    return fault('GRANT_OTHER_NODE', 'the slot was granted to another node')
  }
  if (contract.askEpoch !== NONE || isFillOver(draft, contract, context.epoch)) {
    return fault('CONTRACT_CLOSING', 'the contract takes no fills any more')
  }
  // Grants bear no date. An active contract may be completed during its term, not for ever.
  const lastly = contract.openEpoch + Math.max(contract.term, draft.params.fillDeadlineEpochs)
  if (bytesEqual(slot.root, ZERO_HASH) && context.epoch >= lastly) {
    return fault('CONTRACT_CLOSING', 'the term of the contract is over')
  }
  return checkTerms(draft.params, grant, contract)
}

function checkTerms(
  params: NetworkParams,
  grant: SlotGrant,
  contract: Readonly<Contract>,
): Result<undefined> {
  const { leaves, price, unitPrice } = grant
  if (leaves < 1 || leaves > contract.maxLeaves) {
    return fault('SLOT_SIZE', `a slot of this contract has 1 to ${contract.maxLeaves} leaves`)
  }
  if (contract.leaves !== 0 && leaves !== contract.leaves) {
    return fault('SLOT_UNEQUAL', `all slots of this contract have ${contract.leaves} leaves`)
  }
  if (price > contract.priceCap || unitPrice > contract.unitPriceCap) {
    return fault('PRICE_ABOVE_CAP', 'the granted price is above the cap of the contract')
  }
  if (isDust(params, price, leaves)) {
    return fault('SLOT_DUST', 'the pay of the slot over the minimum charge is below one unit')
  }
  return ok()
}

/** The bytes did arrive: eight leaves drawn only after the root was granted. */
export function checkFillOpenings(
  draft: LedgerDraft,
  place: Pick<SlotGrant, 'contract' | 'slot' | 'root' | 'leaves'>,
  openings: readonly SlotOpening[],
  context: TransactionContext,
): Result<undefined> {
  if (openings.length !== OPENINGS) {
    return fault('OPENINGS_COUNT', `a fill has ${OPENINGS} openings`)
  }
  const beacons = newestBeacons(draft, context.epoch, FILL_BEACONS)
  if (beacons.length === 0) {
    return fault('BEACON_MISSING', 'no beacon is fixed yet to draw openings from; try again later')
  }
  if (context.believesOpenings) return ok()
  const { contract, slot, root, leaves } = place
  const isOpened = beacons.some((beacon) => {
    const drawn = fillLeaves({ beacon, contract, slot, root, leaves })
    const claims = openings.map(({ leaf, path }, i) => {
      return { root, leafCount: leaves, leafIndex: drawn[i] as number, leaf, path }
    })
    return firstFalseOpening(claims) === undefined
  })
  if (isOpened) return ok()
  return fault('OPENING_LEAF', 'the openings are not those drawn from the newest beacon')
}

/** Who granted: the payer or, of a refill, the delegate. */
function checkGrantSignature(
  chainId: Uint8Array,
  { grant, payerKey, grantSignature }: Fill,
  contract: Readonly<Contract>,
  isRefill: boolean,
): Result<number> {
  const granter = addressOf(payerKey)
  const isPayer = bytesEqual(granter, contract.payer)
  if (!isPayer && !(isRefill && bytesEqual(granter, contract.delegate))) {
    return fault('GRANT_PAYER', 'the grant is not from the payer of the contract')
  }
  const digest = signingDigest('slot-grant', chainId, SlotGrantType.hashTreeRoot(grant))
  if (!verifySignature(grantSignature, digest, payerKey)) {
    return fault('GRANT_SIGNATURE', 'the signature of the grant is not valid')
  }
  return ok(isPayer ? RefillBy.payer : RefillBy.delegate)
}

/** The node, touched; a new one is created. A known node's identity is not looked at again. */
function fillingNode(draft: LedgerDraft, fill: Fill, context: TransactionContext): Result<number> {
  const known = draft.nodeIndex(context.senderAddress)
  if (known !== undefined) {
    if (!touchNode(draft, known, context).evicted) return ok(known)
    return fault('NODE_EVICTED', 'an evicted node takes no slots')
  }
  const [identity] = fill.identity
  if (!identity) {
    return fault('IDENTITY_MISSING', 'the first fill of a node carries its identity')
  }
  return createNode(draft, identity, context)
}

function createNode(
  draft: LedgerDraft,
  identity: NodeIdentity,
  context: TransactionContext,
): Result<number> {
  const nodeKey = context.sender
  const { payout } = identity
  const root = NodeBindingType.hashTreeRoot({ nodeKey, payout })
  const digest = signingDigest('possession', draft.chainId, root)
  if (!verifySignature(identity.signature, digest, identity.owner)) {
    return fault('IDENTITY_SIGNATURE', "the owner's signature over key and payout is not valid")
  }
  const index = draft.nodes.count
  const owner = addressOf(identity.owner)
  const { epoch } = context
  draft.nodes.set(
    index,
    newNode({ owner, nodeKey, payout, roles: NodeRole.peer, deposit: 0n, epoch }),
  )
  context.emit({
    selector: ReceiptKind.creation,
    value: { kind: CreationKind.node, index, generation: 0, owner },
  })
  return ok(index)
}

/**
 * Assignable bytes <= free allowance + held / need per byte (PROTOCOL 7): what a node may lose
 * beyond the allowance is covered by pay it has not been given yet.
 */
function checkAssignable(
  draft: LedgerDraft,
  nodeIndex: number,
  grant: SlotGrant,
): Result<undefined> {
  const node = draft.nodes.get(nodeIndex)
  assert(node, 'a node index names no node')
  const most = assignableBytes(draft.params, node, grant.unitPrice)
  const bytes = BigInt(node.inventoryBytes) + BigInt(grant.leaves * LEAF_BYTES)
  if (bytes <= most) return ok()
  return fault('BYTES_NOT_ASSIGNABLE', 'the node holds too little pay back for so many bytes', {
    bytes,
    assignable: most,
  })
}

/** Bytes that a node may hold in all when it takes a slot at this unit price. */
export function assignableBytes(
  params: NetworkParams,
  node: Readonly<Node>,
  unitPrice: bigint,
): bigint {
  return BigInt(params.freeAllowanceBytes) + coveredBytes(params, node, unitPrice)
}

/** Bytes that a node's held pay covers at this unit price, without any free allowance. */
export function coveredBytes(
  params: NetworkParams,
  node: Readonly<Node>,
  unitPrice: bigint,
): bigint {
  const needPerGib = 3n * repairPrice(params, unitPrice)
  return needPerGib === 0n ? 0n : (node.held << 30n) / needPerGib
}

function createRail(
  draft: LedgerDraft,
  nodeIndex: number,
  grant: SlotGrant,
  context: TransactionContext,
): void {
  const contract = draft.contracts.get(grant.contract)
  assert(contract, 'a grant names no contract')
  const { params } = draft
  const { price, unitPrice, leaves, root } = grant
  const index = takeRailIndex(draft)
  const generation = draft.rails.get(index)?.generation ?? 0
  const rail: Rail = {
    ...emptyRail(context.epoch, contract.term),
    generation,
    payer: contract.payer,
    node: nodeIndex,
    contract: grant.contract,
    slot: grant.slot,
    root,
    leaves,
    price,
    unitPrice,
    need: railNeed(params, unitPrice, leaves),
    lockTime: timeAmount(price, leaves, contract.term),
    lockUnits: contract.lockUnits,
  }
  const entry = { rail: index, generation, weight: railWeight(rail) }
  const bytes = leaves * LEAF_BYTES
  draft.rails.set(index, rail)
  const position = addEntry(draft, nodeIndex, entry, bytes, context.epoch)
  draft.rails.set(index, { ...rail, entry: position })
  takeSlot(draft, grant, index, rail)
  context.emit({
    selector: ReceiptKind.creation,
    value: { kind: CreationKind.storageRail, index, generation, owner: contract.payer },
  })
}

/** Moves the slot's locks into its rail, burns its prepaid fee, refunds what the cap reserved. */
function takeSlot(draft: LedgerDraft, grant: SlotGrant, railIndex: number, rail: Rail): void {
  const contract = draft.contracts.get(grant.contract)
  assert(contract, 'a grant names no contract')
  const reserve = slotReserve(contract)
  const fee = byteFee(draft.params, draft.params.fillBytes)
  const rails = [...contract.rails]
  rails[grant.slot] = { rail: railIndex, root: grant.root, refill: 0 }
  const filled = contract.filled + 1
  draft.contracts.set(grant.contract, {
    ...contract,
    rails,
    filled,
    active: contract.active || filled >= activationFills(contract),
    leaves: grant.leaves,
    unfilledLock: contract.unfilledLock - reserve,
    prepaidFees: contract.prepaidFees - fee,
  })
  burnBaseFee(draft, fee)
  credit(draft, contract.payer, reserve - rail.lockTime - rail.lockUnits)
}

/** Fills that make a contract active: k + ceil((n - k) / 2). */
export function activationFills({ k, n }: { readonly k: number; readonly n: number }): number {
  return k + Math.ceil((n - k) / 2)
}
