import { ContainerType, ListBasicType, ListCompositeType, type ValueOf } from '@chainsafe/ssz'
import {
  CertificateType,
  HeaderType,
  JustificationType,
  ReproposalsType,
} from '../types/consensus-objects.ts'
import { EPOCH_PROOF_BYTES_MAX } from '../types/epoch-proof.ts'
import { BLOCK_BYTES_MAX } from '../types/block.ts'
import { Bytes32, byteList, Count64, U8, ZERO_HASH } from '../types/primitives.ts'
import { CHUNK_BYTES_MAX, MANIFEST_BYTES_MAX } from './snapshot-messages.ts'

/** Blocks that one answer may carry. */
export const SYNC_BLOCKS_MAX = 64
/** An answer stops growing at this size; it always holds at least one block if there is one. */
export const SYNC_ANSWER_BYTES_MAX = 4 * 1024 * 1024
export const SYNC_FRAME_BYTES_MAX = SYNC_ANSWER_BYTES_MAX + 2 * BLOCK_BYTES_MAX
/** Epoch proofs that one answer may carry. */
export const SYNC_PROOFS_MAX = 64
/** More links of a re-proposed block than this are not served beside it. */
export const REPROPOSALS_BYTES_MAX = EPOCH_PROOF_BYTES_MAX
export const SYNC_REQUEST_BYTES_MAX = 256

export const SyncRequestKind = {
  status: 0,
  range: 1,
  byHash: 2,
  epochProofs: 3,
  snapshots: 4,
  chunks: 5,
  place: 6,
} as const

/**
 * What a full node asks another: its status; `count` final blocks from height `from` on; one block by
 * its hash; `count` epoch proofs from epoch `from` on; which snapshots there are, with the manifest of
 * `epoch`; `count` chunks of the snapshot of `epoch` from ordinal `from` on; where block `from` stands
 * in the history of the checkpoint of `epoch`.
 */
export const SyncRequestType = new ContainerType({
  kind: U8,
  from: Count64,
  count: U8,
  hash: Bytes32,
  epoch: Count64,
})
export type SyncRequest = ValueOf<typeof SyncRequestType>

export const StatusType = new ContainerType({
  chainId: Bytes32,
  height: Count64,
  hash: Bytes32,
  epoch: Count64,
})
export type Status = ValueOf<typeof StatusType>

/** A block with what proves it: SSZ bytes, so that a relayed block is not decoded on the way. */
export const SyncBlockType = new ContainerType({
  block: byteList(BLOCK_BYTES_MAX),
  justification: JustificationType,
  /** Finality certificate where the sender has one. */
  certificate: new ListCompositeType(CertificateType, 1),
  /** Why an epoch's last block could be proposed again, where that happened. */
  reproposals: ReproposalsType,
})
export type SyncBlock = ValueOf<typeof SyncBlockType>

/** What gossip carries of a final block. */
export const FinalHeaderType = new ContainerType({
  header: HeaderType,
  certificate: CertificateType,
})
export type FinalHeader = ValueOf<typeof FinalHeaderType>

export const SyncAnswerType = new ContainerType({
  status: StatusType,
  blocks: new ListCompositeType(SyncBlockType, SYNC_BLOCKS_MAX),
})
export type SyncAnswer = ValueOf<typeof SyncAnswerType>

export const EpochProofsAnswerType = new ContainerType({
  status: StatusType,
  /** Bytes of EpochProofType, of epochs in a row. */
  proofs: new ListCompositeType(byteList(EPOCH_PROOF_BYTES_MAX), SYNC_PROOFS_MAX),
})

export const SnapshotsAnswerType = new ContainerType({
  status: StatusType,
  /** Epochs of the snapshots that can be fetched here. */
  epochs: new ListBasicType(Count64, 8),
  /** SnapshotManifestType of the epoch asked for; empty if it is not here. */
  manifest: byteList(MANIFEST_BYTES_MAX),
})

/** Chunks that one answer may carry. */
export const SYNC_CHUNKS_MAX = 64
export const ChunksAnswerType = new ContainerType({
  status: StatusType,
  chunks: new ListCompositeType(byteList(CHUNK_BYTES_MAX), SYNC_CHUNKS_MAX),
})

/** Siblings up to the root of a list of 2^32 hashes, and its length. */
const PLACE_BRANCH_MAX = 33
export const PlaceAnswerType = new ContainerType({
  status: StatusType,
  /** Of the block's hash under the checkpoint's historyRoot; empty where it is not known here. */
  branch: new ListCompositeType(Bytes32, PLACE_BRANCH_MAX),
})

/** A request with what its kind needs. */
export function syncRequest(
  kind: number,
  fields: Partial<Omit<SyncRequest, 'kind'>> = {},
): Uint8Array {
  return SyncRequestType.serialize({
    kind,
    from: 0,
    count: 0,
    hash: ZERO_HASH,
    epoch: 0,
    ...fields,
  })
}
