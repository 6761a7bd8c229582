import {
  ByteVectorType,
  ContainerType,
  ListCompositeType,
  UnionType,
  type ValueOf,
} from '@chainsafe/ssz'
import { Bool, Bytes20, Bytes32, Count64, U8, U32, Units64, Weight128 } from './primitives.ts'

/** A node answered its challenge; no money moves. */
export const ProofReceiptType = new ContainerType({
  node: Bytes20,
  epoch: U32,
  /** Epochs proven by it, and the totals after it. */
  epochs: U32,
  A: U32,
  P: U32,
  bytes: U32,
  debt: Units64,
})

/** What one redeem of a rail booked: differences, and the inputs to recompute the totals. */
export const SettlementFields = {
  node: Bytes20,
  payer: Bytes20,
  rail: U32,
  generation: U32,
  contract: U32,
  /** Inputs of the formulas of PROTOCOL 7, cumulative. */
  price: Units64,
  unitPrice: Units64,
  reservationPrice: Units64,
  leaves: U32,
  E: U32,
  elapsed: U32,
  kib: Count64,
  reservations: Count64,
  lockUnits: Units64,
  need: Units64,
  /** Differences booked now, units. */
  fee: Units64,
  burned: Units64,
  toValidators: Units64,
  net: Units64,
  held: Units64,
  released: Units64,
  paid: Units64,
} as const
export const StorageReceiptType = new ContainerType(SettlementFields)
export const RelayReceiptType = new ContainerType({ ...SettlementFields, deltaKib: Count64 })

/** An interval lost to a missed challenge; replays from headers (seed, epochs, heights). */
export const ForfeitReceiptType = new ContainerType({
  node: Bytes20,
  epoch: U32,
  beacon: Bytes32,
  beaconHeight: Count64,
  fromEpoch: U32,
  toEpoch: U32,
  strikes: U8,
  /** Probability it was challenged with, as fraction of 2^64. */
  rate: Units64,
  /** The inventory that the eight openings were to be drawn from. */
  inventoryRoot: Bytes32,
  inventorySum: Weight128,
  inventoryCount: U32,
})

/**
 * Held pay lost: at an eviction all that the node holds (rail = NONE, nothing moves yet), then,
 * as each rail is touched, what of it burned and what went to its contract's pot. A declared
 * loss leaves one for its rail.
 */
export const EvictionReceiptType = new ContainerType({
  node: Bytes20,
  epoch: U32,
  strikes: U8,
  rail: U32,
  contract: U32,
  held: Units64,
  burned: Units64,
  toPots: Units64,
})

/** Subsidy of one node for one source epoch. */
export const RewardReceiptType = new ContainerType({
  node: Bytes20,
  epoch: U32,
  fee: Units64,
  epochFees: Units64,
  emission: Units64,
  amount: Units64,
})

export const AnchorReceiptType = new ContainerType({
  epoch: U32,
  checkpointHash: Bytes32,
  mainHeight: U32,
  mainHash: Bytes32,
  mainTransaction: Bytes32,
  /** 0 = memo, 1 = SideChainPow. */
  carrier: U8,
  validator: U32,
})

/** A rail ended: the rests returned to the payer. */
export const CloseReceiptType = new ContainerType({
  rail: U32,
  generation: U32,
  node: Bytes20,
  payer: Bytes20,
  contract: U32,
  asked: Bool,
  refundTime: Units64,
  refundUnits: Units64,
  /** Of the unit lock: the step that was not signed for. */
  burnedUnits: Units64,
  releasedHeld: Units64,
})

/** What a transaction cost its sender: base fee (burned) and tip. */
export const FeeReceiptType = new ContainerType({
  payer: Bytes20,
  bytes: U32,
  baseFee: Units64,
  tip: Units64,
})

/** A record came into being. kind: 0 node, 1 contract, 2 storage rail, 3 relay rail. */
export const CreationReceiptType = new ContainerType({
  kind: U8,
  index: U32,
  generation: U32,
  owner: Bytes20,
})

/** What a node was paid by one redeem or close, after byte fee and proof debt, which burn. */
export const PayoutReceiptType = new ContainerType({
  node: Bytes20,
  payout: Bytes20,
  proceeds: Units64,
  byteFee: Units64,
  debtPaid: Units64,
  paid: Units64,
})

/** A contract ended: what its payer got back, and what of its pot came from holds and burned. */
export const ContractEndReceiptType = new ContainerType({
  contract: U32,
  generation: U32,
  payer: Bytes20,
  refundLocks: Units64,
  refundPot: Units64,
  refundFees: Units64,
  refundDeposit: Units64,
  burned: Units64,
})

/** DepositReceipt.outcome. */
export const DepositOutcome = { credited: 0, failed: 1, backedAgain: 2 } as const

/**
 * A deposit from the main chain: one receipt per credited entry; one for a failed transaction;
 * one where an orphaned deposit is proven again, which credits nobody a second time.
 */
