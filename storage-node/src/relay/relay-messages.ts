import {
  ByteVectorType,
  ContainerType,
  ListCompositeType,
  UnionType,
  type ValueOf,
} from '@chainsafe/ssz'
import { Count64, PublicKeyBytes, SignedVoucherType, U32 } from '@ioex/chain/types'
import { RefusalType } from '../transfer/refusal-codec.ts'

/** Payer to relay: "splice me to this node" (PROTOCOL 8). */
export const RELAY_PROTOCOL = '/ioex/relay/1'
/** Relay to destination: "somebody wants to talk to you". */
export const RELAY_STOP_PROTOCOL = '/ioex/relay-stop/1'
/** Payer to relay, beside the session: its vouchers. */
export const RELAY_VOUCHER_PROTOCOL = '/ioex/relay-voucher/1'

export const SESSION_BYTES = 16
const SessionType = new ByteVectorType(SESSION_BYTES)

export const RelayRequestType = new ContainerType({
  rail: U32,
  generation: U32,
  destination: PublicKeyBytes,
  /** Random; only the vouchers' stream of the same peer may name it. */
  session: SessionType,
  /** Shows that the payer agrees: counters may still be 0. */
  voucher: SignedVoucherType,
})
export type RelayRequest = ValueOf<typeof RelayRequestType>
export const RELAY_REQUEST_BYTES_MAX = 512

export const RelayAcceptedType = new ContainerType({
  /** What the relay counted on this rail so far. */
  usedBytes: Count64,
  stepBytes: U32,
  newest: new ListCompositeType(SignedVoucherType, 1),
})
export const RelayAnswerType = new UnionType([RelayAcceptedType, RefusalType])
export const RELAY_ANSWER_BYTES_MAX = 1024

export const RelayStopType = new ContainerType({ session: SessionType, source: PublicKeyBytes })
export const RELAY_STOP_BYTES = SESSION_BYTES + 33

export const VoucherStreamType = new ContainerType({ session: SessionType })
export const SIGNED_VOUCHER_BYTES = SignedVoucherType.fixedSize ?? 0
