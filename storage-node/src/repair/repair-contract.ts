import { bytesToHex } from '@ioex/chain/bytes'
import { NONE } from '@ioex/chain/types'
import { nextHead } from '../node/chain-lag.ts'
import type { Candidate } from '../scheduler/peer-choice.ts'
import { StorageError } from '../scheduler/storage-interfaces.ts'
import { chooseReplacements } from './choose-replacements.ts'
import type { ContractRepair, RepairOptions, UnrepairedSlot } from './repair-interfaces.ts'
import { RepairJournal } from './repair-journal.ts'
import {
  nextRefill,
  type Refill,
  type Repairer,
  type RepairRun,
  type Seat,
  reportProgress,
  contractNow,
} from './repair-run.ts'
import { openRefills, sendRefills } from './send-refills.ts'
import { type ContractWatch, openSlots, type WatchedSlot } from './watch-contract.ts'

/** Blocks that a granted slot may take to be filled. */
const FILL_BLOCKS = 90
/** Rounds over the open slots at most: each brings slots whose peers failed to other peers. */
const ROUNDS_MAX = 3
/** What the chain refuses for good: another peer would be refused alike. */
const FINAL = new Set(['REFILL_TERM', 'REFILL_UNFUNDED', 'CONTRACT_CLOSING', 'CONTRACT_INACTIVE'])

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
  const before = await contractNow(repairer)
  const run: RepairRun = {
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
    watch = await contractNow(repairer)
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

const isFinal = (failed: UnrepairedSlot | undefined) =>
  failed !== undefined && FINAL.has(failed.code)

/** True iff another round may bring more. */
async function repairRound(
  run: RepairRun,
  watch: ContractWatch,
  open: WatchedSlot[],
): Promise<boolean> {
  const { repairer, options } = run
  options.signal?.throwIfAborted()
  const name = `${watch.contract}-${bytesToHex(watch.record.salt).slice(0, 32)}`
  const journal = new RepairJournal(repairer.journals, name)
  const earlier = (await journal.load()).filter(({ slot, refill }) =>
    open.some((one) => one.slot === slot && nextRefill(watch, slot) === refill),
  )
  reportProgress(run, 'opening', watch, open.length)
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
function noPeers(run: RepairRun, { contract }: ContractWatch, open: readonly WatchedSlot[]): void {
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

/** Waits until the granted slots have their new rails, or long enough. */
async function seeFills(run: RepairRun, granted: readonly Refill[]): Promise<void> {
  const { chain, logger } = run.repairer
  const waiting = new Set(granted)
  const { height: start } = await chain.head()
  while (waiting.size > 0) {
    run.options.signal?.throwIfAborted()
    const { record } = await contractNow(run.repairer)
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
