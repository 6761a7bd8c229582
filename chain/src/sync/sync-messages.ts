import { ContainerType, ListCompositeType, type ValueOf } from '@chainsafe/ssz'
import { CertificateType, JustificationType } from '../types/consensus-objects.ts'
import { BLOCK_BYTES_MAX } from '../types/block.ts'
import { Bytes32, byteList, Count64, U8 } from '../types/primitives.ts'

/** Blocks that one answer may carry. */
export const SYNC_BLOCKS_MAX = 64
/** An answer stops growing at this size; it always holds at least one block if there is one. */
export const SYNC_ANSWER_BYTES_MAX = 4 * 1024 * 1024
export const SYNC_FRAME_BYTES_MAX = SYNC_ANSWER_BYTES_MAX + 2 * BLOCK_BYTES_MAX
export const SYNC_REQUEST_BYTES_MAX = 256

export const SyncRequestKind = { status: 0, range: 1, byHash: 2 } as const

/** What a full node asks another: its status, final blocks from a height on, or one block. */
export const SyncRequestType = new ContainerType({
  kind: U8,
  from: Count64,
  count: U8,
  hash: Bytes32,
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
})
export type SyncBlock = ValueOf<typeof SyncBlockType>

export const SyncAnswerType = new ContainerType({
  status: StatusType,
  blocks: new ListCompositeType(SyncBlockType, SYNC_BLOCKS_MAX),
})
export type SyncAnswer = ValueOf<typeof SyncAnswerType>
