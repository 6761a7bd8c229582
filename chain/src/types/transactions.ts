import {
  ContainerType,
  ListBasicType,
  ListCompositeType,
  UnionType,
  type ValueOf,
} from '@chainsafe/ssz'
import { StatementType } from './consensus-objects.ts'
import {
  Bool,
  Bytes20,
  Bytes32,
  byteList,
  Count64,
  LeafBytes,
  PublicKeyBytes,
  SignatureBytes,
  U8,
  U16,
  U32,
  Units64,
  Weight128,
} from './primitives.ts'

/** Openings that a fill or a prove carries (PROTOCOL 5.2, 6.4). */
export const OPENINGS = 8
/** Leaves of 256 B in the largest slot. */
export const SLOT_LEAVES_MAX = 2 ** 22
/** Levels of a slot tree above the 256-B leaf. */
export const SLOT_PATH_MAX = 22
/** Levels of a node's inventory tree. */
export const INVENTORY_PATH_MAX = 32
export const RAILS_PER_REDEEM_MAX = 256
/** Vouchers of the rails of one contract. */
export const SLOT_RAILS_MAX = 255
export const LABEL_BYTES_MAX = 512
export const MAIN_HEADER_BYTES_MAX = 32 * 1024
/** More than the deepest reorganisation that may be recorded (FINAL), which comes in one piece. */
export const MAIN_HEADERS_PER_TRANSACTION_MAX = 128
export const MAIN_TRANSACTION_BYTES_MAX = 64 * 1024
export const TRANSACTION_BYTES_MAX = 512 * 1024

/** Owner moves money. A transfer to a node's key address pays the node's debt first. */
export const TransferType = new ContainerType({ to: Bytes20, amount: Units64 })

/**
 * Binds a hot node key to its cold owner and payout address: the owner's signature, purpose
 * "possession", over NodeBindingType. Carried by register and by a peer's first fill.
 */
export const NodeBindingType = new ContainerType({ nodeKey: PublicKeyBytes, payout: Bytes20 })
export const NodeIdentityType = new ContainerType({
  owner: PublicKeyBytes,
  payout: Bytes20,
  signature: SignatureBytes,
})

/** Roles of a registered node, as bits. */
export const NodeRole = { peer: 1, bootstrap: 2, validator: 4 } as const

/** Owner registers a bootstrap node or validator; proofs of possession by the other keys (purpose "possession" over the owner's address binding). */
export const RegisterType = new ContainerType({
  nodeKey: PublicKeyBytes,
  nodeProof: SignatureBytes,
  /** Zero key where the node does not validate. */
  consensusKey: PublicKeyBytes,
  consensusProof: SignatureBytes,
  payout: Bytes20,
  roles: U8,
  /** Index of an own node whose registration moves to this new key; NONE where it adds one. */
  replaces: U32,
})

/**
 * Bits of a contract's policy that the rules read. trustsDelegate: the pot is the delegate's to
 * spend on repairs; without it a refill costs the pot at most what the former rail forfeited.
 */
export const ContractPolicy = { trustsDelegate: 1 } as const

export const OpenContractType = new ContainerType({
  salt: Bytes32,
  k: U8,
  n: U8,
  /** Upper bound of a slot's leaves; all slots of a contract are equal. */
  maxLeaves: U32,
  /** Units per GiB-epoch; a grant may name less. */
  priceCap: Units64,
  /** Units per GiB moved; a grant may name less. */
  unitPriceCap: Units64,
  /** Traffic budget of each rail, units. The time lock is computed: priceCap x billed x term. */
  lockUnits: Units64,
  /** Repair pot, units. */
  pot: Units64,
  /** Epochs. */
  term: U32,
  /** Bits of ContractPolicy; the others are for clients, and consensus only stores them. */
  policy: U32,
  /** Repair delegate's address; zero for none. */
  delegate: Bytes20,
  /** What the delegate earns from the pot for a refill it grants, units; vests as it is proven. */
  delegateFee: Units64,
  label: byteList(LABEL_BYTES_MAX),
})

/** A relay channel: a rail without a root. `node` is the node key's address. */
export const OpenRelayType = new ContainerType({
  node: Bytes20,
  lockUnits: Units64,
  unitPrice: Units64,
  reservationPrice: Units64,
})

