import {
  ByteVectorType,
  ContainerType,
  ListBasicType,
  ListCompositeType,
  type ValueOf,
  VectorCompositeType,
} from '@chainsafe/ssz'
import { VALIDATORS_MAX } from './consensus-objects.ts'
import {
  Bool,
  Bytes20,
  Bytes32,
  byteList,
  Count64,
  PublicKeyBytes,
  U8,
  U32,
  Units64,
  Weight128,
} from './primitives.ts'
import { LABEL_BYTES_MAX } from './transactions.ts'

/** Index value that means "none": no rail, no open challenge, not asked, not lost. */
export const NONE = 0xffff_ffff

/** Exactly 64 bytes: what the account tree hashes in one step (PROTOCOL 2). */
export const AccountType = new ContainerType(
  {
    address: Bytes20,
    /** The next higher address that exists (sorted, circular through zero): absence is provable. */
    nextAddress: Bytes20,
    balance: Units64,
    bond: Units64,
    nonce: U32,
    flags: U32,
  },
  { typeName: 'Account' },
)
export type Account = ValueOf<typeof AccountType>

/** How many resolutions of a node's log are kept at most. */
export const RESOLUTIONS_MAX = 4096
/** Inventory snapshots kept: proof window of the longest preset + 2. */
export const SNAPSHOTS_MAX = 14

/** One resolved challenge; values are those after it (PROTOCOL 6.6). */
export const ResolutionType = new ContainerType({
  /** Challenge epoch. */
  epoch: U32,
  /** Epoch resolved up to. */
  A: U32,
  /** Proven epochs. */
  P: U32,
  passed: Bool,
})
export type Resolution = ValueOf<typeof ResolutionType>

/** The inventory as it stood before its first change in an epoch. */
export const SnapshotType = new ContainerType({
  /** First epoch whose snapshot this is not any more: valid for snapshots of epochs <= this. */
  epoch: U32,
  root: Bytes32,
  sum: Weight128,
  bytes: Count64,
  /** Entries, which fixes the depth of the tree under the root. */
  count: U32,
})
export type Snapshot = ValueOf<typeof SnapshotType>

export const NodeType = new ContainerType(
  {
    owner: Bytes20,
    nodeKey: PublicKeyBytes,
    payout: Bytes20,
    roles: U8,
    registered: U32,
    evicted: Bool,
    /** Epoch resolved up to. */
    A: U32,
    /** Proven epochs. */
    P: U32,
    /** First undecided epoch of the lazy replay. */
    seen: U32,
    /** Epoch of the open challenge; NONE if none is open. */
    challenge: U32,
    /** Height of the block that opened it (fixed its beacon). */
    challengeHeight: Count64,
    strikes: U8,
    /** Proof bytes owed, in units. */
    debt: Units64,
    /** Held pay over all its rails, units. */
    held: Units64,
    /** Refundable deposit of register. */
    deposit: Units64,
    /** One pending (epoch, fee) for the subsidy. */
    pendingEpoch: U32,
    pendingFee: Units64,
    /** Its leaf among the reward leaves of the pending epoch. */
    pendingLeaf: U32,
    inventoryCount: U32,
    inventoryRoot: Bytes32,
    inventorySum: Weight128,
    inventoryBytes: Count64,
    /**
     * Epoch of the last inventory change; NONE before any. Decides whether the ring is pushed, and
     * which entries of the log are joined (docs/protocol/ledger-notes.md).
     */
    inventoryChanged: U32,
    snapshots: new ListCompositeType(SnapshotType, SNAPSHOTS_MAX),
    log: new ListCompositeType(ResolutionType, RESOLUTIONS_MAX),
    /** Epoch of its eviction; NONE before it. Its slots are open for a refill since then. */
    evictedEpoch: U32,
    /**
     * First epoch in which nothing counts on its roles of register; NONE while it has some, or
     * never had any. The deposit is paid back behind anchors that are FINAL from then on.
     */
    exitEpoch: U32,
  },
  { typeName: 'Node' },
)
export type Node = ValueOf<typeof NodeType>

