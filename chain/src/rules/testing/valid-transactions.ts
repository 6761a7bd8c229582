import { assert } from '../../bytes/assert.ts'
import { sha256 } from '../../bytes/hash.ts'
import { utf8ToBytes } from '../../bytes/hex.ts'
import { sign } from '../../bytes/signature.ts'
import { asInternalHash } from '../../elastos/hash-orientation.ts'
import { merkleBranch, merkleRoot } from '../../elastos/merkle.ts'
import { decodeTransaction as decodeMainTransaction } from '../../elastos/transaction.ts'
import { createLedger, draftOf } from '../../state/ledger.ts'
import type { LedgerDraft } from '../../state/ledger-draft.ts'
import { VoteKind } from '../../types/consensus-objects.ts'
import { ZERO_KEY, ZERO_SIGNATURE } from '../../types/primitives.ts'
import { NONE } from '../../types/records.ts'
import { signTransaction } from '../../types/transaction-codec.ts'
import {
  CloseKind,
  type Fill,
  PayloadKind,
  type Payload,
  PegVoteKind,
  TopUpKind,
  type Transaction,
  type TransactionBody,
} from '../../types/transactions.ts'
import { nonceOf } from '../accounts.ts'
import { fillLeaves, newestBeacons } from '../challenge.ts'
import { applyTransaction, beginBlock, type BlockExecution } from '../execute-block.ts'
import { newValidator } from '../new-validator.ts'
import { possessionDigest } from '../register.ts'
import { type KeyPair, keyOf, memoTransaction, SampleChain, UNITS } from './sample-chain.ts'
import {
  addressText,
  depositOn,
  depositTransaction,
  elaAddressOf,
  fund,
  mineDeposits,
  mineEmpty,
  recordHeaders,
} from './sample-deposits.ts'
import { ownerOf, signedStatement, StakeWorld } from './stake-world.ts'
import { type Actor, actor, openLeaf, slotData, TEST_PRICE, World } from './world.ts'

/** A ledger on which a block begins, again and again, without ever being changed. */
export interface Stage {
  readonly chainId: Uint8Array
  readonly ledger: LedgerDraft
  begin(): BlockExecution
}

/** A transaction that its stage accepts, and the key that signed it; none in the system lane. */
export interface ValidTransaction {
  readonly stage: Stage
  readonly transaction: Transaction
  readonly secretKey?: Uint8Array
}

/** Which chain a story plays on: the two have other genesis hashes and nothing else. */
export type ChainName = 'this chain' | 'another chain'
type Story = (chain: ChainName) => ValidTransaction

const payer = actor('payer')
const delegate = actor('delegate')
const [a, b, c] = ['a', 'b', 'c'].map(actor) as [Actor, Actor, Actor]
const alice = keyOf('alice')
const secretOf = (who: Actor | KeyPair) => ('secret' in who ? who.secret : who.secretKey)
const keyBytes = (who: Actor | KeyPair) => ('key' in who ? who.key : who.publicKey)

function chainOf(name: ChainName, options: ConstructorParameters<typeof SampleChain>[0] = {}) {
  const owners = [0, 1, 2, 3].map((i) => [`validator-${i}-owner`, 5_000n * UNITS] as const)
  const balances = { ...Object.fromEntries(owners), alice: 5_000n * UNITS, bob: 10n * UNITS }
  // A parameter that no rule of these stories reads makes another genesis.
  const params = { ...options.params, ...(name === 'this chain' ? {} : { hostedAfterEpochs: 77 }) }
  return new SampleChain({ balances, nodes: ['relay'], ...options, params } as typeof options)
}

function onChain(chain: SampleChain): Stage {
  return {
    chainId: chain.chainId,
    ledger: chain.ledger,
    begin() {
      const begun = beginBlock(draftOf(chain.ledger), chain.next())
      assert(begun.ok, 'the next block can stand')
      return begun.value
    },
  }
}

function worldOf(name: ChainName, overrides = {}): World {
  const own = { baseFeePerByte: 1n, ...overrides }
  const { params } = new World(own)
  const world = new World(own, createLedger(params, sha256(utf8ToBytes(name))))
  world.fund(payer, 10n ** 17n)
  world.fixBeacon()
  return world
}

