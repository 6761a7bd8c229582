import { presets } from '@ioex/genesis/presets'
import { assert } from '../../bytes/assert.ts'
import { sha256 } from '../../bytes/hash.ts'
import { bytesEqual, bytesToHex, utf8ToBytes } from '../../bytes/hex.ts'
import { ok, type Result } from '../../bytes/result.ts'
import { addressOf, publicKeyOf, sign, signingDigest } from '../../bytes/signature.ts'
import {
  LEAF_BYTES,
  openingFrom,
  SLOT_BLOCK_BYTES,
  SlotTreeBuilder,
  slotBlockBytes,
  type SlotTree,
} from '../../bytes/slot-tree.ts'
import { drawFromSumTree, sumPathOf } from '../../bytes/sum-tree.ts'
import type { NetworkParams } from '../../params/network-params.ts'
import { changedRecords, createLedger, draftOf, type Ledger, merge } from '../../state/ledger.ts'
import type { LedgerDraft } from '../../state/ledger-draft.ts'
import { type ReceiptBody, ReceiptKind } from '../../types/receipts.ts'
import type { Contract, Epoch, InventoryEntry, Node, Rail } from '../../types/records.ts'
import {
  CloseKind,
  type Fill,
  NodeBindingType,
  RepairVoucherType,
  type SignedRepairVoucher,
  type OpenContract,
  type Prove,
  type ProveOpening,
  type SignedVoucher,
  type SlotGrant,
  SlotGrantType,
  type SlotOpening,
  VoucherType,
} from '../../types/transactions.ts'
import { balanceOf, credit } from '../accounts.ts'
import type { TransactionContext } from '../block-context.ts'
import { challengeLeaf, fillLeaves, newestBeacons } from '../challenge.ts'
import { applyClaimSlot } from '../claim-slot.ts'
import { applyClearWeight } from '../clear-weight.ts'
import { applyClose } from '../close.ts'
import { closeEpoch, newEpoch, recordCheckpoint } from '../epoch-boundary.ts'
import { applyEvict } from '../evict.ts'
import { applyFill } from '../fill.ts'
import { inventoryTree } from '../inventory.ts'
import { applyLeave } from '../leave.ts'
import { applyOpenContract } from '../open-contract.ts'
import { applyOpenRelay } from '../open-relay.ts'
import { applyProve } from '../prove.ts'
import { applyRedeem } from '../redeem.ts'
import { applyRedeemRepair } from '../redeem-repair.ts'
import { auditSupply } from '../supply.ts'
import { applyTopUp } from '../top-up.ts'
import { challengeOf, touchNode } from '../touch-node.ts'

/** A key pair by name, the same in every run. */
export interface Actor {
  readonly name: string
  readonly secret: Uint8Array
  readonly key: Uint8Array
  readonly address: Uint8Array
}

const actors = new Map<string, Actor>()

export function actor(name: string): Actor {
  let found = actors.get(name)
  if (!found) {
    const secret = sha256(utf8ToBytes(`actor ${name}`))
    const key = publicKeyOf(secret)
    found = { name, secret, key, address: addressOf(key) }
    actors.set(name, found)
  }
  return found
}

/** What a provider keeps of an inventory to prove from it. */
interface InventoryTree {
  readonly entries: readonly InventoryEntry[]
  readonly tree: ReturnType<typeof inventoryTree>
}

/** A slot of a provider: seeded bytes and their tree. */
export interface Slot {
  readonly bytes: Uint8Array
  readonly tree: SlotTree
  /** By leaf, as far as made: a slot is opened again and again. */
  readonly openings: Map<number, SlotOpening>
}

const slots = new Map<string, Slot>()

export function slotData(seed: string, leaves: number): Slot {
  const name = `${seed}/${leaves}`
  let slot = slots.get(name)
  if (!slot) {
    const bytes = new Uint8Array(leaves * LEAF_BYTES)
    for (let i = 0; i < bytes.length; i += 32) bytes.set(sha256(utf8ToBytes(`${seed} ${i}`)), i)
    const builder = new SlotTreeBuilder()
    for (let i = 0; i < bytes.length; i += SLOT_BLOCK_BYTES) {
      builder.append(bytes.subarray(i, i + SLOT_BLOCK_BYTES))
    }
    slot = { bytes, tree: builder.finish(), openings: new Map() }
    slots.set(name, slot)
  }
  return slot
}