/** An entry of a node's inventory: weight = billed leaves x price (PROTOCOL 6.1). */
export const InventoryEntryType = new ContainerType({
  rail: U32,
  generation: U32,
  weight: Weight128,
})
export type InventoryEntry = ValueOf<typeof InventoryEntryType>

export const RailType = new ContainerType(
  {
    generation: U32,
    /** False for a freed index. */
    live: Bool,
    payer: Bytes20,
    /** Node index. */
    node: U32,
    /** Contract index; NONE for a relay rail. */
    contract: U32,
    slot: U8,
    root: Bytes32,
    /** Real count; 0 for a relay rail. */
    leaves: U32,
    price: Units64,
    unitPrice: Units64,
    reservationPrice: Units64,
    need: Units64,
    /** Totals ever locked. */
    lockTime: Units64,
    lockUnits: Units64,
    /** Highest redeemed voucher counters. */
    kib: Count64,
    reservations: Count64,
    /** Money totals, never falling (PROTOCOL 7). */
    paidTime: Units64,
    paidUnits: Units64,
    burned: Units64,
    validators: Units64,
    net: Units64,
    held: Units64,
    forfeited: Units64,
    fillEpoch: U32,
    term: U32,
    end: U32,
    askEpoch: U32,
    askHeight: Count64,
    lostEpoch: U32,
    /** The node announced leaving. */
    left: Bool,
    /** Position in the node's inventory; NONE for a relay rail. Without meaning after eviction. */
    entry: U32,
    /** Epoch in which its weight was set to 0 because it can no longer earn; NONE if it was not. */
    clearedEpoch: U32,
    /** A and P at its base, known from the first settlement after it on; NONE before. */
    base: U32,
    baseProven: U32,
    /** E and Elapsed earned before a topUp brought a cleared rail back. */
    carriedE: U32,
    carriedElapsed: U32,
    /** What the delegate that granted this refill earns in all, and what it was paid, units. */
    delegateFee: Units64,
    delegatePaid: Units64,
    /** Its node said, once its payer had asked to close it, that a step was never signed for. */
    unpaid: Bool,
    /** Epochs that the rails which it replaced were there: they count to the minimum charge. */
    chargedBefore: U32,
  },
  { typeName: 'Rail' },
)
export type Rail = ValueOf<typeof RailType>

export const SLOTS_MAX = 255
/** Rails that may have served the refills open in one contract at the same time. */
export const REPAIRS_MAX = 1024

/** A slot of a contract. */
export const ContractSlotType = new ContainerType({
  /** NONE where empty. */
  rail: U32,
  /** Zero before the first fill; a refill must bring the same. */
  root: Bytes32,
  /** How many times the slot was refilled. */
  refill: U32,
})
export type ContractSlot = ValueOf<typeof ContractSlotType>

/** What a rail was paid from the pot for serving an open refill: cumulative, as its voucher. */
export const SlotRepairType = new ContainerType({
  slot: U8,
  rail: U32,
  generation: U32,
  kib: Count64,
  paid: Units64,
})
export type SlotRepair = ValueOf<typeof SlotRepairType>

