import {
  assert,
  LEAF_BYTES,
  sha256,
  SLOT_BLOCK_BYTES,
  SlotTreeBuilder,
  utf8ToBytes,
} from '@ioex/chain/bytes'
import { epochOfHeight } from '@ioex/chain/params'
import {
  type BlockOutcome,
  challengeDraw,
  challengeRates,
  challengeSeed,
  executeBlock,
  newValidator,
} from '@ioex/chain/rules'
import { draftOf, type Ledger, merge } from '@ioex/chain/state'
import {
  CertificateType,
  HeaderType,
  JustificationType,
  OPENINGS,
  type Payload,
  type Prove,
  ProveOpeningType,
  signTransaction,
  type Transaction,
  transactionBytes,
  TransactionListType,
  PrunedBlockType,
  pruneBlock,
} from '@ioex/chain/types'
import { presets } from '@ioex/genesis/presets'
import { BaseLedger, emptyContent } from '../chain/src/state/base-ledger.ts'
import { type Actor, actor, type Slot, World } from '../chain/src/rules/testing/world.ts'
import { type Comparison, repeated } from './comparison.ts'
import { sameNodes } from './node-table.ts'
import { hashesOf } from './proofs-and-pay.ts'
import { RAW_VERIFY, verifyRaw } from './raw-signatures.ts'
import { seededBytes } from './seeded.ts'

/** The parameters of the main network; its base fee is at its floor. */
const params = presets.main
const ALWAYS = { q1: (1n << 64n) - 1n, q2: (1n << 64n) - 1n }
const FUNDS = 10n ** 17n
const UNIT_PRICE = 1_000_000n
const VALIDATORS = 36
const QUORUM = 25
/** A transaction stands in a block behind its offset. */
const OFFSET_BYTES = 4

/** What a benchmark's nodes look like. */
export interface TrafficShape {
  readonly nodes: number
  /** Nodes whose transactions are real; the others only count. */
  readonly sample: number
  /** Slots of a node and their leaves: together at least 1 GiB, so that it is of class 1. */
  readonly rails: number
  readonly leaves: number
}

let slot: Slot | undefined

/** Every slot holds the same bytes: paths are as long as with others. */
function slotOf(leaves: number): Slot {
  if (slot?.tree.leafCount === leaves) return slot
  const bytes = seededBytes('a slot', leaves * LEAF_BYTES)
  const builder = new SlotTreeBuilder()
  for (let at = 0; at < bytes.length; at += SLOT_BLOCK_BYTES) {
    builder.append(bytes.subarray(at, at + SLOT_BLOCK_BYTES))
  }
  slot = { bytes, tree: builder.finish(), openings: new Map() }
  return slot
}

/** Serialized size of a proof of such a node. */
function proofSize(world: World, { rails, leaves }: TrafficShape): number {
  const opening = {
    ...ProveOpeningType.defaultValue(),
    sumPath: Array.from({ length: Math.log2(rails) }, () => ({
      hash: new Uint8Array(32),
      sum: 0n,
    })),
    opening: {
      leaf: new Uint8Array(LEAF_BYTES),
      path: Array.from({ length: Math.log2(leaves) }, () => new Uint8Array(32)),
    },
  }
  const value: Prove = {
    epoch: 0,
    openings: Array.from({ length: OPENINGS }, () => opening),
    clear: [],
  }
  return transactionBytes(signed(world, actor('a node'), { selector: 5, value }))
}

function signed(world: World, sender: Actor, payload: Payload): Transaction {
  const validUntil = world.height + 100
  const body = { sender: sender.key, nonce: 0, validUntil, maxBaseFee: 10n, tip: 0n, payload }
  return signTransaction(body, world.draft.chainId, sender.secret)
}

/** A world of the main network's rules in which so many nodes of class 1 are counted. */
function worldOf(nodes: number): { world: World; base: Ledger } {
  const content = { ...emptyContent(), nodes: sameNodes(nodes) }
  const base = new BaseLedger(params, sha256(utf8ToBytes('test chain')), content)
  base.currentGlobals = { ...base.currentGlobals, nodesClass1: nodes }
  const world = new World(params, base)
  const { key, address } = actor('validator')
  const identity = { owner: address, payout: address, consensusKey: key, mainKey: key }
  world.draft.validators.set(0, { ...newValidator(identity), bond: params.validatorBondMin })
  // A set is fixed two epochs ahead.
  for (let i = 0; i < 3; i++) world.nextEpoch()
  world.fund(actor('payer'), FUNDS)
  return { world, base }
}