export function openLeaf({ bytes, tree, openings }: Slot, leafIndex: number): SlotOpening {
  const known = openings.get(leafIndex)
  if (known) return known
  const { blockHashes, leafCount } = tree
  const block = Math.floor((leafIndex * LEAF_BYTES) / SLOT_BLOCK_BYTES)
  const start = block * SLOT_BLOCK_BYTES
  const blockBytes = bytes.subarray(start, start + slotBlockBytes(leafCount, block))
  const opened = openingFrom({ blockHashes, leafCount, leafIndex, blockBytes })
  assert(opened.ok, 'a test slot opens')
  const { leaf, path } = opened.value
  openings.set(leafIndex, { leaf, path })
  return { leaf, path }
}

/** Terms of a rail that tests care about; the rest has plain values. */
export interface RailTerms {
  readonly price?: bigint
  readonly unitPrice?: bigint
  readonly leaves?: number
  /** The bytes of the slot; made up where there are none. As many leaves as `leaves`. */
  readonly data?: Slot
  /** Number that the grant bears, where not the right one. */
  readonly refill?: number
}

/** Shape of a contract; caps follow the largest price asked for. */
export interface ContractTerms extends RailTerms {
  readonly k?: number
  readonly n?: number
  readonly term?: number
  readonly lockUnits?: bigint
  readonly pot?: bigint
  readonly delegate?: Actor
  readonly delegateFee?: bigint
  readonly policy?: number
}

/** Leaves that make one GiB-epoch cost its price: 2^22. Slots here are small, prices large. */
export const TEST_PRICE = 1_000_000_000n

/**
 * A chain without blocks: the production rules on the production ledger, epochs and beacons set
 * by hand. Every transaction either merges whole or leaves nothing, as in a block.
 */
export class World {
  readonly params: NetworkParams
  readonly draft: LedgerDraft
  epoch = 0
  height = 0
  /** Size that every transaction claims to have. */
  bytes = 1000
  readonly receipts: (ReceiptBody & { readonly at: number })[] = []
  /** Inventories by root, as a provider keeps them for its open challenge. */
  readonly #inventories = new Map<string, InventoryTree>()
  /** Kinds of receipts that are kept; undefined = all. A long history keeps few. */
  receiptKinds: ReadonlySet<number> | undefined
  readonly #data = new Map<string, Slot>()
  /** Rails whose bytes their node has dropped. */
  readonly dropped = new Set<number>()

  /** `ledger` is of the same parameters and has no epoch yet. */
  constructor(overrides: Partial<NetworkParams> = {}, ledger?: Ledger) {
    this.params = { ...presets.local, baseFeePerByte: 0n, ...overrides }
    const chainId = sha256(utf8ToBytes('test chain'))
    this.draft = draftOf(ledger ?? createLedger(this.params, chainId))
    this.draft.epochs.set(0, newEpoch(0, { q1: 0n, q2: 0n }))
    this.nextEpoch()
  }

  /** Ends the epoch and begins the next one at its first block; no beacon is fixed in it yet. */
  nextEpoch(rates?: { q1: bigint; q2: bigint }): void {
    closeEpoch(this.draft, this.epoch)
    this.epoch += 1
    this.height = (this.epoch - 1) * this.params.epochBlocks + 1
    recordCheckpoint(this.draft, this.epoch, sha256(utf8ToBytes(`checkpoint ${this.epoch}`)))
    this.draft.setGlobals({ ...this.draft.globals(), epoch: this.epoch, height: this.height })
    if (rates) this.setEpoch(rates)
  }

  setEpoch(fields: Partial<Epoch>): void {
    const record = this.draft.epochs.get(this.epoch)
    assert(record, 'the running epoch has a record')
    this.draft.epochs.set(this.epoch, { ...record, ...fields })
  }

  /** Fixes the beacon of the running epoch in a new block. */
  fixBeacon(salt = ''): void {
    this.height += 1
    const beacon = sha256(utf8ToBytes(`beacon ${this.epoch} ${salt}`))
    this.setEpoch({ beacon, beaconHeight: this.height })
  }

  /** The next epoch with its beacon fixed. */
  step(): void {
    this.nextEpoch()
    this.fixBeacon()
  }

  context(sender: Actor | undefined, emit: (receipt: ReceiptBody) => void): TransactionContext {
    return {
      height: this.height,
      epoch: this.epoch,
      timeMs: this.height * 1000,
      proposer: 0,
      participants: [],
      sender: sender?.key ?? new Uint8Array(33),
      senderAddress: sender?.address ?? new Uint8Array(20),
      bytes: this.bytes,
      transactionId: () => sha256(utf8ToBytes(`transaction ${this.height}`)),
      emit,
    }
  }

