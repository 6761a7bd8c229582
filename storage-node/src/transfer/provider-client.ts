import { createHash } from 'node:crypto'
import type { Type } from '@chainsafe/ssz'
import {
  decodeCanonical,
  HASH_BYTES,
  openingPathLength,
  slotBlockBytes,
  slotBlockCount,
  verifyBlock,
} from '@ioex/chain/bytes'
import { SignedRepairVoucherType, SignedVoucherType } from '@ioex/chain/types'
import { FrameKind } from './frame-connection.ts'
import {
  ANSWER_BYTES_MAX,
  BlocksAnswerType,
  type ClaimBlocks,
  DATA_PLANE_VERSION,
  type Deliver,
  DoneAnswerType,
  encodeRequest,
  FillAnswerType,
  type GetBlocks,
  type Grant,
  OfferAnswerType,
  type PaidAnswer,
  PingAnswerType,
  type PutSlot,
  refusalError,
  RepairAnswerType,
  type RepairBlocks,
  type Request,
  RequestKind,
  ResumeAnswerType,
  RootAnswerType,
} from './messages.ts'
import type { RailPayer } from './rail-payer.ts'
import type { RepairPayer } from './repair-payer.ts'
import type { SecureChannel } from './secure-channel.ts'
import { TransferError } from './transfer-error.ts'

/** Levels between a leaf and a block: a block's path is that much shorter than a leaf's. */
const BLOCK_LEVELS = 8

async function ask(channel: SecureChannel, request: Request): Promise<void> {
  await channel.frames.send(FrameKind.request, encodeRequest(request))
}

/** The next frame as an answer of this type. Throws PEER_REFUSED with the peer's code. */
async function answer<T>(channel: SecureChannel, type: Type<T>): Promise<T> {
  const frame = await channel.frames.receive()
  if (frame === undefined) throw hungUp()
  if (frame.kind === FrameKind.refusal) throw refusalError(frame.payload)
  if (frame.kind !== FrameKind.answer) throw unexpected()
  const decoded = decodeCanonical(type, frame.payload, ANSWER_BYTES_MAX)
  if (!decoded.ok) throw new TransferError('PEER_PROTOCOL', decoded.fault.message)
  return decoded.value
}

function hungUp(): TransferError {
  return new TransferError('CHANNEL_CLOSED', 'the peer hung up')
}

function unexpected(): TransferError {
  return new TransferError('PEER_PROTOCOL', 'the peer sent something unexpected')
}

/** Asks whether the peer is there; gives the round-trip time in milliseconds. */
export async function ping(channel: SecureChannel): Promise<number> {
  const start = performance.now()
  await ask(channel, { selector: RequestKind.ping, value: null })
  await answer(channel, PingAnswerType)
  return performance.now() - start
}

/** What the peer asks and has free now. */
export async function queryOffer(channel: SecureChannel) {
  await ask(channel, { selector: RequestKind.offer, value: { version: DATA_PLANE_VERSION } })
  return answer(channel, OfferAnswerType)
}

/** A slot on its way to a provider. */
export interface SlotUpload {
  /** Bytes that the provider has from an earlier attempt; a multiple of 65,536 or all. */
  readonly receivedBytes: number
  /** Sends the next whole blocks; only the slot's last one may be shorter. */
  write(...blocks: readonly Uint8Array[]): Promise<void>
  /** Ends the slot; gives the root that the provider computed. */
  finish(): Promise<Uint8Array>
}

export async function beginPutSlot(channel: SecureChannel, slot: PutSlot): Promise<SlotUpload> {
  await ask(channel, { selector: RequestKind.putSlot, value: slot })
  const { receivedBytes } = await answer(channel, ResumeAnswerType)
  return {
    receivedBytes,
    write: (...blocks) => sendBody(channel, blocks),
    finish: async () => {
      await channel.frames.send(FrameKind.end)
      return (await answer(channel, RootAnswerType)).root
    },
  }
}

/** Sends a piece of a body; where the peer has hung up, says what it refused. */
async function sendBody(channel: SecureChannel, parts: readonly Uint8Array[]): Promise<void> {
  try {
    await channel.frames.send(FrameKind.data, ...parts)
  } catch (error) {
    const frame = await channel.frames.receive().catch(() => undefined)
    throw frame?.kind === FrameKind.refusal ? refusalError(frame.payload) : error
  }
}

/** Gives the provider the payer's permission; it answers with its fill transaction. */
export async function grantSlot(channel: SecureChannel, grant: Grant) {
  await ask(channel, { selector: RequestKind.grant, value: grant })
  return answer(channel, FillAnswerType)
}

/** A verified block of a slot. */
export interface FetchedBlock {
  readonly index: number
  readonly bytes: Uint8Array
}

export interface FetchBlocks extends GetBlocks {
  readonly root: Uint8Array
  readonly leaves: number
}

/**
 * Blocks of a slot in order, each checked against the slot's root, paid as they come. Throws
 * SLOT_CORRUPT where the provider sends other bytes than it was given; they are not paid.
 */
export function fetchBlocks(
  channel: SecureChannel,
  request: FetchBlocks,
  payer: RailPayer,
): AsyncGenerator<FetchedBlock> {
  return fetchPaid(channel, request, {
    request: { selector: RequestKind.getBlocks, value: request },
    answerType: BlocksAnswerType,
    voucherType: SignedVoucherType,
    payer,
  })
}

export interface FetchRepairBlocks extends RepairBlocks {
  readonly root: Uint8Array
  readonly leaves: number
}

