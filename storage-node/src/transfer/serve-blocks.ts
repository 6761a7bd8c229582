import type { Type } from '@chainsafe/ssz'
import {
  addressOf,
  blockPaths,
  bytesEqual,
  decodeCanonical,
  SLOT_BLOCK_BYTES,
  slotBlockCount,
} from '@ioex/chain/bytes'
import { SignedVoucherType } from '@ioex/chain/types'
import { onceKnown } from '../node/chain-lag.ts'
import type { OpenSlot } from '../blobs/slot-store.ts'
import { FrameKind } from './frame-connection.ts'
import {
  BlocksAnswerType,
  type ClaimBlocks,
  type GetBlocks,
  type PaidAnswer,
  type RepairBlocks,
} from './messages.ts'
import { isOwner, type ProviderContext } from './provider-context.ts'
import { Refusal } from './refusal.ts'
import type { MeteredRail } from './rail-meter.ts'
import type { SecureChannel } from './secure-channel.ts'
import { TransferError } from './transfer-error.ts'

/** Blocks of one data frame at most: 512 KiB and their paths. */
const BLOCKS_PER_FRAME_MAX = 8
/** A block and the siblings of the largest slot's. */
const BLOCK_AND_PATH_BYTES_MAX = SLOT_BLOCK_BYTES + 14 * 32

/**
 * Serves blocks of a stored slot to the payer of its rail, each with the path that proves it,
 * one step ahead of the newest voucher (PROTOCOL 3, 8: the same voucher pays retrieval).
 */
export async function serveBlocks(
  context: ProviderContext,
  channel: SecureChannel,
  request: GetBlocks,
): Promise<void> {
  const terms = await railTerms(context, channel, request)
  await servePaid(context, channel, {
    request,
    answerType: BlocksAnswerType,
    voucherType: SignedVoucherType,
    open: () => context.meters.acquire(terms),
    close: (meter) => context.meters.release(meter),
  })
}

/** What a reading counts against: a rail's vouchers, or a repair's. */
interface BlockMeter<Signed> {
  readonly usedBytes: number
  readonly stepBytes: number
  readonly newest: Signed | undefined
  /** Counts bytes about to be served; first waits for a voucher if they go beyond the credit. */
  spend(bytes: number, signal: AbortSignal): Promise<void>
  /** Throws VOUCHER_INVALID. */
  accept(signed: Signed): Promise<void>
}

/** A reading that is paid as it goes. */
export interface PaidServing<Signed, Meter extends BlockMeter<Signed>> {
  readonly request: GetBlocks | RepairBlocks | ClaimBlocks
  readonly answerType: Type<PaidAnswer<Signed>>
  readonly voucherType: Type<Signed>
  open(): Promise<Meter>
  close(meter: Meter): Promise<void>
}

/** Serves the blocks of a request, each data frame paid by the vouchers that a meter counts. */
export async function servePaid<Signed, Meter extends BlockMeter<Signed>>(
  context: ProviderContext,
  channel: SecureChannel,
  serving: PaidServing<Signed, Meter>,
): Promise<void> {
  const { request, answerType, voucherType } = serving
  const slot = await context.store.openSlot(request)
  try {
    const count = slotBlockCount(slot.leafCount)
    if (request.from >= request.to || request.to > count) {
      throw new Refusal('RANGE', `the slot has blocks 0 to ${count}`)
    }
    const meter = await serving.open()
    try {
      const { usedBytes, stepBytes } = meter
      const newest = meter.newest ? [meter.newest] : []
      const answer = { leaves: slot.leafCount, usedBytes, stepBytes, newest }
      await channel.frames.send(FrameKind.answer, answerType.serialize(answer))
      const take = async (payload: Uint8Array) => {
        const signed = decodeCanonical(voucherType, payload, voucherType.fixedSize ?? 0)
        if (!signed.ok) throw new TransferError('PEER_PROTOCOL', signed.fault.message)
        await meter.accept(signed.value)
      }
      await exchangeBlocks(context, channel, { request, slot, meter, take })
    } finally {
      await serving.close(meter)
    }
  } finally {
    await slot.close()
  }
}

/** A reading under way. */
interface Serving {
  readonly request: { readonly from: number; readonly to: number }
  readonly slot: OpenSlot
  readonly meter: Pick<BlockMeter<unknown>, 'stepBytes' | 'spend'>
  /** Takes a voucher as it came. Throws PEER_PROTOCOL, VOUCHER_INVALID. */
  take(payload: Uint8Array): Promise<void>
}