  execute(
    sender: Actor | undefined,
    rule: (draft: LedgerDraft, context: TransactionContext) => Result<undefined>,
  ): Result<undefined> {
    const attempt = draftOf(this.draft)
    const emitted: ReceiptBody[] = []
    const applied = rule(
      attempt,
      this.context(sender, (receipt) => emitted.push(receipt)),
    )
    if (!applied.ok) return applied
    const written = [...changedRecords(attempt, 'nodes')]
    merge(attempt)
    for (const receipt of emitted) {
      const isKept = this.receiptKinds?.has(receipt.selector) ?? true
      if (isKept) this.receipts.push({ ...receipt, at: this.epoch })
    }
    for (const { index } of written) this.#keepInventory(index)
    return applied
  }

  #keepInventory(node: number): void {
    const { inventoryRoot } = this.draft.nodes.get(node) as Node
    const root = bytesToHex(inventoryRoot)
    if (this.#inventories.has(root)) return
    const entries = this.draft.inventory(node)
    this.#inventories.set(root, { entries, tree: inventoryTree(entries) })
  }

  fund(who: Actor, amount: bigint): void {
    credit(this.draft, who.address, amount)
    const globals = this.draft.globals()
    this.draft.setGlobals({ ...globals, genesisSupply: globals.genesisSupply + amount })
  }

  balance(who: Actor): bigint {
    return balanceOf(this.draft, who.address)
  }

  /** Opens a contract and gives its index. */
  open(payer: Actor, terms: ContractTerms = {}): number {
    const index = this.draft.globals().freeContracts.at(-1)?.index ?? this.draft.contracts.count
    const opened = this.tryOpen(payer, terms)
    assert(opened.ok, `open failed: ${opened.ok ? '' : opened.fault.message}`)
    return index
  }

  tryOpen(payer: Actor, terms: ContractTerms = {}): Result<undefined> {
    const open: OpenContract = {
      salt: sha256(utf8ToBytes('salt')),
      k: terms.k ?? 1,
      n: terms.n ?? 1,
      maxLeaves: terms.leaves ?? 4,
      priceCap: terms.price ?? TEST_PRICE,
      unitPriceCap: terms.unitPrice ?? 0n,
      lockUnits: terms.lockUnits ?? 0n,
      pot: terms.pot ?? 0n,
      term: terms.term ?? 100,
      policy: terms.policy ?? 0,
      delegate: terms.delegate?.address ?? new Uint8Array(20),
      delegateFee: terms.delegateFee ?? 0n,
      label: new Uint8Array(),
    }
    return this.execute(payer, (draft, context) => applyOpenContract(draft, open, context))
  }

  /** A fill as a provider builds it, drawn from the newest beacon. */
  buildFill(payer: Actor, node: Actor, place: [contract: number, slot: number], terms: RailTerms) {
    const [contract, slot] = place
    const record = this.draft.contracts.get(contract)
    assert(record, 'a contract was opened')
    const leaves = terms.leaves ?? record.maxLeaves
    const data = terms.data ?? slotData(`${contract} ${record.generation} ${slot}`, leaves)
    const grant: SlotGrant = {
      contract,
      salt: record.salt,
      slot,
      refill: terms.refill ?? nextRefill(record, slot),
      root: data.tree.root,
      leaves,
      node: node.address,
      price: terms.price ?? record.priceCap,
      unitPrice: terms.unitPrice ?? record.unitPriceCap,
    }
    const { chainId } = this.draft
    const digest = signingDigest('slot-grant', chainId, SlotGrantType.hashTreeRoot(grant))
    const [beacon] = newestBeacons(this.draft, this.epoch, 1)
    const drawn = beacon ? fillLeaves({ ...grant, beacon }) : []
    const fill: Fill = {
      grant,
      payerKey: payer.key,
      grantSignature: sign(digest, payer.secret),
      openings: drawn.map((leaf) => openLeaf(data, leaf)),
      identity: [identityOf(this.draft, node)],
    }
    return { fill, data }
  }

  /** Fills a slot and gives the rail's index. */
  fill(
    payer: Actor,
    node: Actor,
    place: [contract: number, slot: number],
    terms: RailTerms = {},
  ): number {
    const index = this.draft.globals().freeRails.at(-1)?.index ?? this.draft.rails.count
    const { fill, data } = this.buildFill(payer, node, place, terms)
    const filled = this.execute(node, (draft, context) => applyFill(draft, fill, context))
    assert(filled.ok, `fill failed: ${filled.ok ? '' : filled.fault.message}`)
    this.#data.set(`${index} ${this.rail(index).generation}`, data)
    return index
  }