/**
 * Permission to fill one slot (purpose "slot-grant"), by the payer or, for a refill, by its
 * delegate. The node sees its price here: what was agreed on off chain, at or below the caps.
 */
export const SlotGrantType = new ContainerType({
  contract: U32,
  salt: Bytes32,
  slot: U8,
  /** 0 for the first fill of the slot, r for its r-th refill: a grant is good for one fill. */
  refill: U32,
  root: Bytes32,
  leaves: U32,
  /** Node key's address. */
  node: Bytes20,
  price: Units64,
  unitPrice: Units64,
})

/** One 256-B leaf of a slot with its path from level 3 up (PROTOCOL 1.4). */
export const SlotOpeningType = new ContainerType({
  leaf: LeafBytes,
  path: new ListCompositeType(Bytes32, SLOT_PATH_MAX),
})

export const FillType = new ContainerType({
  grant: SlotGrantType,
  /** Public key of who granted: its address stands in the contract, as payer or delegate. */
  payerKey: PublicKeyBytes,
  grantSignature: SignatureBytes,
  openings: new ListCompositeType(SlotOpeningType, OPENINGS),
  /** Present in a node's first fill, which creates its record. */
  identity: new ListCompositeType(NodeIdentityType, 1),
})

/** A sibling in the inventory's Merkle-sum tree. */
export const SumNodeType = new ContainerType({ hash: Bytes32, sum: Weight128 })

/** One drawn position: the inventory entry with its sum path, then the leaf with its slot path. */
export const ProveOpeningType = new ContainerType({
  /** Index of the entry in the inventory of the snapshot. */
  entry: U32,
  rail: U32,
  generation: U32,
  weight: Weight128,
  sumPath: new ListCompositeType(SumNodeType, INVENTORY_PATH_MAX),
  opening: SlotOpeningType,
})

/** Ended rails whose weight one prove may set to 0. */
export const CLEARS_PER_PROVE_MAX = 64

export const ProveType = new ContainerType({
  /** Challenge epoch. */
  epoch: U32,
  openings: new ListCompositeType(ProveOpeningType, OPENINGS),
  /** Own rails that can no longer earn: their weight leaves after this proof (PROTOCOL 6.1). */
  clear: new ListBasicType(U32, CLEARS_PER_PROVE_MAX),
})

/** Cumulative counters of a rail, signed by its payer (purpose "voucher"); only the newest matters. */
export const VoucherType = new ContainerType({
  rail: U32,
  generation: U32,
  kib: Count64,
  reservations: Count64,
})
export const SignedVoucherType = new ContainerType({
  voucher: VoucherType,
  /** Payer's public key: its address stands in the rail. */
  payerKey: PublicKeyBytes,
  signature: SignatureBytes,
})

export const RedeemType = new ContainerType({
  rails: new ListBasicType(U32, RAILS_PER_REDEEM_MAX),
  vouchers: new ListCompositeType(SignedVoucherType, RAILS_PER_REDEEM_MAX),
  /** Units that it must bring, for its byte fee to be worth it: a repetition brings less. */
  least: Units64,
})

/** What a close ends: one rail, or a contract with all its rails. */
export const CloseKind = { rail: 0, contract: 1 } as const
/** First asks, later settles (two steps, PROTOCOL 6.7). */
export const CloseType = new ContainerType({
  kind: U8,
  /** Rail or contract index. */
  target: U32,
  generation: U32,
})

/** What a topUp adds to. */
export const TopUpKind = { railEpochs: 0, railUnits: 1, contractPot: 2 } as const
export const TopUpType = new ContainerType({
  kind: U8,
  /** Rail or contract index. */
  target: U32,
  generation: U32,
  /** Epochs for railEpochs, units otherwise. */
  amount: Units64,
})

export const LeaveType = new ContainerType({
  rail: U32,
  /** The bytes are gone. */
  lost: Bool,
  /** Of a rail whose close was asked: its payer never signed for the last step. */
  unpaid: Bool,
})
export const EvictType = new ContainerType({ node: Bytes20 })
/** Sets the weight of a rail that can no longer earn to 0, once (PROTOCOL 6.1). */
export const ClearWeightType = new ContainerType({ rail: U32 })