/** A draft without blocks as the ledger of the next block; somebody validates, so that fees go. */
function onDraft(draft: LedgerDraft, place: { height: number; epoch: number }): Stage {
  if (draft.validators.count === 0) {
    const { publicKey, address } = keyOf('validator')
    const identity = { owner: address, payout: address, consensusKey: publicKey, mainKey: ZERO_KEY }
    draft.validators.set(0, newValidator(identity))
    const before = draft.epochs.get(place.epoch - 1)
    assert(before, 'an epoch has one before it')
    const nextValidators = [{ validator: 0, publicKey, weight: 1 }]
    draft.epochs.set(place.epoch - 1, { ...before, nextValidators })
  }
  const block = {
    ...place,
    timeMs: place.height * 1000,
    proposer: 0,
    participants: [],
    parentHash: new Uint8Array(32),
  }
  return {
    chainId: draft.chainId,
    ledger: draft,
    begin() {
      const own = draftOf(draft)
      const empty = { transactions: [], receipts: [], bytes: 4, ordinaryBytes: 0 }
      return { draft: own, attempt: draftOf(own), block, ...empty }
    },
  }
}

const onWorld = (world: World) => onDraft(world.draft, world)

function bodyOf(stage: Stage, changes: Partial<TransactionBody> & { payload: Payload }) {
  const { height } = stage.begin().block
  const body: TransactionBody = {
    sender: ZERO_KEY,
    nonce: 0,
    validUntil: height + 50,
    maxBaseFee: 10n,
    tip: 0n,
    ...changes,
  }
  return body
}

function signedBy(stage: Stage, who: Actor | KeyPair, payload: Payload, nonce = 0) {
  const secretKey = secretOf(who)
  const body = bodyOf(stage, { sender: keyBytes(who), nonce, payload })
  return { stage, transaction: signTransaction(body, stage.chainId, secretKey), secretKey }
}

const byNode = (stage: Stage, who: Actor | KeyPair, payload: Payload) =>
  signedBy(stage, who, payload)
const byOwner = (stage: Stage, who: Actor | KeyPair, payload: Payload) =>
  signedBy(stage, who, payload, nonceOf(stage.ledger, who.address))

function bySystem(stage: Stage, payload: Payload): ValidTransaction {
  const body = bodyOf(stage, { payload, maxBaseFee: 0n })
  return { stage, transaction: { body, signature: ZERO_SIGNATURE } }
}

/** A contract (2, 3), active, whose slot 0 has just been declared lost. */
function broken(chain: ChainName) {
  const world = worldOf(chain, { fillDeadlineEpochs: 2 })
  const shape = { k: 2, n: 3, term: 100, unitPrice: 1000n << 20n, lockUnits: 5000n, pot: 1500n }
  const contract = world.open(payer, { ...shape, delegate })
  const rails = [a, b, c].map((node, slot) => world.fill(payer, node, [contract, slot]))
  for (let i = 0; i < 5; i++) {
    world.step()
    for (const node of [a, b, c]) world.prove(node)
  }
  assert(world.redeem(a, [rails[0] as number]).ok, 'held pay that a loss forfeits')
  world.leave(a, rails[0] as number, true)
  return { world, contract, rails: rails as [number, number, number] }
}

function fill(chain: ChainName): ValidTransaction {
  const world = worldOf(chain)
  const contract = world.open(payer, { unitPrice: 5n, lockUnits: 100n })
  const { fill: value } = world.buildFill(payer, a, [contract, 0], {})
  return byNode(onWorld(world), a, { selector: PayloadKind.fill, value: value as Fill })
}

function rented(chain: ChainName, epochs: number) {
  const world = worldOf(chain)
  const terms = { leaves: 16, unitPrice: 1n << 30n, lockUnits: 100_000n }
  const rail = world.rent(payer, a, terms)
  const second = world.rent(payer, a, terms)
  for (let i = 0; i < epochs; i++) {
    world.step()
    world.prove(a)
  }
  return { world, rail, second }
}