  /** A contract of one slot with its fill: the rail's index. */
  rent(payer: Actor, node: Actor, terms: ContractTerms = {}): number {
    return this.fill(payer, node, [this.open(payer, terms), 0])
  }

  relay(
    payer: Actor,
    node: Actor,
    lockUnits: bigint,
    unitPrice: bigint,
    reservationPrice = 0n,
  ): number {
    const index = this.draft.globals().freeRails.at(-1)?.index ?? this.draft.rails.count
    const open = { node: node.address, lockUnits, unitPrice, reservationPrice }
    const opened = this.execute(payer, (draft, context) => applyOpenRelay(draft, open, context))
    assert(opened.ok, `relay failed: ${opened.ok ? '' : opened.fault.message}`)
    return index
  }

  voucher(payer: Actor, rail: number, kib: number, reservations = 0): SignedVoucher {
    const { generation } = this.rail(rail)
    const voucher = { rail, generation, kib, reservations }
    const root = VoucherType.hashTreeRoot(voucher)
    const signature = sign(signingDigest('voucher', this.draft.chainId, root), payer.secret)
    return { voucher, payerKey: payer.key, signature }
  }

  /** The proof that an honest provider sends; undefined if a dropped slot is drawn. */
  buildProve(node: Actor, clear: number[] = []): Prove | undefined {
    const index = this.nodeIndex(node)
    const challenge = challengeOf(this.draft, index, this.epoch)
    assert(challenge, `no challenge is open for ${node.name} in epoch ${this.epoch}`)
    const kept = this.#inventories.get(bytesToHex(challenge.snapshot.root))
    assert(kept, 'a provider keeps its snapshot')
    const { entries, tree } = kept
    const openings: ProveOpening[] = []
    for (const [i, position] of challenge.positions.entries()) {
      const entry = drawFromSumTree(tree, position)
      const drawn = entries[entry] as InventoryEntry
      if (this.dropped.has(drawn.rail)) return undefined
      const data = this.#data.get(`${drawn.rail} ${drawn.generation}`)
      assert(data, 'a provider keeps its slots')
      const leaf = challengeLeaf(challenge.seed, i, data.tree.leafCount)
      const opening = openLeaf(data, leaf)
      openings.push({ ...drawn, entry, sumPath: sumPathOf(tree, entry), opening })
    }
    return { epoch: challenge.epoch, openings, clear }
  }

  tryProve(node: Actor, clear: number[] = []): Result<undefined> | undefined {
    const prove = this.buildProve(node, clear)
    if (!prove) return undefined
    return this.execute(node, (draft, context) => applyProve(draft, prove, context))
  }

  prove(node: Actor, clear: number[] = []): void {
    const proven = this.tryProve(node, clear)
    assert(proven?.ok, `prove failed: ${proven && !proven.ok ? proven.fault.message : 'dropped'}`)
  }

  redeem(
    node: Actor,
    rails: number[],
    vouchers: SignedVoucher[] = [],
    least = 0n,
  ): Result<undefined> {
    const value = { rails, vouchers, least }
    return this.execute(node, (draft, context) => applyRedeem(draft, value, context))
  }

  close(sender: Actor, target: number): Result<undefined> {
    const { generation } = this.rail(target)
    const close = { kind: CloseKind.rail, target, generation }
    return this.execute(sender, (draft, context) => applyClose(draft, close, context))
  }

  closeContract(sender: Actor, target: number): Result<undefined> {
    const generation = this.draft.contracts.get(target)?.generation ?? 0
    const close = { kind: CloseKind.contract, target, generation }
    return this.execute(sender, (draft, context) => applyClose(draft, close, context))
  }

  topUp(sender: Actor, kind: number, target: number, amount: bigint): Result<undefined> {
    const record = kind === 2 ? this.draft.contracts.get(target) : this.rail(target)
    const topUp = { kind, target, generation: record?.generation ?? 0, amount }
    return this.execute(sender, (draft, context) => applyTopUp(draft, topUp, context))
  }

  leave(node: Actor, rail: number, lost = false): Result<undefined> {
    const leave = { rail, lost, unpaid: false }
    return this.execute(node, (draft, context) => applyLeave(draft, leave, context))
  }

  /** The node says that the rail's payer did not sign for its last step. */
  sayUnpaid(node: Actor, rail: number): Result<undefined> {
    const leave = { rail, lost: false, unpaid: true }
    return this.execute(node, (draft, context) => applyLeave(draft, leave, context))
  }