/** Main-chain headers with their AuxPow, raw Elastos bytes, in order (PROTOCOL 9). */
export const MainHeadersType = new ContainerType({
  headers: new ListCompositeType(byteList(MAIN_HEADER_BYTES_MAX), MAIN_HEADERS_PER_TRANSACTION_MAX),
})

/** Proof that a checkpoint is committed in a main-chain block known to the state (PROTOCOL 9). */
export const AnchorType = new ContainerType({
  epoch: U32,
  checkpointHash: Bytes32,
  /** Raw main-chain transaction: memo or SideChainPow. */
  transaction: byteList(MAIN_TRANSACTION_BYTES_MAX),
  branch: new ListCompositeType(Bytes32, 32),
  branchIndex: U32,
  mainHeight: U32,
})

/** A consensus statement with one validator's signature (purpose "vote"). */
export const SignedStatementType = new ContainerType({
  statement: StatementType,
  signature: SignatureBytes,
})

/** Two contradicting votes of one validator in one epoch and view (docs/protocol/consensus.md). */
export const EvidenceType = new ContainerType({
  /** Index of the validator's record; the key is the one that it had in that epoch's set. */
  validator: U32,
  first: SignedStatementType,
  second: SignedStatementType,
})

/** The owner of a validator raises that validator's own stake. */
export const BondType = new ContainerType({ validator: U32, amount: Units64 })
/** Takes stake back: the own stake of an own validator or of a delegation. It is released later. */
export const UnbondType = new ContainerType({
  validator: U32,
  /** Index of the own delegation; NONE for the stake of the validator's owner. */
  delegation: U32,
  amount: Units64,
})
/** Stakes on a validator. Amount 0 only collects what an existing delegation earned. */
export const DelegateType = new ContainerType({
  validator: U32,
  /** Index of the own delegation to add to; NONE makes a new one. */
  delegation: U32,
  amount: Units64,
})
/** Pays out stake whose unbonding is over; anyone may send it. */
export const ReleaseStakeType = new ContainerType({ delegation: U32 })

/** A validator's owner replaces its keys and terms: votes and commission after the next epoch. */
export const RotateKeysType = new ContainerType({
  validator: U32,
  consensusKey: PublicKeyBytes,
  /** Proof of possession (purpose "possession"); zero where the key stays. */
  consensusProof: SignatureBytes,
  /** Elastos P-256 public key of its memo anchors; zero if it has none. */
  mainKey: PublicKeyBytes,
  payout: Bytes20,
  /** A validator's share of what its delegators earn, in 1/10,000. */
  commission: U16,
})

/** A main-chain transaction that pays this chain's X address, proven against mainHeaders. */
export const DepositType = new ContainerType({
  /** Raw main-chain transaction, type TransferCrossChainAsset. */
  transaction: byteList(MAIN_TRANSACTION_BYTES_MAX),
  branch: new ListCompositeType(Bytes32, 32),
  branchIndex: U32,
  mainHeight: U32,
})

/** Burns `output` units here; the main chain pays `amount` to the address (FACTS 4.6, 6). */
export const WithdrawType = new ContainerType({
  /** Main-chain address, 34 ASCII characters. */
  to: byteList(64),
  /** Units that leave this chain. */
  output: Units64,
  /** Units that the main-chain address gets: at least 10,000 less. */
  amount: Units64,
})

/** What a validator's owner votes for: the peg stops, goes on, or gives one withdrawal back. */
export const PegVoteKind = { pause: 0, resume: 1, returnWithdrawal: 2 } as const
/** More than 2/3 of the validators' power decide (PROTOCOL 7). */
export const PegVoteType = new ContainerType({
  validator: U32,
  kind: U8,
  /** Index of the withdrawal; 0 otherwise. */
  withdrawal: U32,
})

/** A node that the lottery drew takes an empty slot under its old root (PROTOCOL 5.2). */
export const ClaimSlotType = new ContainerType({
  contract: U32,
  generation: U32,
  slot: U8,
  /** Number of the refill that this would be, as in a grant. */
  refill: U32,
  openings: new ListCompositeType(SlotOpeningType, OPENINGS),
})