export const DepositReceiptType = new ContainerType({
  /** Index of the deposit's record. */
  deposit: U32,
  /** Main-chain transaction id, internal order. */
  mainTransaction: Bytes32,
  mainHeight: U32,
  mainHash: Bytes32,
  /** Account that the units went to; zero unless credited. */
  account: Bytes20,
  amount: Units64,
  outcome: U8,
  /** DepositFailure; 0 unless failed. */
  failure: U8,
})

/** Units left for the main chain (returned = false), or came back as the validators voted. */
export const WithdrawalReceiptType = new ContainerType({
  /** Index of the withdrawal's record. */
  withdrawal: U32,
  owner: Bytes20,
  /** Main-chain program hash, 21 bytes. */
  to: new ByteVectorType(21),
  output: Units64,
  amount: Units64,
  returned: Bool,
})

/** The peg stopped or went on. */
export const PegReceiptType = new ContainerType({
  paused: Bool,
  /** PegPauseCause. */
  cause: U8,
  /** Deposits whose main block was replaced just now, and units without backing in all. */
  orphaned: U32,
  unbacked: Units64,
})

/** Who let a node refill a slot. */
export const RefillBy = { payer: 0, delegate: 1, lottery: 2 } as const

/** An emptied slot got a new rail under its old root, and what paid for that (PROTOCOL 5.2, 7). */
export const RefillReceiptType = new ContainerType({
  contract: U32,
  generation: U32,
  slot: U8,
  /** Number of this refill: 1 for the slot's first. */
  refill: U32,
  root: Bytes32,
  leaves: U32,
  /** The rail that it replaces and the epoch since which the slot was open; NONE if freed. */
  formerRail: U32,
  openSince: U32,
  rail: U32,
  railGeneration: U32,
  node: Bytes20,
  by: U8,
  price: Units64,
  unitPrice: Units64,
  term: U32,
  lockTime: Units64,
  lockUnits: Units64,
  /** Of both locks: out of the former rail's, and out of the payer's account. */
  fromFormer: Units64,
  fromPayer: Units64,
  /** The byte fee of the fill: from forfeited holds, from the payer's pot, onto the node's debt. */
  feeFromHeld: Units64,
  feeFromPot: Units64,
  feeAsDebt: Units64,
  /** Vests for the delegate while the refill is proven. */
  delegateFee: Units64,
  /** Of a lottery: what was drawn from, of how many nodes, the draw and what it had to be below. */
  beacon: Bytes32,
  nodes: U32,
  draw: Units64,
  chance: Units64,
})

/** A node was paid from a contract's pot for serving an open refill; cumulative inputs, differences. */
export const RepairReceiptType = new ContainerType({
  contract: U32,
  generation: U32,
  slot: U8,
  refill: U32,
  rail: U32,
  node: Bytes20,
  delegate: Bytes20,
  unitPrice: Units64,
  /** KiB the rail served for this refill as far as paid, what others did, and the most for all. */
  kib: Count64,
  kibOfOthers: Count64,
  kibMax: Count64,
  /** Paid to the rail for this refill in all, to others, and the most to all; units. */
  paidTotal: Units64,
  paidToOthers: Units64,
  budget: Units64,
  /** Differences booked now. */
  fee: Units64,
  burned: Units64,
  toValidators: Units64,
  net: Units64,
  fromHeld: Units64,
  fromPot: Units64,
})

/** What of a delegate's fee vested with the epochs that the refill was proven. */
export const DelegateFeeReceiptType = new ContainerType({
  contract: U32,
  rail: U32,
  generation: U32,
  delegate: Bytes20,
  fee: Units64,
  /** Proven epochs of the rail, and those after which the fee is due whole. */
  E: U32,
  vestingEpochs: U32,
  paidTotal: Units64,
  fromHeld: Units64,
  fromPot: Units64,
})

/**
 * A validator's stake burned for signing twice: on its own evidence, or because others in the same
 * window turned out guilty too (PROTOCOL 7). Penalties are totals in 1/1,000,000 of the stake.
 */
export const SlashReceiptType = new ContainerType({
  validator: U32,
  owner: Bytes20,
  /** In which it signed twice. */
  epoch: U32,
  penaltyBefore: U32,
  penalty: U32,
  /** Burned now, units: of its own and of its delegators' stake. */
  bond: Units64,
  delegated: Units64,
})

/** What a stake receipt is about. */
export const StakeAction = { bond: 0, unbond: 1, delegate: 2, release: 3, rewards: 4 } as const
/** Stake came, left, was released, or its rewards were collected. */
export const StakeReceiptType = new ContainerType({
  action: U8,
  owner: Bytes20,
  validator: U32,
  /** Record of the delegation or of the stake on its way out; NONE for a validator's own stake. */
  delegation: U32,
  amount: Units64,
  /** release: what of it burned because its validator signed twice. */
  burned: Units64,
})

/** A node gave up its roles of register, or its deposit was paid back. */
export const UnregisterReceiptType = new ContainerType({
  /** Address of the node's key, and its index. */
  node: Bytes20,
  index: U32,
  owner: Bytes20,
  /** First epoch in which nothing counts on its roles. */
  exitEpoch: U32,
  /** To the owner, and burned for proofs it owed, units; both 0 when the roles were given up. */
  refund: Units64,
  debtPaid: Units64,
})