function prove(chain: ChainName): ValidTransaction {
  const { world } = rented(chain, 2)
  world.step()
  const value = world.buildProve(a)
  assert(value, 'the node has kept its slots')
  return byNode(onWorld(world), a, { selector: PayloadKind.prove, value })
}

function redeem(chain: ChainName): ValidTransaction {
  const { world, rail, second } = rented(chain, 4)
  const vouchers = [world.voucher(payer, rail, 20), world.voucher(payer, second, 30)]
  const value = { rails: [rail, second], vouchers, least: 0n }
  return byNode(onWorld(world), a, { selector: PayloadKind.redeem, value })
}

function close(chain: ChainName): ValidTransaction {
  const { world, rail } = rented(chain, 2)
  const value = { kind: CloseKind.rail, target: rail, generation: 0 }
  return byOwner(onWorld(world), payer, { selector: PayloadKind.close, value })
}

function topUp(chain: ChainName): ValidTransaction {
  const { world, rail } = rented(chain, 2)
  const value = { kind: TopUpKind.railEpochs, target: rail, generation: 0, amount: 7n }
  return byOwner(onWorld(world), payer, { selector: PayloadKind.topUp, value })
}

function leave(chain: ChainName): ValidTransaction {
  const { world, rail } = rented(chain, 2)
  return byNode(onWorld(world), a, {
    selector: PayloadKind.leave,
    value: { rail, lost: false, unpaid: false },
  })
}

/** Repeats `step` until the transaction that `make` builds is accepted. */
function whenAccepted(make: () => ValidTransaction, step: () => void): ValidTransaction {
  for (let i = 0; i < 60; i++) {
    const made = make()
    if (applyTransaction(made.stage.begin(), made.transaction).ok) return made
    step()
  }
  return make()
}

function evict(chain: ChainName): ValidTransaction {
  const { world } = rented(chain, 2)
  const value = { node: a.address }
  const make = () => byNode(onWorld(world), keyOf('anyone'), { selector: PayloadKind.evict, value })
  return whenAccepted(make, () => world.step())
}

function clearWeight(chain: ChainName): ValidTransaction {
  const world = worldOf(chain)
  world.rent(payer, a, { price: TEST_PRICE * 1000n })
  const rail = world.rent(payer, a, { term: 2 })
  const payload: Payload = { selector: PayloadKind.clearWeight, value: { rail } }
  const make = () => byNode(onWorld(world), keyOf('anyone'), payload)
  return whenAccepted(make, () => {
    world.step()
    if (world.isChallenged(a)) world.tryProve(a)
  })
}

function claimSlot(chain: ChainName): ValidTransaction {
  const world = worldOf(chain, { fillDeadlineEpochs: 2 })
  const holder = actor('holder')
  const rich = { unitPrice: 1n << 36n, price: TEST_PRICE * 1000n, term: 150 }
  const own = world.rent(payer, holder, rich)
  const contract = world.open(payer, { k: 1, n: 2, term: 100 })
  const lost = world.fill(payer, a, [contract, 0])
  world.fill(payer, b, [contract, 1])
  const live = (nodes: readonly Actor[]) => {
    world.step()
    for (const node of nodes) if (world.isChallenged(node)) world.prove(node)
  }
  for (let i = 0; i < 8; i++) live([a, b, holder])
  world.redeem(holder, [own])
  world.leave(a, lost, true)
  const make = () => {
    const data = slotData(`${contract} 0 0`, 4)
    const [beacon] = newestBeacons(world.draft, world.epoch, 1)
    assert(beacon, 'a claim is drawn from a beacon')
    const drawn = fillLeaves({ beacon, contract, slot: 0, root: data.tree.root, leaves: 4 })
    const openings = drawn.map((leaf) => openLeaf(data, leaf))
    const value = { contract, generation: 0, slot: 0, refill: 1, openings }
    return byNode(onWorld(world), holder, { selector: PayloadKind.claimSlot, value })
  }
  return whenAccepted(make, () => live([b, holder]))
}

function redeemRepair(chain: ChainName): ValidTransaction {
  const { world, rails } = broken(chain)
  const vouchers = [world.repairVoucher(delegate, { slot: 0, rail: rails[1], kib: 1 })]
  return byNode(onWorld(world), b, { selector: PayloadKind.redeemRepair, value: { vouchers } })
}

