import type { KeyObject } from 'node:crypto'
import {
  addressOf,
  bytesEqual,
  bytesToHex,
  LEAF_BYTES,
  publicKeyOf,
  sign,
  signingDigest,
} from '@ioex/chain/bytes'
import { NONE, type SlotGrant, SlotGrantType, ZERO_HASH } from '@ioex/chain/types'
import type { Logger } from 'pino'
import type { ChainClient } from '../node/chain-client.ts'
import { nextHead } from '../node/chain-lag.ts'
import type { Candidate } from '../scheduler/peer-choice.ts'
import type { Market } from '../scheduler/peer-market.ts'
import { SlotSender } from '../scheduler/slot-sender.ts'
import { StorageError } from '../scheduler/storage-interfaces.ts'
import { StripeReader, type StripeReaderOptions } from '../scheduler/stripe-reader.ts'
import { CELL_BYTES } from '../slicing/pack-geometry.ts'
import type { OpenChannel } from '../transfer/channel-opener.ts'
import { beginPutSlot, grantSlot, type SlotUpload } from '../transfer/provider-client.ts'
import { isTransferError, reasonOf, TransferError } from '../transfer/transfer-error.ts'
import { chooseReplacements } from './choose-replacements.ts'
import { PotReading, type PotReadingOptions } from './pot-reading.ts'
import { rebuildSlots } from './rebuild-slots.ts'
import type {
  ContractRepair,
  RepairedSlot,
  RepairOptions,
  UnrepairedSlot,
} from './repair-interfaces.ts'
import { RepairJournal } from './repair-journal.ts'
import { type ContractWatch, openSlots, watchContract, type WatchedSlot } from './watch-contract.ts'

/** Blocks that a granted slot may take to be filled. */
const FILL_BLOCKS = 90
/** Rounds over the open slots at most: each brings slots whose peers failed to other peers. */
const ROUNDS_MAX = 3
/** What the chain refuses for good: another peer would be refused alike. */
const FINAL = new Set(['REFILL_TERM', 'REFILL_UNFUNDED', 'CONTRACT_CLOSING', 'CONTRACT_INACTIVE'])

/** Who repairs which contract with what. */
export interface Repairer {
  readonly chain: ChainClient
  readonly market: Market
  /** How k slots are read, and who pays for that. */
  readonly reader: StripeReaderOptions
  /** Secret of the payer's key or of the delegate's: it signs the grants. */
  readonly grantKey: Uint8Array
  /** Mask keys of the contract's slots; no content key is needed. */
  readonly slotKeys: readonly KeyObject[]
  readonly contract: number
  /** The contract's salt: an index may have been used again since. */
  readonly salt: Uint8Array
  /** Folder for journals. */
  readonly journals: string
  /** Where given, the contract's pot pays for what is read. */
  readonly pot?: PotReadingOptions | undefined
  /** False for a delegate: it refills what was filled once, and nothing else. */
  readonly isPayer: boolean
  readonly logger: Logger
}

/**
 * Rebuilds the open slots of a contract on other peers (PROTOCOL 5.2): reads k slots once, at the
 * pace of the slowest new peer, uploads, grants under the refill's number, sees the fills on the
 * chain. A slot that merely misses proofs is not touched. Interrupted, the same call goes on.
 * Throws NOT_FOUND, PEERS_TOO_FEW, FILE_UNREADABLE, ABORTED.
 */
export async function repairContract(
  repairer: Repairer,
  options: RepairOptions,
): Promise<ContractRepair> {
  const before = await watched(repairer)
  const run: Run = {
    repairer,
    options,
    repaired: [],
    failed: new Map(),
    failedPeers: new Set(),
    sentBytes: 0,
    readBytes: 0,
  }
  const isDue = options.always || before.health !== 'safe'
  let watch = before
  for (let round = 1; isDue && round <= ROUNDS_MAX; round++) {
    const open = openSlots(watch).filter(
      ({ slot, vacancy }) => (repairer.isPayer || vacancy) && !isFinal(run.failed.get(slot)),
    )
    if (open.length === 0) break
    const isLast = !(await repairRound(run, watch, open))
    watch = await watched(repairer)
    if (isLast) break
  }
  const stillOpen = new Set(openSlots(watch).map(({ slot }) => slot))
  return {
    contract: repairer.contract,
    healthBefore: before.health,
    health: watch.health,
    live: watch.live,
    k: watch.record.k,
    n: watch.record.n,
    repaired: run.repaired,
    failed: [...run.failed.values()].filter(({ slot }) => stillOpen.has(slot)),
    waiting: watch.slots
      .filter(({ state }) => state === 'missed')
      .map(({ slot, state }) => ({ slot, state })),
    readBytes: run.readBytes,
  }
}