function beaconOf(epoch: number): Uint8Array {
  return sha256(utf8ToBytes(`beacon of epoch ${epoch}`))
}

function fixBeacon(world: World): void {
  world.height += 1
  world.setEpoch({ beacon: beaconOf(world.epoch), beaconHeight: world.height })
}

/** Epochs between the fills and the challenge that is measured. */
const EPOCHS_AHEAD = 3

/** The nodes of the sample, all challenged then; and how many of all nodes are. */
function drawn(world: World, { nodes, sample }: TrafficShape) {
  const epoch = world.epoch
  const ahead = draftOf(world.draft)
  const record = ahead.epochs.get(epoch)
  assert(record, 'the running epoch has a record')
  ahead.epochs.set(epoch, { ...record, proofs: 1, proofBytes: world.bytes })
  ahead.setGlobals({ ...ahead.globals(), nodesClass1: nodes })
  const { q1 } = challengeRates(ahead, epoch + 1)
  const beacon = beaconOf(epoch + EPOCHS_AHEAD)
  const isDrawn = (address: Uint8Array) => challengeDraw(challengeSeed(beacon, address)) <= q1
  const providers: Actor[] = []
  for (let i = 0; providers.length < sample; i++) {
    const provider = actor(`provider ${i}`)
    if (isDrawn(provider.address)) providers.push(provider)
  }
  let challenged = 0
  const addresses = seededBytes('addresses of nodes', 20 * nodes)
  for (let at = 0; at < addresses.length; at += 20) {
    if (isDrawn(addresses.subarray(at, at + 20))) challenged++
  }
  return { providers, challenged }
}

/** Every provider gets a slot of each contract: rails by provider, and a slot left for each. */
function rent(world: World, providers: readonly Actor[], { rails, leaves }: TrafficShape) {
  const payer = actor('payer')
  const terms = { leaves, unitPrice: UNIT_PRICE, data: slotOf(leaves) }
  const contract = () =>
    world.open(payer, { ...terms, n: providers.length, lockUnits: 1000n * UNIT_PRICE, term: 200 })
  const contracts = Array.from({ length: rails }, contract)
  const filled = providers.map((provider, i) =>
    contracts.map((index) => world.fill(payer, provider, [index, i], terms)),
  )
  return { filled, free: contract(), terms }
}

/** Real transactions of the sample, all for one block of the same ledger. */
interface Traffic {
  readonly world: World
  readonly ledger: Ledger
  readonly challenged: number
  readonly proofs: readonly Transaction[]
  readonly redeems: readonly Transaction[]
  readonly fills: readonly Transaction[]
}

function traffic(shape: TrafficShape): Traffic {
  const { world, base } = worldOf(shape.nodes - shape.sample)
  world.bytes = proofSize(world, shape)
  fixBeacon(world)
  const { providers, challenged } = drawn(world, shape)
  const { filled, free, terms } = rent(world, providers, shape)
  // Paid is what is proven between two resolutions.
  for (let i = 1; i < EPOCHS_AHEAD; i++) {
    world.nextEpoch(ALWAYS)
    fixBeacon(world)
    for (const provider of providers) world.prove(provider)
  }
  world.nextEpoch()
  fixBeacon(world)
  const payer = actor('payer')
  const proofs = providers.map((provider) => {
    const value = world.buildProve(provider)
    assert(value, 'a provider keeps its slots')
    return signed(world, provider, { selector: 5, value })
  })
  const redeems = providers.map((provider, i) => {
    const rails = filled[i] as number[]
    const vouchers = rails.map((rail) => world.voucher(payer, rail, 2 ** 20))
    return signed(world, provider, { selector: 6, value: { rails, vouchers, least: 0n } })
  })
  const fills = providers.map((provider, i) => {
    const { fill } = world.buildFill(payer, provider, [free, i], terms)
    return signed(world, provider, { selector: 4, value: { ...fill, identity: [] } })
  })
  world.draft.setGlobals({ ...world.draft.globals(), height: world.height })
  merge(world.draft)
  return { world, ledger: base, challenged, proofs, redeems, fills }
}

