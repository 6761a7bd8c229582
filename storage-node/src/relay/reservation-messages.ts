import { ContainerType, ListCompositeType, UnionType, type ValueOf } from '@chainsafe/ssz'
import { Bool, Count64, SignedVoucherType, U32 } from '@ioex/chain/types'
import { RefusalType } from '../transfer/refusal-codec.ts'

/** Peer to relay: "keep me reachable over this connection, I pay" (PROTOCOL 8). */
export const RESERVE_PROTOCOL = '/ioex/reserve/1'

/** Asks for a paid link, pays for it, or ends it; one request per stream. */
export const ReserveRequestType = new ContainerType({
  rail: U32,
  generation: U32,
  /** What the peer signs for; its counters may still be 0. */
  voucher: SignedVoucherType,
  /** The link is no longer wanted. */
  ends: Bool,
})
export type ReserveRequest = ValueOf<typeof ReserveRequestType>
export const RESERVE_REQUEST_BYTES = ReserveRequestType.fixedSize ?? 0

export const ReservedType = new ContainerType({
  /** Reservation units that the relay counted on this rail, and the epoch that it counted last. */
  units: Count64,
  epoch: U32,
  newest: new ListCompositeType(SignedVoucherType, 1),
})
export const ReserveAnswerType = new UnionType([ReservedType, RefusalType])
export const RESERVE_ANSWER_BYTES_MAX = 1024