interface Run {
  readonly repairer: Repairer
  readonly options: RepairOptions
  readonly repaired: RepairedSlot[]
  readonly failed: Map<number, UnrepairedSlot>
  /** Node keys (hex) of new peers that failed: they are not chosen again. */
  readonly failedPeers: Set<string>
  sentBytes: number
  readBytes: number
}

/** An open slot on its way to its new peer. */
interface Refill {
  readonly slot: number
  readonly refill: number
  readonly why: RepairedSlot['why']
  /** What the chain committed to; undefined for a first fill. */
  readonly root: Uint8Array | undefined
  readonly candidate: Candidate
  readonly channel: OpenChannel
  readonly sender: SlotSender
}

interface Seat {
  readonly slot: number
  readonly watched: WatchedSlot
  readonly candidate: Candidate
}

async function watched({ chain, contract, salt }: Repairer): Promise<ContractWatch> {
  const watch = await watchContract(chain, contract)
  if (watch && bytesEqual(watch.record.salt, salt)) return watch
  throw new StorageError('NOT_FOUND', `contract ${contract} is gone: nothing is left to repair`)
}

const isFinal = (failed: UnrepairedSlot | undefined) =>
  failed !== undefined && FINAL.has(failed.code)

/** True iff another round may bring more. */
async function repairRound(run: Run, watch: ContractWatch, open: WatchedSlot[]): Promise<boolean> {
  const { repairer, options } = run
  options.signal?.throwIfAborted()
  const name = `${watch.contract}-${bytesToHex(watch.record.salt).slice(0, 32)}`
  const journal = new RepairJournal(repairer.journals, name)
  const earlier = (await journal.load()).filter(({ slot, refill }) =>
    open.some((one) => one.slot === slot && nextRefill(watch, slot) === refill),
  )
  tell(run, 'opening', watch, open.length)
  const before = earlier.map(({ node }) => node)
  const wishes = { wanted: open.length, before, avoid: run.failedPeers }
  const candidates = await chooseReplacements(repairer.market, watch, wishes)
  if (candidates.length === 0) {
    noPeers(run, watch, open)
    return false
  }
  const chosen = seat(open, candidates, earlier)
  await journal.save(
    chosen.map(({ slot, candidate }) => ({
      slot,
      refill: nextRefill(watch, slot),
      node: bytesToHex(candidate.offer.nodeKey),
    })),
  )
  const { refills, from } = await openRefills(run, watch, chosen)
  const granted = await sendRefills(run, watch, refills, from)
  await seeFills(run, granted)
  const isDone = open.every(({ slot }) => run.repaired.some((one) => one.slot === slot))
  if (isDone) await journal.delete()
  return !isDone
}

/** What was rebuilt stays rebuilt; a repair that could not begin at all says why. */
function noPeers(run: Run, { contract }: ContractWatch, open: readonly WatchedSlot[]): void {
  const message =
    `contract ${contract}: no peer that fits its prices and has none of its slots has room for ` +
    `the ${open.length} to rebuild; try again when more are on`
  if (run.repaired.length === 0 && run.failed.size === 0) {
    throw new StorageError('PEERS_TOO_FEW', message)
  }
  for (const { slot } of open) {
    if (!run.failed.has(slot)) {
      run.failed.set(slot, { slot, code: 'PEERS_TOO_FEW', reason: message })
    }
  }
}

function nextRefill({ record }: ContractWatch, slot: number): number {
  const place = record.rails[slot]
  return !place || bytesEqual(place.root, ZERO_HASH) ? 0 : place.refill + 1
}

