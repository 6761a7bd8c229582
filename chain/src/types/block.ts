import { ContainerType, type ValueOf } from '@chainsafe/ssz'
import { bytesEqual } from '../bytes/hex.ts'
import {
  type Header,
  HeaderType,
  type Justification,
  JustificationType,
} from './consensus-objects.ts'
import { BLOCK_BODY_BYTES_MAX, type Transaction, TransactionListType } from './transactions.ts'

export const BlockBodyType = new ContainerType(
  { transactions: TransactionListType },
  { typeName: 'BlockBody' },
)
export const BlockType = new ContainerType(
  { header: HeaderType, body: BlockBodyType },
  { typeName: 'Block' },
)
export interface Block {
  header: Header
  body: { transactions: Transaction[] }
}
export type SszBlock = ValueOf<typeof BlockType>

/** A serialized block is at most this long; decoders refuse more before reading. */
export const BLOCK_BYTES_MAX = BLOCK_BODY_BYTES_MAX + 4096

/** Block hash = hash_tree_root(header), 32 bytes. */
export function blockHash(header: Header): Uint8Array {
  return HeaderType.hashTreeRoot(header)
}

/** Whether these are the certificates that the header commits to: nothing else proves them. */
export function isJustificationOf(header: Header, justification: Justification): boolean {
  return bytesEqual(JustificationType.hashTreeRoot(justification), header.justHash)
}
