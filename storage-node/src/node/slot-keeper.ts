import { bytesEqual } from '@ioex/chain/bytes'
import { isInSnapshot, railWeight } from '@ioex/chain/rules'
import type { Indexed } from '@ioex/chain/state'
import { type Node, NONE, type Rail } from '@ioex/chain/types'
import type { Logger } from 'pino'
import type { SlotRecord } from '../blobs/slot-record.ts'
import type { SlotStore } from '../blobs/slot-store.ts'
import type { ChainClient } from './chain-client.ts'

/** Epochs of the lottery of last resort in which a slot is still there to be claimed. */
const CLAIM_EPOCHS = 8

export interface SlotKeeperOptions {
  readonly chain: ChainClient
  readonly store: SlotStore
  readonly nodeAddress: Uint8Array
  readonly logger: Logger
}

/**
 * Keeps the disk and the chain in step: notes which rail pays for which slot, and deletes slots
 * whose payer closed their rail, whose grace is over, or which were never filled.
 */
export class SlotKeeper {
  readonly #options: SlotKeeperOptions
  #last: Promise<void> = Promise.resolve()

  constructor(options: SlotKeeperOptions) {
    this.#options = options
  }

  /** Runs after what is running; everything it does may be repeated. */
  reconcile(nowEpoch: number): Promise<void> {
    const run = this.#last.then(() => this.#reconcile(nowEpoch))
    this.#last = run.catch(() => {})
    return run
  }

  async #reconcile(nowEpoch: number): Promise<void> {
    const { chain, store, nodeAddress } = this.#options
    const node = await chain.node(nodeAddress)
    const rails = node ? await chain.railsOfNode(node.index) : []
    const bySlot = new Map(rails.map((rail) => [placeOf(rail.record), rail]))
    for (const record of store.records()) {
      const rail = bySlot.get(placeOf(record))
      if (rail && node && bytesEqual(rail.record.root, record.root))
        await this.#keep(record, rail, { node: node.record, nowEpoch })
      else await this.#release(record, nowEpoch)
    }
    await store.deleteParts((key) => this.#isExpected(Number(key.split('-')[0])))
  }

  async #keep(
    record: SlotRecord,
    rail: Indexed<Rail>,
    { node, nowEpoch }: { readonly node: Node; readonly nowEpoch: number },
  ): Promise<void> {
    const { store, chain } = this.#options
    const { generation, price, unitPrice, end } = rail.record
    if (record.rail !== rail.index || record.generation !== generation) {
      await store.update(record, { rail: rail.index, generation, price, unitPrice })
    }
    // Unpaid since the end, but the payer has until the end of the grace to prolong it. Where
    // nobody took over from a node that gave notice, who claims the slot has no other place to
    // get it.
    const { graceEpochs, fillDeadlineEpochs } = chain.params
    const isWaiting = rail.record.left && (await this.#isVacant(rail))
    const kept = isWaiting ? Math.max(graceEpochs, fillDeadlineEpochs + CLAIM_EPOCHS) : graceEpochs
    const isOver = nowEpoch >= end + kept
    if (isOver && !mayBeDrawn(rail.record, node)) await this.#delete(record, 'grace is over')
  }

  /** True while the slot's contract goes on and no other rail stands in its place. */
  async #isVacant({ index, record }: Indexed<Rail>): Promise<boolean> {
    const contract = await this.#options.chain.contract(record.contract)
    const isOpen = contract?.live && contract.active && contract.askEpoch === NONE
    return isOpen === true && contract.rails[record.slot]?.rail === index
  }

  /** No live rail pays for the slot: it ended, or its fill never came. */
  async #release(record: SlotRecord, nowEpoch: number): Promise<void> {
    if (record.rail !== NONE) {
      await this.#delete(record, 'its rail was closed')
      return
    }
    const { chain } = this.#options
    const contract = await chain.contract(record.contract)
    const isOpen = contract?.live && bytesEqual(contract.salt, record.salt)
    // An active contract may be completed later; then the time runs from the upload.
    const since = Math.max(contract?.openEpoch ?? 0, record.receivedEpoch)
    const deadline = since + chain.params.fillDeadlineEpochs
    if (!isOpen || nowEpoch > deadline + 1) await this.#delete(record, 'it was never filled')
  }

  async #isExpected(contract: number): Promise<boolean> {
    return (await this.#options.chain.contract(contract))?.live ?? false
  }

  async #delete(record: SlotRecord, reason: string): Promise<void> {
    const { contract, slot } = record
    this.#options.logger.info({ contract, slot, reason }, 'slot deleted')
    await this.#options.store.delete(record)
  }
}

/**
 * True while a challenge can still ask for the slot, paid or not: its weight leaves with a proof
 * after its end, and deleting it before would lose the node that proof (PROTOCOL 6.1).
 */
function mayBeDrawn(rail: Rail, node: Node): boolean {
  if (node.evicted || rail.lostEpoch !== NONE || railWeight(rail) === 0n) return false
  if (rail.clearedEpoch === NONE) return true
  return node.challenge !== NONE && isInSnapshot(rail, node.challenge)
}

/** A slot of a contract has one live rail at most. */
function placeOf({ contract, slot }: Rail | SlotRecord): string {
  return `${contract}-${slot}`
}
