import { ContainerType, ListCompositeType, NoneType, UnionType, type ValueOf } from '@chainsafe/ssz'
import { decodeCanonical } from '@ioex/chain/bytes'
import {
  Bytes32,
  byteList,
  Count64,
  PublicKeyBytes,
  SignatureBytes,
  SignedRepairVoucherType,
  SignedVoucherType,
  SlotGrantType,
  U8,
  U32,
  Units64,
} from '@ioex/chain/types'
import { type FrameConnection, FrameKind } from './frame-connection.ts'
import { REFUSAL_BYTES_MAX, refusalBytes, refusalText, RefusalType } from './refusal-codec.ts'
import { TransferError } from './transfer-error.ts'

/**
 * The data plane's requests (docs/protocol/data-plane.md): one at a time on a channel. The client
 * sends a request frame, then what the request says; the provider answers with an answer or a
 * refusal frame.
 */

export const FILE_NAME_BYTES_MAX = 255

/** Version of these requests, so that an answerer may one day speak several. */
export const OfferRequestType = new ContainerType({ version: U8 })
export const DATA_PLANE_VERSION = 1
/** Bytes of a slot follow in data frames of whole 64-KiB blocks, then an end frame. */
export const PutSlotType = new ContainerType({
  contract: U32,
  salt: Bytes32,
  slot: U8,
  leaves: U32,
})
export const GrantType = new ContainerType({
  grant: SlotGrantType,
  payerKey: PublicKeyBytes,
  signature: SignatureBytes,
})
/**
 * Blocks from..to-1 of a slot. Data frames follow the answer, each some blocks, every block
 * behind its path; then an end frame. Vouchers may be sent meanwhile; the client closes with an
 * end frame of its own.
 */
export const GetBlocksType = new ContainerType({
  rail: U32,
  generation: U32,
  contract: U32,
  salt: Bytes32,
  slot: U8,
  from: U32,
  to: U32,
})
/**
 * The same for the delegate of the slot's contract, which rebuilds slot `lost` and pays with
 * repair vouchers from the contract's pot (PROTOCOL 7). `refill` counts its refills so far.
 */
export const RepairBlocksType = new ContainerType({
  rail: U32,
  generation: U32,
  contract: U32,
  salt: Bytes32,
  slot: U8,
  from: U32,
  to: U32,
  lost: U8,
  refill: U32,
})
/**
 * The same for a node that the lottery of last resort draws for this very slot (PROTOCOL 5.2), from
 * the node that stored it before; nobody pays. `refill` counts the slot's refills so far.
 */
export const ClaimBlocksType = new ContainerType({
  contract: U32,
  salt: Bytes32,
  slot: U8,
  from: U32,
  to: U32,
  refill: U32,
})
/** A file for the inbox: data frames of any size up to the frame's bound, then an end frame. */
export const DeliverType = new ContainerType({
  name: byteList(FILE_NAME_BYTES_MAX),
  size: Count64,
  sha256: Bytes32,
})

const Nothing = new NoneType()
/** Selector of each request, which is also its wire number. */
export const RequestKind = {
  ping: 0,
  offer: 1,
  putSlot: 2,
  grant: 3,
  getBlocks: 4,
  deliver: 5,
  repairBlocks: 6,
  claimBlocks: 7,
} as const
export const RequestType = new UnionType([
  Nothing,
  OfferRequestType,
  PutSlotType,
  GrantType,
  GetBlocksType,
  DeliverType,
  RepairBlocksType,
  ClaimBlocksType,
])
export const REQUEST_BYTES_MAX = 1024

export const PingAnswerType = new ContainerType({ timeMs: Count64 })
export const OfferAnswerType = new ContainerType({
  price: Units64,
  unitPrice: Units64,
  freeBytes: Count64,
})
/** How much of a slot or file need not be sent again, bytes. */
export const ResumeAnswerType = new ContainerType({ receivedBytes: Count64 })
export const RootAnswerType = new ContainerType({ root: Bytes32 })
export const FillAnswerType = new ContainerType({
  transaction: Bytes32,
  validUntil: Count64,
})
/** What a provider says before the first block of a paid reading, in either kind of vouchers. */
export interface PaidAnswer<Signed> {
  leaves: number
  usedBytes: number
  stepBytes: number
  newest: Signed[]
}
export const BlocksAnswerType = new ContainerType({
  leaves: U32,
  /** What the provider served on this rail so far, and how far it goes ahead of vouchers. */
  usedBytes: Count64,
  stepBytes: U32,
  newest: new ListCompositeType(SignedVoucherType, 1),
})
export const RepairAnswerType = new ContainerType({
  leaves: U32,
  /** What the provider served for this refill so far, and how far it goes ahead of vouchers. */
  usedBytes: Count64,
  stepBytes: U32,
  newest: new ListCompositeType(SignedRepairVoucherType, 1),
})
export const DoneAnswerType = new ContainerType({ bytes: Count64 })
export const ANSWER_BYTES_MAX = 1024

export type PutSlot = ValueOf<typeof PutSlotType>
export type Grant = ValueOf<typeof GrantType>
export type GetBlocks = ValueOf<typeof GetBlocksType>
export type RepairBlocks = ValueOf<typeof RepairBlocksType>
export type ClaimBlocks = ValueOf<typeof ClaimBlocksType>
export type Deliver = ValueOf<typeof DeliverType>

export type Request =
  | { readonly selector: 0; value: null }
  | { readonly selector: 1; value: { version: number } }
  | { readonly selector: 2; value: PutSlot }
  | { readonly selector: 3; value: Grant }
  | { readonly selector: 4; value: GetBlocks }
  | { readonly selector: 5; value: Deliver }
  | { readonly selector: 6; value: RepairBlocks }
  | { readonly selector: 7; value: ClaimBlocks }

export function encodeRequest(request: Request): Uint8Array {
  return RequestType.serialize(request)
}

/** Decodes an untrusted request. Throws PEER_PROTOCOL. */
export function decodeRequest(payload: Uint8Array): Request {
  const decoded = decodeCanonical(RequestType, payload, REQUEST_BYTES_MAX)
  if (!decoded.ok) throw new TransferError('PEER_PROTOCOL', decoded.fault.message)
  return decoded.value as Request
}

export async function sendRefusal(
  frames: FrameConnection,
  code: string,
  message: string,
): Promise<void> {
  await frames.send(FrameKind.refusal, RefusalType.serialize(refusalBytes(code, message)))
}

/** The error behind a refusal frame: PEER_REFUSED with the peer's code. */
export function refusalError(payload: Uint8Array): TransferError {
  const decoded = decodeCanonical(RefusalType, payload, REFUSAL_BYTES_MAX)
  if (!decoded.ok) return new TransferError('PEER_PROTOCOL', decoded.fault.message)
  const { code, message } = refusalText(decoded.value)
  return new TransferError('PEER_REFUSED', `the peer refused: ${message}`, { refusal: code })
}
