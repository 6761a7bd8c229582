import { bytesEqual } from '../bytes/hex.ts'
import { fromDisplayHash } from '../elastos/hash-orientation.ts'
import type { MainChainParams } from '../elastos/header-rules.ts'
import type { BlockWindow } from './block-window.ts'
import type { ConfirmCheck } from './confirm-check.ts'
import {
  MainConfirmMissingError,
  MainForkTooDeepError,
  MainSourceSlowError,
} from './follow-errors.ts'
import { fetchBlock, type FollowedBlock } from './followed-block.ts'
import type { MainSource, SourceStatus } from './main-sources.ts'

/** Blocks held in memory: as many headers as the side chain's state keeps, twice. */
const DEFAULT_WINDOW_BLOCKS = 4096
/** A source may differ in so many newest blocks without alarm: miners disagree so deep at most. */
const DISAGREEMENT_BLOCKS = 6
/** A source that is slow gives way to the others after so long, and goes on in its next turn. */
const DEFAULT_TURN_MS = 30_000

export interface BranchReaderOptions {
  readonly params: MainChainParams
  /** Anchors of and deposits to this side chain are collected. */
  readonly sideGenesisHash?: Uint8Array
  /** Payments to and from the address of this P-256 key are collected. */
  readonly accountKey?: Uint8Array | undefined
  readonly windowBlocks?: number
  readonly turnMs?: number
  /** Told once each time a source comes to stand on another branch than the followed one. */
  readonly onContradiction?: (source: SourceStatus, sharedHeight: number) => void
}

/** What is followed, and what its follower does meanwhile. */
export interface BranchReaderParts {
  readonly window: BlockWindow
  readonly confirms: ConfirmCheck | undefined
  /** Height up to which the consumers have taken everything. */
  readonly released: () => number
  readonly isClosing: () => boolean
  /** The best chain has changed. */
  readonly onChange: () => void
}

/**
 * Reads the branches that sources show and takes the one with the most work into the window, or,
 * where Confirms are asked for, the one that has them.
 */
export class BranchReader {
  readonly #options: BranchReaderOptions
  readonly #parts: BranchReaderParts

  constructor(options: BranchReaderOptions, parts: BranchReaderParts) {
    this.#options = options
    this.#parts = parts
  }

  /** Reads what one source has more than we. */
  async takeTurn(source: MainSource): Promise<void> {
    const deadlineMs = Date.now() + (this.#options.turnMs ?? DEFAULT_TURN_MS)
    source.height = (await source.client.getBlockCount()) - 1
    const tip = await source.client.getBlockHash(source.height)
    if (source.lesserTip !== tip) {
      const shared = await this.#findFork(source, deadlineMs)
      source.lesserTip = (await this.#take(source, shared, deadlineMs)) ? tip : undefined
      this.#judge(source, shared)
    }
  }

  /** Alarms once where a source comes to contradict what we follow. */
  mark(source: MainSource, contradicts: boolean, shared: number): void {
    const isNews = contradicts && !source.contradicts
    source.contradicts = contradicts
    if (isNews) this.#options.onContradiction?.(source.status(), shared)
  }

  /** A source that stays on a branch of its own contradicts. */
  #judge(source: MainSource, shared: number): void {
    const depth = Math.min(source.height, this.#parts.window.tip.height) - shared
    const contradicts = source.lesserTip !== undefined && depth > DISAGREEMENT_BLOCKS
    this.mark(source, contradicts, shared)
  }

  /** Height of the highest block that the source has in common with us. */
  async #findFork(source: MainSource, deadlineMs: number): Promise<number> {
    const { window } = this.#parts
    let height = Math.min(window.tip.height, source.height)
    if (height < window.floor.height) {
      throw new MainSourceSlowError(`the main node has stopped at height ${height}`)
    }
    while (height >= window.floor.height) {
      const theirs = fromDisplayHash(await source.client.getBlockHash(height))
      const ours = window.hashAt(height)
      if (ours && bytesEqual(ours, theirs)) return height
      if (Date.now() > deadlineMs) throw new MainSourceSlowError('the main node answers too slowly')
      height--
    }
    throw this.#forkTooDeep()
  }

  /**
   * Fetches what is above the shared block. On our tip each block counts at once; a fork is
   * taken when it carries more work than what we have above the shared block.
   * @returns true where the source's branch was read whole and has no more work than ours
   */
  async #take(source: MainSource, shared: number, deadlineMs: number): Promise<boolean> {
    const { window, confirms, released, isClosing, onChange } = this.#parts
    const { windowBlocks = DEFAULT_WINDOW_BLOCKS, params } = this.#options
    const { sideGenesisHash, accountKey } = this.#options
    const fetching = { client: source.client, params, sideGenesisHash, accountKey }
    const last = Math.min(source.height, released() + windowBlocks)
    const above = window.between(shared, window.tip.height)
    let toBeat = above.reduce((sum, block) => sum + block.work, 0n)
    let context = window.contextAfter(shared)
    if (!context) throw this.#forkTooDeep()
    let kept = shared
    let branch: FollowedBlock[] = []
    let changed = false
    let height = shared + 1
    try {
      for (; height <= last && !isClosing() && Date.now() <= deadlineMs; height++) {
        const hash = await source.client.getBlockHash(height)
        const block = await fetchBlock(fetching, hash, context)
        context = block.context
        branch.push(block)
        toBeat -= block.work
        if (toBeat >= 0n || !(await this.#mayAdopt(kept, block, source))) continue
        this.#adopt(kept, branch)
        kept = window.tip.height
        toBeat = 0n
        branch = []
        changed = true
      }
    } finally {
      if (changed) onChange()
    }
    if (branch.length > 0 && toBeat < 0n) {
      throw new MainConfirmMissingError(
        `the main node's branch leaves the confirmed block ${confirms?.confirmedHeight} and ` +
          'has no Confirm',
      )
    }
    const isForked = branch.length > 0 && height > source.height
    if (branch.length > 0 && !isForked && Date.now() > deadlineMs) {
      throw new MainSourceSlowError('the main node shows its branch too slowly')
    }
    if (isForked && (await this.#isConfirmedInstead(kept, branch, source))) {
      this.#adopt(kept, branch)
      onChange()
      return false
    }
    return isForked
  }

  /** Only a branch with a Confirm may take the place of a block that has one. */
  async #mayAdopt(shared: number, last: FollowedBlock, source: MainSource): Promise<boolean> {
    const { confirms } = this.#parts
    if (!confirms || shared >= confirms.confirmedHeight) return true
    return confirms.confirm(last, [source])
  }

  /** With Confirms on, less work with a Confirm wins over more without. */
  async #isConfirmedInstead(
    shared: number,
    branch: readonly FollowedBlock[],
    source: MainSource,
  ): Promise<boolean> {
    const { confirms } = this.#parts
    const last = branch.at(-1)
    if (!confirms || !last || shared < confirms.confirmedHeight) return false
    return confirms.confirm(last, [source])
  }

  #adopt(shared: number, branch: readonly FollowedBlock[]): void {
    // While the branch was read, blocks that the consumers had taken were forgotten.
    if (shared < this.#parts.window.floor.height) throw this.#forkTooDeep()
    this.#parts.window.adopt(shared, branch)
  }

  #forkTooDeep(): MainForkTooDeepError {
    const { height } = this.#parts.window.floor
    return new MainForkTooDeepError(
      `the main chain forks below height ${height}, the oldest block held here`,
    )
  }
}