const openContract: Payload = {
  selector: PayloadKind.openContract,
  value: {
    salt: new Uint8Array(32).fill(7),
    k: 1,
    n: 3,
    maxLeaves: 500,
    priceCap: TEST_PRICE,
    unitPriceCap: 9n,
    lockUnits: 100n,
    pot: 50n,
    term: 40,
    policy: 0,
    delegate: delegate.address,
    delegateFee: 3n,
    label: new Uint8Array(20).fill(4),
  },
}

function register(name: ChainName): ValidTransaction {
  const chain = chainOf(name)
  return byOwner(onChain(chain), alice, registration(chain))
}

function registration(chain: SampleChain): Payload {
  const [node, consensus] = [keyOf('new node'), keyOf('new validator')]
  const proofBy = ({ publicKey, secretKey }: KeyPair) =>
    sign(possessionDigest(chain.chainId, alice.address, publicKey), secretKey)
  const value = {
    nodeKey: node.publicKey,
    nodeProof: proofBy(node),
    consensusKey: consensus.publicKey,
    consensusProof: proofBy(consensus),
    payout: keyOf('cold').address,
    roles: 6,
    replaces: NONE,
  }
  return { selector: PayloadKind.register, value }
}

function unregister(name: ChainName): ValidTransaction {
  const chain = chainOf(name)
  chain.block([chain.byOwner(alice, registration(chain))])
  const value = { node: chain.ledger.nodes.count - 1 }
  return byOwner(onChain(chain), alice, { selector: PayloadKind.unregister, value })
}

function rotateKeys(name: ChainName): ValidTransaction {
  const chain = chainOf(name)
  const [owner, next] = [ownerOf(1), keyOf('next consensus key')]
  const digest = possessionDigest(chain.chainId, owner.address, next.publicKey)
  const value = {
    validator: 1,
    consensusKey: next.publicKey,
    consensusProof: sign(digest, next.secretKey),
    mainKey: ZERO_KEY,
    payout: keyOf('cold').address,
    commission: 500,
  }
  return byOwner(onChain(chain), owner, { selector: PayloadKind.rotateKeys, value })
}

function mainHeaders(name: ChainName): ValidTransaction {
  const chain = chainOf(name)
  const headers = [1, 2, 3].map(() => chain.main.mine(chain.main.tip.time + 1))
  return bySystem(onChain(chain), { selector: PayloadKind.mainHeaders, value: { headers } })
}

function anchor(name: ChainName): ValidTransaction {
  const chain = chainOf(name)
  chain.runToEpoch(3)
  const checkpointHash = chain.hashes[2 * chain.params.epochBlocks] as Uint8Array
  const commitment = { epoch: 2, checkpointHash, validatorIndex: 0 }
  const raw = memoTransaction(chain.chainId, commitment, keyOf('validator-0').secretKey)
  const decoded = decodeMainTransaction(raw)
  assert(decoded.ok, 'a memo transaction decodes')
  const ids = [asInternalHash(sha256()), decoded.value.id, asInternalHash(sha256(raw))]
  const header = chain.main.mine(chain.main.tip.time + 1, merkleRoot(ids))
  chain.block([chain.mainHeaders([header])])
  const value = {
    epoch: 2,
    checkpointHash,
    transaction: raw,
    branch: merkleBranch(ids, 1),
    branchIndex: 1,
    mainHeight: chain.main.tip.height,
  }
  return bySystem(onChain(chain), { selector: PayloadKind.anchor, value })
}

function evidence(name: ChainName): ValidTransaction {
  const chain = chainOf(name)
  const { secretKey } = keyOf('validator-2')
  const vote = (byte: number) => {
    const hash = new Uint8Array(32).fill(byte)
    const statement = { kind: VoteKind.notarize, epoch: 1, view: 3, hash }
    return signedStatement(chain.chainId, statement, secretKey)
  }
  const value = { validator: 2, first: vote(1), second: vote(2) }
  return bySystem(onChain(chain), { selector: PayloadKind.evidence, value })
}

