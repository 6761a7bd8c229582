import { addressOf, bytesEqual, bytesToHex, LEAF_BYTES } from '@ioex/chain/bytes'
import { type SignedVoucher, SignedVoucherType } from '@ioex/chain/types'
import { onceKnown } from '../node/chain-lag.ts'
import { isAdmitted, lotterySlot } from '../repair/claimable-slots.ts'
import { BlocksAnswerType, type ClaimBlocks } from './messages.ts'
import type { ProviderContext } from './provider-context.ts'
import { Refusal } from './refusal.ts'
import type { SecureChannel } from './secure-channel.ts'
import { servePaid } from './serve-blocks.ts'
import { TransferError } from './transfer-error.ts'
import { STEP_BYTES_MAX } from './voucher-step.ts'

/** How often a slot is given away at most for one refill: the lottery draws more nodes in time. */
const COPIES_MAX = 4
/** What paths add to a slot's bytes at most. */
const PATHS_FACTOR = 1.05

/** Bytes given for each refill, and refills that are being read. */
interface Given {
  readonly bytes: Map<string, number>
  readonly busy: Set<string>
}
const given = new WeakMap<ProviderContext, Given>()

/**
 * Serves a slot that this node stored once and nobody refilled in time to a node that the lottery
 * draws for it (PROTOCOL 5.2). Nobody pays: the payer is silent, and pot vouchers are the delegate's
 * to sign. So it is bounded: one reader at a time, and a few copies in all.
 */
export async function serveClaim(
  context: ProviderContext,
  channel: SecureChannel,
  request: ClaimBlocks,
): Promise<void> {
  const slot = await claimedSlot(context, channel, request)
  const own = given.get(context) ?? { bytes: new Map(), busy: new Set() }
  given.set(context, own)
  const key = `${request.contract}-${bytesToHex(request.salt)}-${request.slot}-${request.refill}`
  if (own.busy.has(key)) throw new Refusal('CLAIM_BUSY', 'another node reads this slot just now')
  own.busy.add(key)
  const most = slot.former.leaves * LEAF_BYTES * PATHS_FACTOR * COPIES_MAX
  try {
    await servePaid(context, channel, {
      request,
      answerType: BlocksAnswerType,
      voucherType: SignedVoucherType,
      open: () => Promise.resolve(new Gift(own.bytes, key, most)),
      close: () => Promise.resolve(),
    })
  } finally {
    own.busy.delete(key)
  }
}

/** Counts what is given for a refill, and takes no vouchers. */
class Gift {
  readonly usedBytes = 0
  readonly stepBytes = STEP_BYTES_MAX
  readonly newest: SignedVoucher | undefined = undefined
  readonly #given: Map<string, number>
  readonly #key: string
  readonly #most: number

  constructor(bytes: Map<string, number>, key: string, most: number) {
    this.#given = bytes
    this.#key = key
    this.#most = most
  }

  spend(bytes: number): Promise<void> {
    const all = (this.#given.get(this.#key) ?? 0) + bytes
    if (all > this.#most) {
      return Promise.reject(new Refusal('CLAIM_SPENT', 'this slot was given away often enough'))
    }
    this.#given.set(this.#key, all)
    return Promise.resolve()
  }

  accept(): Promise<void> {
    return Promise.reject(new TransferError('PEER_PROTOCOL', 'a claimed slot is not paid for'))
  }
}

/** The slot, if it is in the lottery, was stored here, and the peer is drawn for it. */
async function claimedSlot(
  { chain, nodeAddress, store }: ProviderContext,
  channel: SecureChannel,
  request: ClaimBlocks,
) {
  const record = await onceKnown(chain, async () => {
    const found = await chain.contract(request.contract)
    return found?.live && bytesEqual(found.salt, request.salt) ? found : undefined
  })
  if (!record) throw new Refusal('CONTRACT_UNKNOWN', 'there is no such contract')
  const { epoch } = await chain.head()
  const slot = await lotterySlot(chain, { index: request.contract, record }, request.slot, epoch)
  if (slot?.refill !== request.refill + 1) {
    throw new Refusal('SLOT_TAKEN', 'the slot is not in the lottery for that refill')
  }
  const isMine = bytesEqual(addressOf(slot.formerNode.nodeKey), nodeAddress)
  if (!isMine || !store.find(request)) {
    throw new Refusal('SLOT_UNKNOWN', 'this node was not the last to store the slot')
  }
  const claimant = addressOf(channel.peerKey)
  const node = await chain.node(claimant)
  const isKnown = node && !node.record.evicted && node.record.registered <= slot.vacancy.since
  if (!isKnown || !(await isAdmitted(chain, slot, claimant, epoch))) {
    throw new Refusal('CLAIM_NOT_DRAWN', 'the lottery does not admit that node yet')
  }
  return slot
}