/** What a rail served to rebuild a slot; the delegate signs it (purpose "repair-voucher"). */
export const RepairVoucherType = new ContainerType({
  contract: U32,
  generation: U32,
  /** The open slot that is being rebuilt. */
  slot: U8,
  /** How many times the slot was refilled before. */
  refill: U32,
  /** The rail that served. */
  rail: U32,
  kib: Count64,
})
export const SignedRepairVoucherType = new ContainerType({
  voucher: RepairVoucherType,
  delegateKey: PublicKeyBytes,
  signature: SignatureBytes,
})
/** The nodes that served are paid from the contract's pot (PROTOCOL 7). */
export const RedeemRepairType = new ContainerType({
  vouchers: new ListCompositeType(SignedRepairVoucherType, SLOT_RAILS_MAX),
})

/** Late votes that one block may carry. */
export const LATE_VOTES_MAX = 256

/** A vote for a block that no certificate on the chain carries. */
export const LateVoteType = new ContainerType({
  /** How far the block lies behind the parent of the block that carries this; 0 is the parent. */
  back: U8,
  /** Index in the set of that block's epoch. */
  validator: U8,
  /** Notarize or finalize. */
  kind: U8,
  view: Count64,
  signature: SignatureBytes,
})
/** By block, newest first, then by validator: what participation counts beside certificates. */
/** The owner gives up a node's roles of register; sent again, it gets the deposit back. */
export const UnregisterType = new ContainerType({
  /** Index. */
  node: U32,
})

export const LateVotesType = new ContainerType({
  votes: new ListCompositeType(LateVoteType, LATE_VOTES_MAX),
})

/** Selector of each payload in the union, which is also its wire number. New ones go at the end. */
export const PayloadKind = {
  transfer: 0,
  register: 1,
  openContract: 2,
  openRelay: 3,
  fill: 4,
  prove: 5,
  redeem: 6,
  close: 7,
  topUp: 8,
  leave: 9,
  evict: 10,
  clearWeight: 11,
  mainHeaders: 12,
  anchor: 13,
  evidence: 14,
  bond: 15,
  unbond: 16,
  delegate: 17,
  releaseStake: 18,
  rotateKeys: 19,
  deposit: 20,
  withdraw: 21,
  pegVote: 22,
  claimSlot: 23,
  redeemRepair: 24,
  lateVotes: 25,
  unregister: 26,
} as const
export type PayloadKind = keyof typeof PayloadKind

export const PayloadType = new UnionType([
  TransferType,
  RegisterType,
  OpenContractType,
  OpenRelayType,
  FillType,
  ProveType,
  RedeemType,
  CloseType,
  TopUpType,
  LeaveType,
  EvictType,
  ClearWeightType,
  MainHeadersType,
  AnchorType,
  EvidenceType,
  BondType,
  UnbondType,
  DelegateType,
  ReleaseStakeType,
  RotateKeysType,
  DepositType,
  WithdrawType,
  PegVoteType,
  ClaimSlotType,
  RedeemRepairType,
  LateVotesType,
  UnregisterType,
])