export const ContractType = new ContainerType(
  {
    generation: U32,
    live: Bool,
    payer: Bytes20,
    salt: Bytes32,
    k: U8,
    n: U8,
    maxLeaves: U32,
    priceCap: Units64,
    unitPriceCap: Units64,
    /** Each rail's traffic budget. */
    lockUnits: Units64,
    /** What is still locked for slots not yet filled. */
    unfilledLock: Units64,
    pot: Units64,
    /** Part of the pot that came from held pay. */
    potHeld: Units64,
    term: U32,
    policy: U32,
    delegate: Bytes20,
    active: Bool,
    openEpoch: U32,
    /** Leaves of the first fill: all slots are equal. 0 before it. */
    leaves: U32,
    filled: U8,
    rails: new ListCompositeType(ContractSlotType, SLOTS_MAX),
    label: byteList(LABEL_BYTES_MAX),
    /** Byte fees prepaid for fills not yet made. */
    prepaidFees: Units64,
    deposit: Units64,
    /** The payer asked to close all its rails; NONE if it did not. */
    askEpoch: U32,
    askHeight: Count64,
    /** Live rails that no slot names any more: a refill took their place. */
    detached: U32,
    delegateFee: Units64,
    /** Paid for the refills that are open now. */
    repairs: new ListCompositeType(SlotRepairType, REPAIRS_MAX),
  },
  { typeName: 'Contract' },
)
export type Contract = ValueOf<typeof ContractType>

export const ValidatorType = new ContainerType(
  {
    owner: Bytes20,
    payout: Bytes20,
    consensusKey: PublicKeyBytes,
    /** Elastos P-256 public key of its memo anchors; zero if it has none. */
    mainKey: PublicKeyBytes,
    /** Weight in the newest set that was fixed; 0 if it is not in it. */
    power: U32,
    /** The owner's own stake, units; it stands in `bond` of the owner's account. */
    bond: Units64,
    /** Share of what its delegators earn, in 1/10,000. */
    commission: U32,
    /** Views of finality certificates that carried its vote, for the reward share. */
    participation: Count64,
    /** Signed twice: in no set fixed from now on, for good. */
    jailed: Bool,
    /** Delegators' stake, units, and their shares in it: a slash is one subtraction. */
    delegated: Units64,
    shares: Units64,
    /** Delegators' rewards not yet collected, units, and what one share earned so far x 2^64. */
    rewards: Units64,
    rewardIndex: Weight128,
    /** Sum of all stake on its way out, as it was when it left, units. */
    unbonding: Units64,
    /** Part of its stake that was burned for signing twice, in 1/1,000,000. */
    penalty: U32,
    /** Oldest epoch in which it is known to have signed twice; NONE if it is not. */
    guiltEpoch: U32,
    /** Its share of the weight of the set in which it is guilty, in 1/1,000,000. */
    guiltShare: U32,
    /** Commission from the epoch after `commissionAsked` on. */
    commissionNext: U32,
    commissionAsked: U32,
  },
  { typeName: 'Validator' },
)
export type Validator = ValueOf<typeof ValidatorType>

/** What a record of the delegations' table is now. */
export const DelegationKind = { free: 0, staked: 1, unbonding: 2 } as const

/** A delegator's share in a validator's stake, or stake on its way out. */
export const DelegationType = new ContainerType(
  {
    generation: U32,
    kind: U8,
    owner: Bytes20,
    /** Index of the validator's record. */
    validator: U32,
    /** staked: shares in the validator's delegated stake, and its rewardIndex at the last payout. */
    shares: Units64,
    rewardIndex: Weight128,
    /** unbonding: units as they left, the first epoch in whose set they carried no weight. */
    amount: Units64,
    exitEpoch: U32,
    /** unbonding: the validator's penalty when they left. */
    penalty: U32,
    /** free: the next free index + 1; 0 at the end of the list. */
    nextFree: U32,
  },
  { typeName: 'Delegation' },
)
export type Delegation = ValueOf<typeof DelegationType>

/** A validator in the set of one epoch: the key and the weight that it has in that epoch. */
export const SetMemberType = new ContainerType({
  /** Index of its record. */
  validator: U32,
  publicKey: PublicKeyBytes,
  weight: U32,
})
export type SetMember = ValueOf<typeof SetMemberType>

/** States of a checkpoint's anchor. */
export const AnchorState = { none: 0, submitted: 1, confirmed: 2, final: 3 } as const