/** Sends blocks and takes vouchers at the same time; whichever fails ends the other. */
async function exchangeBlocks(
  context: ProviderContext,
  channel: SecureChannel,
  serving: Serving,
): Promise<void> {
  const ended = new AbortController()
  const taking = takeVouchers(channel, serving).finally(() => ended.abort())
  // Its failure is thrown below, once sending has stopped.
  taking.catch(() => {})
  await sendBlocks(context, channel, serving, ended.signal)
  await taking
}

/** Until the client's end frame: it may send its last voucher after the last block. */
async function takeVouchers({ frames }: SecureChannel, { take }: Serving): Promise<void> {
  for (;;) {
    const frame = await frames.receive()
    if (frame === undefined) throw new TransferError('CHANNEL_CLOSED', 'the reader hung up')
    if (frame.kind === FrameKind.end) return
    if (frame.kind !== FrameKind.voucher) {
      throw new TransferError('PEER_PROTOCOL', 'something else than a voucher came')
    }
    await take(frame.payload)
  }
}

async function sendBlocks(
  { counters }: ProviderContext,
  { frames }: SecureChannel,
  { request, slot, meter }: Serving,
  signal: AbortSignal,
): Promise<void> {
  // Never more than half a step, paths included: the reader pays when half a step is open, so the
  // other half is always free for the next frame.
  const group = () => {
    const blocks = Math.floor(meter.stepBytes / 2 / BLOCK_AND_PATH_BYTES_MAX)
    return Math.max(1, Math.min(BLOCKS_PER_FRAME_MAX, blocks))
  }
  const pathOf = blockPaths(slot)
  let next = request.from
  let reading = readGroup(slot, pathOf, next, Math.min(request.to, next + group()))
  while (next < request.to) {
    const { parts, to } = await reading
    next = to
    // The disk reads on while these blocks wait for a voucher and for the network.
    if (next < request.to) {
      reading = readGroup(slot, pathOf, next, Math.min(request.to, next + group()))
      reading.catch(() => {})
    }
    const bytes = parts.reduce((sum, part) => sum + part.length, 0)
    await meter.spend(bytes, signal)
    counters.bytesOut += bytes
    await frames.send(FrameKind.data, ...parts)
  }
  await frames.send(FrameKind.end)
}

async function readGroup(
  slot: OpenSlot,
  pathOf: (blockIndex: number) => Uint8Array[],
  from: number,
  to: number,
): Promise<{ parts: Uint8Array[]; to: number }> {
  const bytes = await slot.readBlocks(from, to)
  const parts: Uint8Array[] = []
  for (let blockIndex = from; blockIndex < to; blockIndex++) {
    parts.push(...pathOf(blockIndex))
    const start = (blockIndex - from) * SLOT_BLOCK_BYTES
    parts.push(bytes.subarray(start, start + SLOT_BLOCK_BYTES))
  }
  return { parts, to }
}

/** What the rail pays, if the peer is its payer and it is for this slot on this node. */
async function railTerms(
  { chain, nodeAddress, store }: ProviderContext,
  channel: SecureChannel,
  request: GetBlocks,
): Promise<MeteredRail> {
  const { generation, contract, slot } = request
  const rail = await onceKnown(chain, async () => {
    const record = await chain.rail(request.rail)
    return record?.live && record.generation === generation ? record : undefined
  })
  const node = rail && (await chain.nodeAt(rail.node))
  const isMine = node && bytesEqual(addressOf(node.nodeKey), nodeAddress)
  const record = store.find(request)
  const isForSlot = rail?.contract === contract && rail.slot === slot
  if (!rail || !isMine || !isForSlot || !record) {
    throw new Refusal('RAIL_UNKNOWN', `rail ${request.rail} does not pay for this slot here`)
  }
  const { peerOwnerKey } = channel
  if (!isOwner(channel, rail.payer) || !peerOwnerKey) {
    throw new Refusal('NOT_PAYER', 'only the payer of the rail may read the slot')
  }
  return {
    chainId: chain.chainId,
    rail: request.rail,
    generation,
    payerKey: peerOwnerKey,
    unitPrice: rail.unitPrice,
    reservationPrice: rail.reservationPrice,
    lockUnits: rail.lockUnits,
  }
}