/** The same for a delegate: the contract's pot pays, by vouchers for the slot being rebuilt. */
export function fetchRepairBlocks(
  channel: SecureChannel,
  request: FetchRepairBlocks,
  payer: RepairPayer,
): AsyncGenerator<FetchedBlock> {
  return fetchPaid(channel, request, {
    request: { selector: RequestKind.repairBlocks, value: request },
    answerType: RepairAnswerType,
    voucherType: SignedRepairVoucherType,
    payer,
  })
}

export interface FetchClaimBlocks extends ClaimBlocks {
  readonly root: Uint8Array
  readonly leaves: number
}

/** The same for a node that claims the slot: the one that stored it before gives it for nothing. */
export function fetchClaimBlocks(
  channel: SecureChannel,
  request: FetchClaimBlocks,
): AsyncGenerator<FetchedBlock> {
  return fetchPaid(channel, request, {
    request: { selector: RequestKind.claimBlocks, value: request },
    answerType: BlocksAnswerType,
    voucherType: SignedVoucherType,
    payer: { begin: () => undefined, owe: () => undefined, end: () => undefined },
  })
}

/** The paying side of one reading: gives vouchers when they are due. */
interface BlockPayer<Signed> {
  begin(reading: {
    readonly usedBytes: number
    readonly stepBytes: number
    readonly newest: Signed | undefined
  }): Signed | undefined
  owe(bytes: number): Signed | undefined
  end(): Signed | undefined
}

/** A reading in one kind of vouchers. */
interface PaidReading<Signed> {
  readonly request: Request
  readonly answerType: Type<PaidAnswer<Signed>>
  readonly voucherType: Type<Signed>
  readonly payer: BlockPayer<Signed>
}

async function* fetchPaid<Signed>(
  channel: SecureChannel,
  wanted: BlockRange,
  { request, answerType, voucherType, payer }: PaidReading<Signed>,
): AsyncGenerator<FetchedBlock> {
  await ask(channel, request)
  const { leaves, usedBytes, stepBytes, newest } = await answer(channel, answerType)
  if (leaves !== wanted.leaves) {
    throw new TransferError('SLOT_CORRUPT', 'the provider stores a slot of another size')
  }
  const first = payer.begin({ usedBytes, stepBytes, newest: newest[0] })
  const pay = async (voucher: Signed | undefined) => {
    if (voucher) await channel.frames.send(FrameKind.voucher, voucherType.serialize(voucher))
  }
  let settled = false
  try {
    // What an earlier, broken session left unpaid.
    await pay(first)
    for (let next = wanted.from; next < wanted.to; ) {
      const frame = await channel.frames.receive()
      if (frame === undefined) throw hungUp()
      if (frame.kind === FrameKind.refusal) throw refusalError(frame.payload)
      if (frame.kind !== FrameKind.data) throw unexpected()
      const blocks = verifiedBlocks(frame.payload, wanted, next)
      await pay(payer.owe(frame.payload.length))
      next += blocks.length
      yield* blocks
    }
    const last = await channel.frames.receive()
    if (last?.kind !== FrameKind.end) throw unexpected()
    settled = true
    await pay(payer.end())
    await channel.frames.send(FrameKind.end)
  } finally {
    if (!settled) {
      // What was verified is paid, also where the rest is not wanted any more.
      await pay(payer.end()).catch(() => {})
      await channel.frames.close()
    }
  }
}

/** Which blocks of a slot, and what they are held against. */
interface BlockRange {
  readonly from: number
  readonly to: number
  readonly root: Uint8Array
  readonly leaves: number
}

/** Cuts a data frame into path and block, path and block, …, and checks each. */
function verifiedBlocks(payload: Uint8Array, slot: BlockRange, from: number): FetchedBlock[] {
  const { root, leaves } = slot
  const levels = slotBlockCount(leaves) === 1 ? 0 : openingPathLength(leaves) - BLOCK_LEVELS
  const blocks: FetchedBlock[] = []
  for (let at = 0; at < payload.length; ) {
    const blockIndex = from + blocks.length
    if (blockIndex >= slot.to) throw unexpected()
    const path: Uint8Array[] = []
    for (let level = 0; level < levels; level++, at += HASH_BYTES) {
      path.push(payload.subarray(at, at + HASH_BYTES))
    }
    const block = payload.subarray(at, at + slotBlockBytes(leaves, blockIndex))
    at += block.length
    if (!verifyBlock({ root, leafCount: leaves, blockIndex, block, path })) {
      throw new TransferError('SLOT_CORRUPT', `block ${blockIndex} is not what was stored`)
    }
    blocks.push({ index: blockIndex, bytes: block })
  }
  if (blocks.length === 0) throw unexpected()
  return blocks
}

/**
 * Sends a file into the peer's inbox, from where an earlier attempt stopped. `open` gives the
 * file's bytes from an offset on.
 */
export async function deliverFile(
  channel: SecureChannel,
  file: Deliver,
  open: (offset: number) => AsyncIterable<Uint8Array>,
  onSent: (bytes: number) => void = () => {},
): Promise<void> {
  await ask(channel, { selector: RequestKind.deliver, value: file })
  const { receivedBytes } = await answer(channel, ResumeAnswerType)
  if (receivedBytes > file.size) throw unexpected()
  let sent = receivedBytes
  onSent(sent)
  for await (const chunk of open(receivedBytes)) {
    await sendBody(channel, [chunk])
    sent += chunk.length
    onSent(sent)
  }
  await channel.frames.send(FrameKind.end)
  await answer(channel, DoneAnswerType)
}

/** SHA-256 and length of a stream of bytes. */
export async function hashOf(
  source: AsyncIterable<Uint8Array>,
): Promise<{ sha256: Uint8Array; bytes: number }> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of source) {
    hash.update(chunk)
    bytes += chunk.length
  }
  return { sha256: new Uint8Array(hash.digest()), bytes }
}