export type Transfer = ValueOf<typeof TransferType>
export type NodeIdentity = ValueOf<typeof NodeIdentityType>
export type Register = ValueOf<typeof RegisterType>
export type OpenContract = ValueOf<typeof OpenContractType>
export type OpenRelay = ValueOf<typeof OpenRelayType>
export type SlotGrant = ValueOf<typeof SlotGrantType>
export type SlotOpening = ValueOf<typeof SlotOpeningType>
export type Fill = ValueOf<typeof FillType>
export type SumNode = ValueOf<typeof SumNodeType>
export type ProveOpening = ValueOf<typeof ProveOpeningType>
export type Prove = ValueOf<typeof ProveType>
export type Voucher = ValueOf<typeof VoucherType>
export type SignedVoucher = ValueOf<typeof SignedVoucherType>
export type Redeem = ValueOf<typeof RedeemType>
export type Close = ValueOf<typeof CloseType>
export type TopUp = ValueOf<typeof TopUpType>
export type Leave = ValueOf<typeof LeaveType>
export type Evict = ValueOf<typeof EvictType>
export type ClearWeight = ValueOf<typeof ClearWeightType>
export type MainHeaders = ValueOf<typeof MainHeadersType>
export type Anchor = ValueOf<typeof AnchorType>
export type SignedStatement = ValueOf<typeof SignedStatementType>
export type Evidence = ValueOf<typeof EvidenceType>
export type Bond = ValueOf<typeof BondType>
export type Unbond = ValueOf<typeof UnbondType>
export type Delegate = ValueOf<typeof DelegateType>
export type ReleaseStake = ValueOf<typeof ReleaseStakeType>
export type RotateKeys = ValueOf<typeof RotateKeysType>
export type Deposit = ValueOf<typeof DepositType>
export type Withdraw = ValueOf<typeof WithdrawType>
export type PegVote = ValueOf<typeof PegVoteType>
export type ClaimSlot = ValueOf<typeof ClaimSlotType>
export type RedeemRepair = ValueOf<typeof RedeemRepairType>
export type LateVote = ValueOf<typeof LateVoteType>
export type LateVotes = ValueOf<typeof LateVotesType>
export type Unregister = ValueOf<typeof UnregisterType>
export type RepairVoucher = ValueOf<typeof RepairVoucherType>
export type SignedRepairVoucher = ValueOf<typeof SignedRepairVoucherType>

export type Payload =
  | { readonly selector: 0; value: Transfer }
  | { readonly selector: 1; value: Register }
  | { readonly selector: 2; value: OpenContract }
  | { readonly selector: 3; value: OpenRelay }
  | { readonly selector: 4; value: Fill }
  | { readonly selector: 5; value: Prove }
  | { readonly selector: 6; value: Redeem }
  | { readonly selector: 7; value: Close }
  | { readonly selector: 8; value: TopUp }
  | { readonly selector: 9; value: Leave }
  | { readonly selector: 10; value: Evict }
  | { readonly selector: 11; value: ClearWeight }
  | { readonly selector: 12; value: MainHeaders }
  | { readonly selector: 13; value: Anchor }
  | { readonly selector: 14; value: Evidence }
  | { readonly selector: 15; value: Bond }
  | { readonly selector: 16; value: Unbond }
  | { readonly selector: 17; value: Delegate }
  | { readonly selector: 18; value: ReleaseStake }
  | { readonly selector: 19; value: RotateKeys }
  | { readonly selector: 20; value: Deposit }
  | { readonly selector: 21; value: Withdraw }
  | { readonly selector: 22; value: PegVote }
  | { readonly selector: 23; value: ClaimSlot }
  | { readonly selector: 24; value: RedeemRepair }
  | { readonly selector: 25; value: LateVotes }
  | { readonly selector: 26; value: Unregister }

/**
 * The signed part of a transaction. Id of a transaction = hash_tree_root(body); the signature,
 * purpose "tx", is over it.
 */
export const TransactionBodyType = new ContainerType(
  {
    /** Signer's public key: owner, payer or node key. Zero in the system lane. */
    sender: PublicKeyBytes,
    /** Account nonce of an owner's transaction; zero where a node key or nobody signs. */
    nonce: U32,
    /** Last height of a block that may carry it. */
    validUntil: Count64,
    /** Highest base fee per byte the sender accepts, units. */
    maxBaseFee: Units64,
    /** Units per byte for the proposer. */
    tip: Units64,
    payload: PayloadType,
  },
  { typeName: 'TransactionBody' },
)
export type TransactionBody = Omit<ValueOf<typeof TransactionBodyType>, 'payload'> & {
  payload: Payload
}

export const TransactionType = new ContainerType(
  { body: TransactionBodyType, signature: SignatureBytes },
  { typeName: 'Transaction' },
)
export type Transaction = { body: TransactionBody; signature: Uint8Array }

export const TRANSACTIONS_PER_BLOCK_MAX = 16_384
export const BLOCK_BODY_BYTES_MAX = 1024 * 1024

export const TransactionListType = new ListCompositeType(
  TransactionType,
  TRANSACTIONS_PER_BLOCK_MAX,
)
