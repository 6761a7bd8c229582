import { addressOf, bytesEqual, publicKeyOf, sign, signingDigest } from '@ioex/chain/bytes'
import { type SlotGrant, SlotGrantType } from '@ioex/chain/types'
import { SlotSender } from '../scheduler/slot-sender.ts'
import { StripeReader } from '../scheduler/stripe-reader.ts'
import { CELL_BYTES } from '../slicing/pack-geometry.ts'
import type { OpenChannel } from '../transfer/channel-opener.ts'
import { beginPutSlot, grantSlot, type SlotUpload } from '../transfer/provider-client.ts'
import { TransferError } from '../transfer/transfer-error.ts'
import { PotReading } from './pot-reading.ts'
import { rebuildSlots } from './rebuild-slots.ts'
import {
  noteFailure,
  nextRefill,
  type Refill,
  type Repairer,
  type RepairRun,
  type Seat,
  slotBytesOf,
  reportProgress,
  contractNow,
} from './repair-run.ts'
import { type ContractWatch, openSlots } from './watch-contract.ts'

/** Opens the uploads to the new peers; gives also the first stripe that any of them lacks. */
export async function openRefills(
  run: RepairRun,
  watch: ContractWatch,
  chosen: readonly Seat[],
): Promise<{ refills: Refill[]; from: number }> {
  const opened = await Promise.all(chosen.map((one) => openRefill(run, watch, one)))
  const begun = opened.flatMap((one) => (one ? [one] : []))
  const from = firstStripe(watch, begun)
  const refills = begun.map(({ upload, ...refill }) => {
    const resumption = refill.root && { offset: from * CELL_BYTES, root: refill.root }
    return { ...refill, sender: new SlotSender(upload, resumption) }
  })
  return { refills, from }
}

async function openRefill(
  run: RepairRun,
  watch: ContractWatch,
  { slot, watched: seen, candidate }: Seat,
): Promise<(Omit<Refill, 'sender'> & { readonly upload: SlotUpload }) | undefined> {
  const { pool } = run.repairer.market
  const { contract, record } = watch
  let channel: OpenChannel | undefined
  try {
    channel = await pool.acquire(candidate.offer, slotBytesOf(watch) * 1.03)
    const request = { contract, salt: record.salt, slot, leaves: record.leaves }
    const upload = await beginPutSlot(channel.channel, request)
    const refill = nextRefill(watch, slot)
    const root = refill === 0 ? undefined : record.rails[slot]?.root
    const why = seen.vacancy?.why ?? 'never filled'
    return { slot, refill, root, why, candidate, channel, upload }
  } catch (error) {
    if (channel) pool.discard(channel)
    noteFailure(run, slot, candidate, error)
    return undefined
  }
}

const stripesOf = (watch: ContractWatch) => Math.ceil(slotBytesOf(watch) / CELL_BYTES)

/** The first stripe that any of the new peers lacks; a first fill's root needs all of them. */
function firstStripe(
  watch: ContractWatch,
  begun: readonly { readonly root: Uint8Array | undefined; readonly upload: SlotUpload }[],
): number {
  const known = begun.map(({ root, upload }) => (root ? upload.receivedBytes : 0))
  const least = Math.min(...known)
  return least >= slotBytesOf(watch) ? stripesOf(watch) : Math.floor(least / CELL_BYTES)
}

/** Reads, rebuilds, sends; gives the refills whose fills are on their way. */
export async function sendRefills(
  run: RepairRun,
  watch: ContractWatch,
  refills: readonly Refill[],
  from: number,
): Promise<Refill[]> {
  if (refills.length === 0) return []
  const { repairer } = run
  try {
    const pot = potReading(repairer, watch, refills)
    await streamCells(run, watch, { refills, from, pot })
    await pot?.redeemed(repairer, run.options.signal)
  } catch (error) {
    for (const { channel } of refills) repairer.market.pool.discard(channel)
    throw error
  }
  reportProgress(run, 'confirming', watch, refills.length)
  const granted = await Promise.all(refills.map((refill) => finishRefill(run, watch, refill)))
  return refills.filter((_, i) => granted[i])
}

