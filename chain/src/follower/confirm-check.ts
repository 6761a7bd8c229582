import type { Fault } from '../bytes/result.ts'
import { checkConfirmQuorum } from '../elastos/confirm.ts'
import { toDisplayHash } from '../elastos/hash-orientation.ts'
import { ArbiterSets } from './arbiter-sets.ts'
import { type FollowedBlock, MainBlockRefusedError, type MainTip } from './followed-block.ts'
import type { NamedSource } from './main-sources.ts'

/** A header so deep counts by its work alone: nobody makes a day of main blocks in secret. */
export const BURIED_BLOCKS = 720
/** Blocks from the tip down whose Confirm is looked for: the newest ones may not have it yet. */
const LOOK_BACK_BLOCKS = 3
/** Headers that wait before it is an alarm. */
const ALARM_BLOCKS = 3
/** All main nodes together get so long for one block's Confirm. */
const ANSWER_MS = 5000

/** Whose Confirms main headers need before this node serves them or votes for them. */
export interface ConfirmPolicy {
  /** Compressed P-256 keys of all arbiters; or `nodes`: those that two main nodes agree on. */
  readonly arbiters: 'nodes' | readonly Uint8Array[]
  /**
   * A header is served when it has been here for so long: whoever votes looks for its Confirm too,
   * and reads main blocks a moment earlier or later.
   */
  readonly settleMs?: number
}

export interface ConfirmStatus {
  /** Headers up to this height may go on record. */
  readonly height: number
  /** By the followed chain: `pow` while it runs without its arbiters and blocks have no Confirm. */
  readonly mode: 'dpos' | 'pow'
  /** Newest headers that wait. */
  readonly waiting: number
  /** Why they wait, in plain words. */
  readonly reason: string | undefined
}

/** What the check sees of the followed chain. */
export interface ConfirmView {
  readonly tip: MainTip
  blockAt(height: number): FollowedBlock | undefined
  /** Whether a block belongs to the main chain's proof-of-work mode. */
  isPowAt(height: number): boolean
}

/**
 * A local policy of a node, never a rule: main headers count when arbiters of the main chain have
 * confirmed them or a block above them. Blocks of the main chain's proof-of-work mode have no
 * Confirm; they count by their work when what lies below them does.
 */
export class ConfirmCheck {
  readonly #sets: ArbiterSets
  /** Newest block with a Confirm, on the followed chain; at first the trusted block. */
  #confirmed: MainTip
  #reason: string | undefined

  constructor({ arbiters }: ConfirmPolicy, trusted: MainTip) {
    this.#sets = new ArbiterSets(arbiters)
    this.#confirmed = trusted
  }

  /** A branch that leaves this block must have a Confirm of its own. */
  get confirmedHeight(): number {
    return this.#confirmed.height
  }

  /** Headers of the followed chain up to this height count. */
  heightIn(view: ConfirmView): number {
    const { height: top } = view.tip
    let height = Math.max(this.#confirmed.height, top - BURIED_BLOCKS)
    while (height < top && view.isPowAt(height + 1)) height++
    return Math.min(height, top)
  }

  status(view: ConfirmView): ConfirmStatus {
    const height = this.heightIn(view)
    const waiting = view.tip.height - height
    const mode = view.isPowAt(view.tip.height) ? 'pow' : 'dpos'
    return { height, mode, waiting, reason: waiting > 0 ? this.#reason : undefined }
  }

  /** Looks for a Confirm of the newest blocks; where they have one, all below them have. */
  async update(view: ConfirmView, sources: readonly NamedSource[]): Promise<void> {
    let looks = 0
    for (let height = view.tip.height; height > this.heightIn(view); height--) {
      // Nobody confirms blocks of that time, but the last one before it has a Confirm.
      if (view.isPowAt(height)) continue
      const block = view.blockAt(height)
      if (!block || (await this.confirm(block, sources)) || ++looks >= LOOK_BACK_BLOCKS) return
    }
  }

  /** Whether a source shows a Confirm of the block; it is then the newest confirmed one. */
  async confirm(block: FollowedBlock, sources: readonly NamedSource[]): Promise<boolean> {
    if (this.#sets.all.length === 0) await this.#sets.refresh(sources)
    let problem = await this.#askAll(block, sources)
    // The arbiters change with every turn of the main chain.
    if (problem !== undefined && (await this.#sets.refresh(sources))) {
      problem = await this.#askAll(block, sources)
    }
    this.#reason = problem
    if (problem !== undefined) return false
    this.#confirmed = { height: block.header.header.height, hash: block.header.hash }
    return true
  }

  /** Undefined as soon as one source shows a good Confirm; otherwise what was wrong. */
  async #askAll(
    block: FollowedBlock,
    sources: readonly NamedSource[],
  ): Promise<string | undefined> {
    const { height } = block.header.header
    if (this.#sets.all.length === 0) return 'no two main nodes name the same arbiters'
    const problems: string[] = []
    const asked = sources.map(async (source) => {
      const problem = await this.#ask(block, source)
      if (problem === undefined) return
      problems.push(`${source.name}: ${problem}`)
      throw new Error(problem)
    })
    const late = new AbortController()
    const isShown = await Promise.race([
      Promise.any(asked).then(
        () => true,
        () => false,
      ),
      afterMs(ANSWER_MS, late.signal),
    ])
    late.abort()
    if (isShown) return undefined
    const why = problems.length > 0 ? problems.join('; ') : 'no main node answers'
    return `block ${height} has no Confirm that counts: ${why}`
  }

  async #ask(block: FollowedBlock, { client }: NamedSource): Promise<string | undefined> {
    if (!client.getConfirm) return 'shows no Confirms'
    try {
      const confirm = await client.getConfirm(toDisplayHash(block.header.hash))
      if (!confirm) return 'has none'
      let refusal: Fault | undefined
      for (const { keys, count } of this.#sets.all) {
        const checked = checkConfirmQuorum(confirm, block.header.hash, keys, count)
        if (checked.ok) return undefined
        refusal ??= checked.fault
      }
      // Too few votes may be ours to explain, by an older set; what is not signed is a lie.
      if (refusal && refusal.code !== 'MAIN_CONFIRM_VOTES') {
        client.refused?.(new MainBlockRefusedError(refusal.code, refusal.message))
      }
      return refusal?.message
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }
}

/** What changed is told once: that headers begin to wait, the mode of the main chain, all well. */
export class ConfirmNews {
  #last = 'dpos'

  /** Gives the status where it is news. */
  of(status: ConfirmStatus): ConfirmStatus | undefined {
    const kind = status.waiting >= ALARM_BLOCKS ? 'waiting' : status.mode
    if (kind === this.#last) return undefined
    this.#last = kind
    return status
  }
}

function afterMs(ms: number, signal: AbortSignal): Promise<false> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), ms)
    signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
  })
}