/** A block as it arrives: its transactions are decoded, executed and rooted. */
function executed(ledger: Ledger, body: Uint8Array): BlockOutcome {
  const transactions = TransactionListType.deserialize(body) as Transaction[]
  const { height, timeMs } = ledger.globals()
  const next = height + 1
  const outcome = executeBlock(draftOf(ledger), transactions, {
    height: next,
    epoch: epochOfHeight(params, next),
    timeMs: timeMs + 1000,
    proposer: 0,
    participants: [],
    parentHash: new Uint8Array(32),
  })
  assert(outcome.ok, outcome.ok ? '' : `${outcome.fault.code}: ${outcome.fault.message}`)
  return outcome.value
}

interface Kind {
  readonly name: string
  readonly unit: string
  readonly list: readonly Transaction[]
  /** How many of them an epoch of all nodes has. */
  readonly inEpoch: number
  readonly least: { readonly name: string; run(): void }
}

function blockOf(shape: TrafficShape, ledger: Ledger, kind: Kind): Comparison {
  const { name, unit, list, inEpoch, least } = kind
  const body = TransactionListType.serialize([...list])
  const run = () => executed(ledger, body)
  const bytes = list.map((transaction) => transactionBytes(transaction) + OFFSET_BYTES)
  const bytesEach = bytes.reduce((sum, each) => sum + each, 0) / list.length
  return {
    name: `chain/rules::execute-${name}/nodes=${shape.nodes}`,
    unit,
    work: list.length,
    subject: repeated(run),
    against: { name: least.name, workload: repeated(() => least.run()) },
    result: run().roots.stateRoot,
    facts: {
      bytesEach,
      inEpoch,
      bytesInEpoch: Math.round(bytesEach * inEpoch),
      bytesWithoutOpenings: keptBytes(list) ?? bytesEach,
    },
  }
}

/** Bytes of each transaction once its openings are forgotten; undefined where it has none. */
function keptBytes(list: readonly Transaction[]): number | undefined {
  const header = HeaderType.defaultValue()
  const pruned = pruneBlock({ header, body: { transactions: [...list] } })
  if (!pruned) return undefined
  const empty = PrunedBlockType.serialize({ header, transactions: [] }).length
  return (PrunedBlockType.serialize(pruned).length - empty) / list.length
}

/** What every block is, whatever stands in it: header, its parent's certificate, its own. */
function emptyBlock(shape: TrafficShape, ledger: Ledger): Comparison {
  const certificate = {
    ...CertificateType.defaultValue(),
    signers: new Uint8Array(Math.ceil(VALIDATORS / 8)),
    signatures: Array.from({ length: QUORUM }, () => new Uint8Array(64)),
  }
  const header = HeaderType.serialize(HeaderType.defaultValue()).length
  const parent = JustificationType.serialize({ parent: [certificate], skips: [] }).length
  const bytesEach = header + parent + CertificateType.serialize(certificate).length
  const body = TransactionListType.serialize([])
  const run = () => executed(ledger, body)
  const { epochBlocks } = params
  return {
    name: `chain/rules::execute-empty/nodes=${shape.nodes}`,
    unit: 'blocks',
    work: 1,
    subject: repeated(run),
    against: {
      name: `the ${QUORUM} signatures of a certificate`,
      workload: repeated(() => verifyRaw(QUORUM)),
    },
    result: run().roots.stateRoot,
    facts: { bytesEach, inEpoch: epochBlocks, bytesInEpoch: bytesEach * epochBlocks },
  }
}

/** Blocks of proofs, redeems and fills of an epoch, by a sample of the nodes that send them. */
export function* blocksOfEpoch(shape: TrafficShape, redeems: number): Generator<Comparison> {
  const made = traffic(shape)
  const { ledger } = made
  const { rails, sample } = shape
  const hashes = made.proofs.map(({ body }) => hashesOf(body.payload.value as Prove))
  yield blockOf(shape, ledger, {
    name: 'proofs',
    unit: 'proofs',
    list: made.proofs,
    inEpoch: made.challenged,
    least: {
      name: 'its signatures and hashes alone',
      run: () => {
        verifyRaw(sample)
        for (const hash of hashes) hash()
      },
    },
  })
  const signatures = (count: number) => ({ name: RAW_VERIFY, run: () => verifyRaw(count) })
  const redeeming = { name: 'redeems', unit: 'redeems', list: made.redeems, inEpoch: redeems }
  yield blockOf(shape, ledger, { ...redeeming, least: signatures(sample * (1 + rails)) })
  const filling = { name: 'fills', unit: 'fills', list: made.fills, inEpoch: redeems }
  yield blockOf(shape, ledger, { ...filling, least: signatures(2 * sample) })
  yield emptyBlock(shape, ledger)
}