/** Gives each open slot its peer of an interrupted repair, or the next best. */
function seat(
  open: readonly WatchedSlot[],
  candidates: readonly Candidate[],
  earlier: readonly { slot: number; node: string }[],
): Seat[] {
  const left = [...candidates]
  const take = (key: string | undefined) => {
    const at = left.findIndex(({ offer }) => bytesToHex(offer.nodeKey) === key)
    return at < 0 ? undefined : left.splice(at, 1)[0]
  }
  const kept = new Map(
    open.map(({ slot }) => [slot, take(earlier.find((one) => one.slot === slot)?.node)]),
  )
  // Slots of nodes that are gone first: one whose node gave notice is still stored there.
  const urgency = ({ vacancy }: WatchedSlot) => (vacancy?.why === 'left' ? 1 : 0)
  const order = open.toSorted((a, b) => urgency(a) - urgency(b))
  return order.flatMap((one) => {
    const candidate = kept.get(one.slot) ?? left.shift()
    return candidate ? [{ slot: one.slot, watched: one, candidate }] : []
  })
}

async function openRefills(
  run: Run,
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
  run: Run,
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
    fail(run, slot, candidate, error)
    return undefined
  }
}

function slotBytesOf({ record }: ContractWatch): number {
  return record.leaves * LEAF_BYTES
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
async function sendRefills(
  run: Run,
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
  tell(run, 'confirming', watch, refills.length)
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
  run: Run,
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
    tell(run, 'sending', watch, refills.length)
    await Promise.all(refills.map(({ sender }) => sender.room()))
    if (refills.every(({ sender }) => sender.failure)) return
  }
}

async function* counted(run: Run, stripes: ReturnType<StripeReader['read']>) {
  for await (const stripe of stripes) {
    for (const cell of stripe.cells.values()) run.readBytes += cell.length
    yield stripe
  }
}

/** Ends the slot, looks once more whether it is open, and grants it. */
async function finishRefill(run: Run, watch: ContractWatch, refill: Refill): Promise<boolean> {
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
    fail(run, slot, candidate, error)
    return false
  }
}

/** Somebody else may have refilled it while it was being rebuilt. */
async function assertStillOpen(repairer: Repairer, { slot, refill }: Refill): Promise<void> {
  const watch = await watched(repairer)
  const isOpen = openSlots(watch).some((one) => one.slot === slot)
  if (isOpen && nextRefill(watch, slot) === refill) return
  throw new TransferError('PEER_REFUSED', 'the slot is stored again: nothing to repair', {
    refusal: 'SLOT_TAKEN',
  })
}

function fail(run: Run, slot: number, { offer }: Candidate, error: unknown): void {
  run.failedPeers.add(bytesToHex(offer.nodeKey))
  const code = isTransferError(error) ? (error.refusal ?? error.code) : 'FAILED'
  run.failed.set(slot, { slot, code, reason: reasonOf(error) })
  run.repairer.logger.warn({ slot, code, reason: reasonOf(error) }, 'slot not rebuilt')
}

/** Waits until the granted slots have their new rails, or long enough. */
async function seeFills(run: Run, granted: readonly Refill[]): Promise<void> {
  const { chain, logger } = run.repairer
  const waiting = new Set(granted)
  const { height: start } = await chain.head()
  while (waiting.size > 0) {
    run.options.signal?.throwIfAborted()
    const { record } = await watched(run.repairer)
    for (const refill of waiting) {
      const place = record.rails[refill.slot]
      if (!place || place.rail === NONE || place.refill !== refill.refill) continue
      const { slot, why, candidate } = refill
      waiting.delete(refill)
      run.failed.delete(slot)
      const node = bytesToHex(candidate.offer.nodeKey)
      run.repaired.push({ slot, refill: place.refill, why, rail: place.rail, node })
      logger.info({ slot, refill: place.refill, rail: place.rail, node }, 'slot rebuilt')
    }
    if (waiting.size === 0) return
    if ((await chain.head()).height > start + FILL_BLOCKS) break
    await nextHead(chain)
  }
  for (const { slot, candidate } of waiting) {
    run.failedPeers.add(bytesToHex(candidate.offer.nodeKey))
    const reason = 'the new peer has not filled the slot in time'
    run.failed.set(slot, { slot, code: 'FILL_LATE', reason })
  }
}

function tell(
  run: Run,
  phase: 'opening' | 'sending' | 'confirming',
  watch: ContractWatch,
  slots: number,
): void {
  const bytesTotal = slotBytesOf(watch) * slots
  run.options.onProgress?.({
    phase,
    bytes: Math.min(run.sentBytes, bytesTotal),
    bytesTotal,
    peers: slots,
    peersLost: run.failed.size,
  })
}