function staked(name: ChainName) {
  const chain = chainOf(name)
  const value = { validator: 1, delegation: NONE, amount: 300n * UNITS }
  chain.block([chain.byOwner(alice, { selector: PayloadKind.delegate, value })])
  return chain
}

const simple = (payload: Payload, who: KeyPair = alice): Story => {
  return (name) => byOwner(onChain(staked(name)), who, payload)
}

function releaseStake(name: ChainName): ValidTransaction {
  const world = new StakeWorld({
    balances: { 'validator-0-owner': 900n * UNITS },
    params: { unbondingEpochs: name === 'this chain' ? 3 : 2 },
  })
  assert(world.unbond(ownerOf(0), 0, 50n * UNITS).ok, 'stake is asked back')
  const value = { delegation: world.newestRecord() }
  for (let i = 0; i < 7; i++) world.nextEpoch()
  for (const epoch of [3, 6]) world.makeFinal(epoch)
  for (let i = 0; i < 3; i++) world.nextEpoch()
  const height = (world.epoch - 1) * world.draft.params.epochBlocks + 1
  const stage = onDraft(world.draft, { height, epoch: world.epoch })
  return byNode(stage, keyOf('anyone'), { selector: PayloadKind.releaseStake, value })
}

function deposit(name: ChainName): ValidTransaction {
  const chain = chainOf(name)
  const target = addressText(chain, 'carol')
  const asked = depositTransaction(chain, [{ target, amount: 7n * UNITS }])
  const [mined] = mineDeposits(chain.main, [asked])
  assert(mined, 'one transaction was mined')
  mineEmpty(chain.main, chain.params.anchorFinalMainBlocks)
  recordHeaders(chain, chain.main)
  return bySystem(onChain(chain), depositOn(chain, mined).body.payload)
}

function withdraw(name: ChainName): ValidTransaction {
  const chain = chainOf(name)
  fund(chain, 'carol', 100n * UNITS)
  const to = utf8ToBytes(elaAddressOf('home'))
  const value = { to, output: 2n * UNITS, amount: UNITS }
  return byOwner(onChain(chain), keyOf('carol'), { selector: PayloadKind.withdraw, value })
}

function lateVotes(name: ChainName): ValidTransaction {
  const chain = chainOf(name)
  chain.runTo(5)
  const vote = (height: number) => {
    const hash = chain.hashes[height] as Uint8Array
    const statement = { kind: VoteKind.notarize, epoch: 1, view: height, hash }
    const { signature } = signedStatement(chain.chainId, statement, keyOf('validator-3').secretKey)
    return { back: 5 - height, validator: 3, kind: statement.kind, view: height, signature }
  }
  const value = { votes: [vote(4), vote(3)] }
  return bySystem(onChain(chain), { selector: PayloadKind.lateVotes, value })
}

/** For each kind of transaction a story in which one of it is valid. */
export const validTransactions: { readonly [K in PayloadKind]: Story } = {
  transfer: simple({ selector: 0, value: { to: keyOf('bob').address, amount: 5n * UNITS } }),
  register,
  openContract: simple(openContract),
  openRelay: simple({
    selector: PayloadKind.openRelay,
    value: {
      node: keyOf('relay').address,
      lockUnits: 1000n,
      unitPrice: 50n,
      reservationPrice: 2n,
    },
  }),
  fill,
  prove,
  redeem,
  close,
  topUp,
  leave,
  evict,
  clearWeight,
  mainHeaders,
  anchor,
  evidence,
  bond: simple(
    { selector: PayloadKind.bond, value: { validator: 1, amount: 9n * UNITS } },
    ownerOf(1),
  ),
  unbond: simple({
    selector: PayloadKind.unbond,
    value: { validator: 1, delegation: 0, amount: 100n * UNITS },
  }),
  delegate: simple({
    selector: PayloadKind.delegate,
    value: { validator: 2, delegation: NONE, amount: 100n * UNITS },
  }),
  releaseStake,
  rotateKeys,
  deposit,
  withdraw,
  pegVote: simple(
    {
      selector: PayloadKind.pegVote,
      value: { validator: 1, kind: PegVoteKind.pause, withdrawal: 0 },
    },
    ownerOf(1),
  ),
  claimSlot,
  redeemRepair,
  lateVotes,
  unregister,
}
