import type { Type } from '@chainsafe/ssz'
import {
  HASH_BYTES,
  openingPathLength,
  slotBlockBytes,
  slotBlockCount,
  verifyBlock,
} from '@ioex/chain/bytes'
import { SignedRepairVoucherType, SignedVoucherType } from '@ioex/chain/types'
import { answer, ask, hungUp, unexpected } from './channel-request.ts'
import { FrameKind } from './frame-connection.ts'
import {
  BlocksAnswerType,
  type ClaimBlocks,
  type GetBlocks,
  type PaidAnswer,
  refusalError,
  RepairAnswerType,
  type RepairBlocks,
  type Request,
  RequestKind,
} from './messages.ts'
import type { RailPayer } from './rail-payer.ts'
import type { RepairPayer } from './repair-payer.ts'
import type { SecureChannel } from './secure-channel.ts'
import { TransferError } from './transfer-error.ts'

/** Levels between a leaf and a block: a block's path is that much shorter than a leaf's. */
const BLOCK_LEVELS = 8

/** A verified block of a slot. */
export interface FetchedBlock {
  readonly index: number
  readonly bytes: Uint8Array
}

/** Which blocks of a slot: from..to-1. */
interface BlockRange {
  readonly from: number
  readonly to: number
}

/** A request for blocks of a slot, and what they are held against. */
export type Wanted<Asked extends BlockRange> = Asked & {
  readonly root: Uint8Array
  readonly leaves: number
}

/** What a rail's owner pays with. */
const RAIL_VOUCHERS = { answerType: BlocksAnswerType, voucherType: SignedVoucherType }
/** What a contract's delegate pays with. */
const POT_VOUCHERS = { answerType: RepairAnswerType, voucherType: SignedRepairVoucherType }
const PAYS_NOTHING = { begin: () => undefined, owe: () => undefined, end: () => undefined }

/**
 * Blocks of a slot in order, each checked against the slot's root, paid as they come. Throws
 * SLOT_CORRUPT where the provider sends other bytes than it was given; they are not paid.
 */
export function fetchBlocks(
  channel: SecureChannel,
  wanted: Wanted<GetBlocks>,
  payer: RailPayer,
): AsyncGenerator<FetchedBlock> {
  const request = { selector: RequestKind.getBlocks, value: wanted } as const
  return fetchPaid(channel, wanted, { request, ...RAIL_VOUCHERS, payer })
}

/** The same for a delegate: the contract's pot pays, by vouchers for the slot being rebuilt. */
export function fetchRepairBlocks(
  channel: SecureChannel,
  wanted: Wanted<RepairBlocks>,
  payer: RepairPayer,
): AsyncGenerator<FetchedBlock> {
  const request = { selector: RequestKind.repairBlocks, value: wanted } as const
  return fetchPaid(channel, wanted, { request, ...POT_VOUCHERS, payer })
}

/** The same for a node that claims the slot: the one that stored it before gives it for nothing. */
export function fetchClaimBlocks(
  channel: SecureChannel,
  wanted: Wanted<ClaimBlocks>,
): AsyncGenerator<FetchedBlock> {
  const request = { selector: RequestKind.claimBlocks, value: wanted } as const
  return fetchPaid(channel, wanted, { request, ...RAIL_VOUCHERS, payer: PAYS_NOTHING })
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
  wanted: Wanted<BlockRange>,
  { request, answerType, voucherType, payer }: PaidReading<Signed>,
): AsyncGenerator<FetchedBlock> {
  await ask(channel, request)
  const { leaves, usedBytes, stepBytes, newest } = await answer(channel, answerType)
  if (leaves !== wanted.leaves) {
    throw new TransferError('SLOT_CORRUPT', 'the provider stores a slot of another size')
  }
  const first = payer.begin({ usedBytes, stepBytes, newest: newest[0] })
  // Where the provider has hung up, what it sent before counts first: mostly it says why. What is
  // not paid then is paid at the start of the next session.
  const pay = async (voucher: Signed | undefined) => {
    if (!voucher) return
    const bytes = voucherType.serialize(voucher)
    await channel.frames.send(FrameKind.voucher, bytes).catch(() => {})
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
      await pay(payer.end())
      await channel.frames.close()
    }
  }
}

/** Cuts a data frame into path and block, path and block, …, and checks each. */
function verifiedBlocks(
  payload: Uint8Array,
  slot: Wanted<BlockRange>,
  from: number,
): FetchedBlock[] {
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