/** All reading is charged to the first slot that vouchers may name. */
function potReading(
  { pot }: Repairer,
  { contract, record }: ContractWatch,
  refills: readonly Refill[],
): PotReading | undefined {
  const charged = refills.find(({ root, why }) => root && why !== 'closed')
  if (!pot || !charged) return undefined
  const charge = { slot: charged.slot, refill: charged.refill - 1 }
  return new PotReading(pot, { contract, record, charge })
}

async function streamCells(
  run: RepairRun,
  watch: ContractWatch,
  { refills, from, pot }: { refills: readonly Refill[]; from: number; pot: PotReading | undefined },
): Promise<void> {
  const { repairer, options } = run
  const { k, n } = watch.record
  const lost = refills.map(({ slot }) => slot)
  const to = stripesOf(watch)
  if (from >= to) return
  const slots = { contract: watch.contract, record: watch.record, geometry: { k, n } }
  // What is open is gone, or about to go; never filled is not there at all.
  const avoid = new Set(openSlots(watch).map(({ slot }) => slot))
  const reading = pot ? { ...repairer.reader, openFeed: pot.openFeed } : repairer.reader
  const reader = new StripeReader(reading, slots, avoid)
  const code = { k, n, slotKeys: repairer.slotKeys }
  for await (const { cells } of rebuildSlots(code, lost, counted(run, reader.read(from, to)))) {
    options.signal?.throwIfAborted()
    for (const { slot, sender } of refills) {
      const cell = cells.get(slot) as Uint8Array
      sender.push(cell)
      run.sentBytes += cell.length
    }
    reportProgress(run, 'sending', watch, refills.length)
    await Promise.all(refills.map(({ sender }) => sender.room()))
    if (refills.every(({ sender }) => sender.failure)) return
  }
}

async function* counted(run: RepairRun, stripes: ReturnType<StripeReader['read']>) {
  for await (const stripe of stripes) {
    for (const cell of stripe.cells.values()) run.readBytes += cell.length
    yield stripe
  }
}

/** Ends the slot, looks once more whether it is open, and grants it. */
async function finishRefill(
  run: RepairRun,
  watch: ContractWatch,
  refill: Refill,
): Promise<boolean> {
  const { repairer } = run
  const { slot, candidate, channel, sender } = refill
  const { pool } = repairer.market
  try {
    const root = await sender.finish()
    if (refill.root && !bytesEqual(root, refill.root)) {
      throw new TransferError('SLOT_CORRUPT', 'what was rebuilt is not what the slot held')
    }
    await assertStillOpen(repairer, refill)
    const { price, unitPrice, nodeKey } = candidate.offer
    const grant: SlotGrant = {
      contract: watch.contract,
      salt: watch.record.salt,
      slot,
      refill: refill.refill,
      root,
      leaves: watch.record.leaves,
      node: addressOf(nodeKey),
      price,
      unitPrice,
    }
    const hash = SlotGrantType.hashTreeRoot(grant)
    const digest = signingDigest('slot-grant', repairer.chain.chainId, hash)
    const signature = sign(digest, repairer.grantKey)
    const payerKey = publicKeyOf(repairer.grantKey)
    await grantSlot(channel.channel, { grant, payerKey, signature })
    pool.release(candidate.offer, channel)
    return true
  } catch (error) {
    pool.discard(channel)
    noteFailure(run, slot, candidate, error)
    return false
  }
}

/** Somebody else may have refilled it while it was being rebuilt. */
async function assertStillOpen(repairer: Repairer, { slot, refill }: Refill): Promise<void> {
  const watch = await contractNow(repairer)
  const isOpen = openSlots(watch).some((one) => one.slot === slot)
  if (isOpen && nextRefill(watch, slot) === refill) return
  throw new TransferError('PEER_REFUSED', 'the slot is stored again: nothing to repair', {
    refusal: 'SLOT_TAKEN',
  })
}