export const EpochType = new ContainerType(
  {
    /** Hash of the epoch's last block; zero before it is known to the next block. */
    checkpointHash: Bytes32,
    checkpointTimeMs: Count64,
    /** Main-chain tip height recorded by the checkpoint before this epoch. */
    snapshotMainHeight: U32,
    beacon: Bytes32,
    /** Height of the side block that fixed the beacon; 0 = not fixed. */
    beaconHeight: Count64,
    /** Challenge probability of each class, as fraction of 2^64. */
    q1: Units64,
    q2: Units64,
    fees: Units64,
    burned: Units64,
    minted: Units64,
    toValidators: Units64,
    /** Fixed when the epoch closes: the subsidy's ceiling. */
    emission: Units64,
    /** Bytes of proofs and their number, for the mean that sets q. */
    proofBytes: Count64,
    proofs: U32,
    rewardRoot: Bytes32,
    rewardCount: U32,
    anchorMainHeight: U32,
    anchorState: U8,
    /** Set of the next epoch, fixed at the checkpoint before this one (consensus 1.6). */
    nextValidators: new ListCompositeType(SetMemberType, VALIDATORS_MAX),
    /** Epoch in which its anchor became FINAL; 0 before. */
    anchorFinalEpoch: U32,
  },
  { typeName: 'Epoch' },
)
export type Epoch = ValueOf<typeof EpochType>

/** A main-chain header the state keeps; the last 2,048, by height modulo 2,048. */
export const MAIN_HEADERS_KEPT = 2048
export const MainHeaderRecordType = new ContainerType(
  {
    hash: Bytes32,
    merkleRoot: Bytes32,
    /** Hash of the Bitcoin parent header: the work behind a beacon. */
    bitcoinHash: Bytes32,
    height: U32,
    time: U32,
    bits: U32,
    /** Cumulative work since the genesis' main checkpoint, little-endian 256 bits. */
    work: Bytes32,
    /** Side height of the block that recorded it. */
    recordedAt: Count64,
  },
  { typeName: 'MainHeaderRecord' },
)
export type MainHeaderRecord = ValueOf<typeof MainHeaderRecordType>

/** What stopped the peg last. */
export const PegPauseCause = { vote: 0, reorganisation: 1 } as const

/** The peg's totals, units, and the votes on it (PROTOCOL 7, supply). */
export const PegType = new ContainerType(
  {
    deposited: Units64,
    withdrawn: Units64,
    /** Of `deposited`, what stood in main blocks that a reorganisation replaced. */
    unbacked: Units64,
    paused: Bool,
    /** PegPauseCause of the present or last pause. */
    pauseCause: U8,
    /** Validators, by index, whose owners want the opposite of `paused`. */
    pauseVotes: new ListBasicType(U32, VALIDATORS_MAX),
    /** The one withdrawal that each validator's owner wants returned. */
    returnVotes: new ListCompositeType(
      new ContainerType({ validator: U32, withdrawal: U32 }),
      VALIDATORS_MAX,
    ),
    /** Day of epochs that the two following belong to. */
    day: U32,
    /** Reserve at the day's first movement. */
    dayReserve: Units64,
    dayWithdrawn: Units64,
  },
  { typeName: 'Peg' },
)
export type Peg = ValueOf<typeof PegType>

/**
 * credited - its coin circulates here; failed - never credited, to be refunded there;
 * orphaned - credited, then its main block was replaced; replaced - proven again, see the newer
 * record of the same main transaction.
 */
export const DepositState = { credited: 1, failed: 2, orphaned: 3, replaced: 4 } as const

/** Why a deposit failed: the first entry that could not be credited. */
export const DepositFailure = { none: 0, address: 1, amount: 2, form: 3, supply: 4 } as const

/** A main-chain transaction that pays this chain's X address; kept for good, so that it counts once. */
export const DepositRecordType = new ContainerType(
  {
    /** Its id, internal order. */
    mainTransaction: Bytes32,
    mainHeight: U32,
    /** Units credited, over all its entries; 0 if it failed. */
    amount: Units64,
    entries: U32,
    state: U8,
    failure: U8,
    /** Side height of the block that recorded it. */
    height: Count64,
  },
  { typeName: 'DepositRecord' },
)
export type DepositRecord = ValueOf<typeof DepositRecordType>

