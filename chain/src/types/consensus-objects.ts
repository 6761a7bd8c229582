import { ByteListType, ContainerType, ListCompositeType, type ValueOf } from '@chainsafe/ssz'
import { Bytes32, Count64, SignatureBytes, U8, U16 } from './primitives.ts'

/** Hard cap of validators in a set. */
export const VALIDATORS_MAX = 100

/**
 * What a leader proposes and a finality certificate finalises. The block hash is the header's
 * hash_tree_root, so each field is provable on its own.
 */
export const HeaderType = new ContainerType(
  {
    version: U16,
    chainId: Bytes32,
    epoch: Count64,
    view: Count64,
    height: Count64,
    timeMs: Count64,
    parentHash: Bytes32,
    parentView: Count64,
    /** hash_tree_root of the Justification carried beside the block. */
    justHash: Bytes32,
    /** Index of the leader in the epoch's validator set. */
    proposer: U16,
    txRoot: Bytes32,
    receiptRoot: Bytes32,
    /** Root of the evidence transactions of the block, as their own list. */
    evidenceRoot: Bytes32,
    /** After this block. */
    stateRoot: Bytes32,
    /** hash_tree_root of List[Root, 2^32] of all earlier block hashes, genesis first. */
    historyRoot: Bytes32,
    /** Root of the epoch's reward tree; zero except in the last block of an epoch. */
    epochDataRoot: Bytes32,
    validatorsHash: Bytes32,
    nextValidatorsHash: Bytes32,
  },
  { typeName: 'Header' },
)
export type Header = ValueOf<typeof HeaderType>

/** The three statements a validator can sign about a view. */
export const VoteKind = { notarize: 1, nullify: 2, finalize: 3 } as const
export type VoteKind = (typeof VoteKind)[keyof typeof VoteKind]

/** The signed part of a vote. It names no validator: all votes for a statement sign the same. */
export const StatementType = new ContainerType(
  {
    kind: U8,
    epoch: Count64,
    view: Count64,
    /** Block hash; zero for nullify. */
    hash: Bytes32,
  },
  { typeName: 'Statement' },
)
export type Statement = ValueOf<typeof StatementType>

export const VoteType = new ContainerType(
  { statement: StatementType, validator: U16, signature: SignatureBytes },
  { typeName: 'Vote' },
)
export type Vote = ValueOf<typeof VoteType>

/** A quorum of votes for a statement: who signed (bit i = validator i), signatures in order. */
export const CertificateType = new ContainerType(
  {
    /** Signature scheme; 1 = secp256k1 ECDSA list. Leaves room for aggregated ones. */
    scheme: U8,
    statement: StatementType,
    signers: new ByteListType(Math.ceil(VALIDATORS_MAX / 8)),
    signatures: new ListCompositeType(SignatureBytes, VALIDATORS_MAX),
  },
  { typeName: 'Certificate' },
)
export type Certificate = ValueOf<typeof CertificateType>

/**
 * Nullify certificates a justification may carry: the gap between two notarized views. A gap
 * above it could never be bridged, so it is far above what growing skip timeouts reach in a day.
 */
export const SKIPS_MAX = 2048
/** A serialized justification is at most this long, to fit into a message beside a block. */
export const JUSTIFICATION_BYTES_MAX = 960 * 1024

/**
 * Why a block may stand on its parent: the parent's certificate and a nullify certificate for
 * every view between. Empty parent list only for the first block after genesis.
 */
export const JustificationType = new ContainerType(
  {
    parent: new ListCompositeType(CertificateType, 1),
    skips: new ListCompositeType(CertificateType, SKIPS_MAX),
  },
  { typeName: 'Justification' },
)
export type Justification = ValueOf<typeof JustificationType>

/** Why an epoch's last block could be proposed again in `view`. */
export const ReproposalType = new ContainerType(
  { view: Count64, justification: JustificationType },
  { typeName: 'Reproposal' },
)
/** Views of one epoch's end that a stored block keeps; more than the log ever sees. */
export const ReproposalsType = new ListCompositeType(ReproposalType, 1024)