export const ReceiptKind = {
  proof: 0,
  storage: 1,
  relay: 2,
  forfeit: 3,
  eviction: 4,
  reward: 5,
  anchor: 6,
  close: 7,
  fee: 8,
  creation: 9,
  payout: 10,
  contractEnd: 11,
  deposit: 12,
  withdrawal: 13,
  peg: 14,
  refill: 15,
  repair: 16,
  delegateFee: 17,
  slash: 18,
  stake: 19,
  unregister: 20,
} as const
export type ReceiptKind = keyof typeof ReceiptKind

export const ReceiptBodyType = new UnionType([
  ProofReceiptType,
  StorageReceiptType,
  RelayReceiptType,
  ForfeitReceiptType,
  EvictionReceiptType,
  RewardReceiptType,
  AnchorReceiptType,
  CloseReceiptType,
  FeeReceiptType,
  CreationReceiptType,
  PayoutReceiptType,
  ContractEndReceiptType,
  DepositReceiptType,
  WithdrawalReceiptType,
  PegReceiptType,
  RefillReceiptType,
  RepairReceiptType,
  DelegateFeeReceiptType,
  SlashReceiptType,
  StakeReceiptType,
  UnregisterReceiptType,
])

export type ProofReceipt = ValueOf<typeof ProofReceiptType>
export type StorageReceipt = ValueOf<typeof StorageReceiptType>
export type RelayReceipt = ValueOf<typeof RelayReceiptType>
export type ForfeitReceipt = ValueOf<typeof ForfeitReceiptType>
export type EvictionReceipt = ValueOf<typeof EvictionReceiptType>
export type RewardReceipt = ValueOf<typeof RewardReceiptType>
export type AnchorReceipt = ValueOf<typeof AnchorReceiptType>
export type CloseReceipt = ValueOf<typeof CloseReceiptType>
export type FeeReceipt = ValueOf<typeof FeeReceiptType>
export type CreationReceipt = ValueOf<typeof CreationReceiptType>
export type PayoutReceipt = ValueOf<typeof PayoutReceiptType>
export type ContractEndReceipt = ValueOf<typeof ContractEndReceiptType>
export type DepositReceipt = ValueOf<typeof DepositReceiptType>
export type WithdrawalReceipt = ValueOf<typeof WithdrawalReceiptType>
export type PegReceipt = ValueOf<typeof PegReceiptType>
export type RefillReceipt = ValueOf<typeof RefillReceiptType>
export type RepairReceipt = ValueOf<typeof RepairReceiptType>
export type DelegateFeeReceipt = ValueOf<typeof DelegateFeeReceiptType>
export type SlashReceipt = ValueOf<typeof SlashReceiptType>
export type StakeReceipt = ValueOf<typeof StakeReceiptType>
export type UnregisterReceipt = ValueOf<typeof UnregisterReceiptType>

export type ReceiptBody =
  | { readonly selector: 0; value: ProofReceipt }
  | { readonly selector: 1; value: StorageReceipt }
  | { readonly selector: 2; value: RelayReceipt }
  | { readonly selector: 3; value: ForfeitReceipt }
  | { readonly selector: 4; value: EvictionReceipt }
  | { readonly selector: 5; value: RewardReceipt }
  | { readonly selector: 6; value: AnchorReceipt }
  | { readonly selector: 7; value: CloseReceipt }
  | { readonly selector: 8; value: FeeReceipt }
  | { readonly selector: 9; value: CreationReceipt }
  | { readonly selector: 10; value: PayoutReceipt }
  | { readonly selector: 11; value: ContractEndReceipt }
  | { readonly selector: 12; value: DepositReceipt }
  | { readonly selector: 13; value: WithdrawalReceipt }
  | { readonly selector: 14; value: PegReceipt }
  | { readonly selector: 15; value: RefillReceipt }
  | { readonly selector: 16; value: RepairReceipt }
  | { readonly selector: 17; value: DelegateFeeReceipt }
  | { readonly selector: 18; value: SlashReceipt }
  | { readonly selector: 19; value: StakeReceipt }
  | { readonly selector: 20; value: UnregisterReceipt }

/** Transaction index of receipts that the block itself leaves. */
export const BLOCK_RECEIPT = 0xffff_ffff

/** Id of a receipt = hash_tree_root; height and position make it unique. */
export const ReceiptType = new ContainerType(
  {
    height: Count64,
    epoch: U32,
    /** Index of the transaction in the block, or BLOCK_RECEIPT. */
    transaction: U32,
    /** Position among the block's receipts. */
    index: U32,
    body: ReceiptBodyType,
  },
  { typeName: 'Receipt' },
)
export type Receipt = Omit<ValueOf<typeof ReceiptType>, 'body'> & { body: ReceiptBody }

export const RECEIPTS_PER_BLOCK_MAX = 65_536
export const ReceiptListType = new ListCompositeType(ReceiptType, RECEIPTS_PER_BLOCK_MAX)