export const WithdrawalState = { listed: 1, returned: 2 } as const

/** Units burned here for the main chain to pay. */
export const WithdrawalRecordType = new ContainerType(
  {
    /** Id of the withdraw transaction. */
    id: Bytes32,
    owner: Bytes20,
    /** Main-chain program hash: prefix byte and 20-byte hash. */
    to: new ByteVectorType(21),
    /** Units burned. */
    output: Units64,
    /** Units that the main-chain address gets. */
    amount: Units64,
    /** Side height of its block. */
    height: Count64,
    state: U8,
  },
  { typeName: 'WithdrawalRecord' },
)
export type WithdrawalRecord = ValueOf<typeof WithdrawalRecordType>

/** Blocks whose votes still count for participation (PROTOCOL 7). */
export const RECENT_BLOCKS_MAX = 8

/** A recent block and whose votes for it the chain has seen: bit i = member i of its set. */
export const RecentBlockType = new ContainerType({
  hash: Bytes32,
  epoch: U32,
  voted: byteList(Math.ceil(VALIDATORS_MAX / 8)),
})
export type RecentBlock = ValueOf<typeof RecentBlockType>

const FRONTIER_LEVELS = 32
/** Anchors that may wait for their depth at the same time. */
export const OPEN_ANCHORS_MAX = 256

export const GlobalsType = new ContainerType(
  {
    height: Count64,
    epoch: U32,
    timeMs: Count64,
    /** Supply terms, units: circulating = genesis + deposited + minted - burned - withdrawn. */
    genesisSupply: Units64,
    minted: Units64,
    /** Service burns (phi), the only ones a subsidy is measured against. */
    burnedService: Units64,
    burnedBaseFee: Units64,
    burnedForfeit: Units64,
    burnedSlash: Units64,
    /** Validators' share not yet paid out. */
    validatorPool: Units64,
    mainTipHeight: U32,
    /** Lowest main height the state still holds. */
    mainBaseHeight: U32,
    /** Nodes with weight, per class, for q. */
    nodesClass1: U32,
    nodesClass2: U32,
    lastAnchoredEpoch: U32,
    /** Newest epoch whose anchor is FINAL; 0 for none. */
    lastFinalEpoch: U32,
    /** Epochs whose anchors are recorded but not FINAL yet. */
    openAnchors: new ListBasicType(U32, OPEN_ANCHORS_MAX),
    /** Append frontier of the history list: the left siblings still open, lowest level first. */
    historyCount: Count64,
    historyFrontier: new VectorCompositeType(Bytes32, FRONTIER_LEVELS),
    freeRails: new ListCompositeType(new ContainerType({ index: U32 }), 65_536),
    freeContracts: new ListCompositeType(new ContainerType({ index: U32 }), 65_536),
    /** First free index of the delegations' table + 1; 0 for none. */
    freeDelegations: U32,
    /** Parents of the last blocks, newest last. */
    recentBlocks: new ListCompositeType(RecentBlockType, RECENT_BLOCKS_MAX),
    /** Base fee of the next block, units per byte. */
    baseFee: Units64,
  },
  { typeName: 'Globals' },
)
export type Globals = ValueOf<typeof GlobalsType>

/** The terms of the supply after a block, units: what the store keeps of every height. */
export const SupplyTermsType = new ContainerType(
  {
    genesisSupply: Units64,
    deposited: Units64,
    withdrawn: Units64,
    unbacked: Units64,
    minted: Units64,
    burnedService: Units64,
    burnedBaseFee: Units64,
    burnedForfeit: Units64,
    burnedSlash: Units64,
  },
  { typeName: 'SupplyTerms' },
)
export type SupplyTerms = ValueOf<typeof SupplyTermsType>