  /** What a delegate signs for a rail that served the open refill of a slot. */
  repairVoucher(
    delegate: Actor,
    served: { readonly slot: number; readonly rail: number; readonly kib: number },
    refill?: number,
  ): SignedRepairVoucher {
    const { contract } = this.rail(served.rail)
    const record = this.contract(contract)
    const voucher = {
      contract,
      generation: record.generation,
      refill: refill ?? record.rails[served.slot]?.refill ?? 0,
      ...served,
    }
    const root = RepairVoucherType.hashTreeRoot(voucher)
    const digest = signingDigest('repair-voucher', this.draft.chainId, root)
    return { voucher, delegateKey: delegate.key, signature: sign(digest, delegate.secret) }
  }

  redeemRepair(node: Actor, vouchers: SignedRepairVoucher[]): Result<undefined> {
    return this.execute(node, (draft, context) => applyRedeemRepair(draft, { vouchers }, context))
  }

  /** A node claims an open slot in the lottery, with the bytes that were there. */
  claimSlot(node: Actor, place: [contract: number, slot: number], refill?: number) {
    const [contract, slot] = place
    const record = this.contract(contract)
    const index = this.draft.globals().freeRails.at(-1)?.index ?? this.draft.rails.count
    const data = slotData(`${contract} ${record.generation} ${slot}`, record.leaves)
    const [beacon] = newestBeacons(this.draft, this.epoch, 1)
    assert(beacon, 'a claim is drawn from a beacon')
    const { root } = data.tree
    const drawn = fillLeaves({ beacon, contract, slot, root, leaves: record.leaves })
    const claim = {
      contract,
      generation: record.generation,
      slot,
      refill: refill ?? nextRefill(record, slot),
      openings: drawn.map((leaf) => openLeaf(data, leaf)),
    }
    const claimed = this.execute(node, (draft, context) => applyClaimSlot(draft, claim, context))
    if (claimed.ok) this.#data.set(`${index} ${this.rail(index).generation}`, data)
    return claimed
  }

  contract(index: number): Readonly<Contract> {
    const contract = this.draft.contracts.get(index)
    assert(contract, 'a contract exists')
    return contract
  }

  evict(node: Actor): Result<undefined> {
    return this.execute(undefined, (draft, context) =>
      applyEvict(draft, { node: node.address }, context),
    )
  }

  clearWeight(rail: number, sender?: Actor): Result<undefined> {
    return this.execute(sender, (draft, context) => applyClearWeight(draft, { rail }, context))
  }

  touch(node: Actor): void {
    this.execute(undefined, (draft, context) => {
      touchNode(draft, this.nodeIndex(node), context)
      return ok()
    })
  }

  nodeIndex(node: Actor): number {
    const index = this.draft.nodeIndex(node.address)
    assert(index !== undefined, `${node.name} is a node`)
    return index
  }

  node(node: Actor): Readonly<Node> {
    return this.draft.nodes.get(this.nodeIndex(node)) as Node
  }

  rail(index: number): Readonly<Rail> {
    const rail = this.draft.rails.get(index)
    assert(rail, 'a rail exists')
    return rail
  }

  isChallenged(node: Actor): boolean {
    return challengeOf(this.draft, this.nodeIndex(node), this.epoch) !== undefined
  }

  receiptsOf<K extends keyof typeof ReceiptKind>(kind: K) {
    type Value = Extract<ReceiptBody, { selector: (typeof ReceiptKind)[K] }>['value']
    return this.receipts
      .filter((receipt) => receipt.selector === ReceiptKind[kind])
      .map((receipt) => receipt.value as Value)
  }

  /** Recounts every unit of the ledger; a test that leaves one over fails here. */
  audit(): void {
    const audited = auditSupply(this.draft)
    assert(audited.ok, audited.ok ? '' : audited.fault.message)
  }
}

/** Number that the next grant of a slot bears. */
function nextRefill(contract: Readonly<Contract>, slot: number): number {
  const place = contract.rails[slot]
  if (!place || bytesEqual(place.root, new Uint8Array(32))) return 0
  return place.refill + 1
}

function identityOf(draft: LedgerDraft, node: Actor) {
  const owner = actor(`${node.name} owner`)
  const payout = actor(`${node.name} payout`).address
  const root = NodeBindingType.hashTreeRoot({ nodeKey: node.key, payout })
  const digest = signingDigest('possession', draft.chainId, root)
  return { owner: owner.key, payout, signature: sign(digest, owner.secret) }
}

/** The payout actor of a node. */
export function payoutOf(node: Actor): Actor {
  return actor(`${node.name} payout`)
}

/** The code of a result's fault; 'ok' without one. */
export function codeOf(result: Result<unknown> | undefined): string {
  if (!result) return 'dropped'
  return result.ok ? 'ok' : result.fault.code
}
