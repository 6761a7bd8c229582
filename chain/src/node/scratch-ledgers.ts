import type { Result } from '../bytes/result.ts'
import type { Hex } from '../bytes/hex.ts'
import { epochOfHeight } from '../params/network-params.ts'
import type { Waiting } from '../pool/waiting.ts'
import { applyTransaction, beginBlock, type BlockExecution } from '../rules/execute-block.ts'
import { draftOf, type Ledger } from '../state/ledger.ts'
import { ZERO_HASH } from '../types/primitives.ts'

/** Scratch ledgers kept, each of one sender. */
const SCRATCHES_MAX = 256
/** Signatures were checked before a trial. */
const SIGNED = { isVerified: () => true }

interface Scratch {
  readonly execution: BlockExecution
  readonly ids: Hex[]
}

/**
 * Tries transactions as if they stood in the next block, after their sender's own waiting ones.
 * The draft on which those were executed is kept until the next final block, so that a burst of
 * one sender is executed once and not again for each newcomer.
 */
export class ScratchLedgers {
  readonly #ledger: Ledger
  readonly #scratches = new Map<Hex, Scratch>()

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  trial(waiting: Waiting, before: readonly Waiting[]): Result<unknown> {
    const known = this.#scratches.get(waiting.sender)
    const isSame =
      known?.ids.length === before.length && before.every(({ id }, i) => id === known.ids[i])
    if (known && isSame) return this.#applyTo(known, waiting)
    const begun = this.#begin()
    if (!begun.ok) return begun
    const scratch: Scratch = { execution: begun.value, ids: [] }
    for (const earlier of before) this.#applyTo(scratch, earlier)
    if (this.#scratches.size >= SCRATCHES_MAX) this.clear()
    this.#scratches.set(waiting.sender, scratch)
    return this.#applyTo(scratch, waiting)
  }

  /** Drafts kept now. */
  get size(): number {
    return this.#scratches.size
  }

  /** A final block makes all drafts stale. */
  clear(): void {
    this.#scratches.clear()
  }

  #applyTo({ execution, ids }: Scratch, { id, transaction }: Waiting): Result<unknown> {
    // Each is tried alone in its block: the room of a block is the proposer's concern.
    const alone: BlockExecution = {
      ...execution,
      transactions: [],
      receipts: [],
      bytes: 0,
      ordinaryBytes: 0,
    }
    const applied = applyTransaction(alone, transaction, SIGNED)
    if (applied.ok) ids.push(id)
    return applied
  }

  #begin(): Result<BlockExecution> {
    const { height, timeMs } = this.#ledger.globals()
    return beginBlock(draftOf(this.#ledger), {
      height: height + 1,
      epoch: epochOfHeight(this.#ledger.params, height + 1),
      timeMs: timeMs + 1,
      proposer: 0,
      participants: [],
      // No rule reads it before the next block records it as a checkpoint.
      parentHash: ZERO_HASH,
    })
  }
}
