import { bytesEqual } from '../bytes/hex.ts'
import { type InternalHash, toDisplayHash } from '../elastos/hash-orientation.ts'
import type { HeaderContext } from '../elastos/header-rules.ts'
import { decodeTransaction } from '../elastos/transaction.ts'
import { BlockWindow } from './block-window.ts'
import { BranchReader, type BranchReaderOptions } from './branch-reader.ts'
import {
  ConfirmCheck,
  ConfirmNews,
  type ConfirmPolicy,
  type ConfirmStatus,
} from './confirm-check.ts'
import { MainForkTooDeepError } from './follow-errors.ts'
import {
  type FollowedBlock,
  inclusionOf,
  MainBlockRefusedError,
  type MainTip,
  type MemoAnchorSighting,
  type PowAnchorSighting,
  type TransactionInclusion,
} from './followed-block.ts'
import {
  dueSources,
  type MainBlockSource,
  MainSource,
  type NamedSource,
  type SourceStatus,
} from './main-sources.ts'

const DEFAULT_POLL_MS = 1000
/** Blocks kept below what the consumers have taken, for reorganisations. */
const KEPT_BELOW_BLOCKS = 1024

export interface FollowerOptions extends BranchReaderOptions {
  readonly client: MainBlockSource
  /**
   * More main nodes. All are asked in turn and the branch with the most work is followed, whoever
   * shows it; one that lies, stalls or is gone is asked ever more rarely, the others go on.
   */
  readonly others?: readonly NamedSource[]
  /** The trusted block above which to read: from genesis, or from the side chain's state. */
  readonly start: HeaderContext
  readonly pollMs?: number
  /** Headers wait here until the main chain's arbiters have confirmed them. Off by default. */
  readonly confirms?: ConfirmPolicy | undefined
  /** Told when many headers begin to wait, when the main chain changes its mode, and of the end. */
  readonly onConfirms?: (status: ConfirmStatus) => void
  /** Told after the best chain changed. */
  readonly onChange?: ((chain: MainChainFollower) => void) | undefined
  /** Told of what went wrong in a poll; the next poll tries again. */
  readonly onProblem?: (error: unknown) => void
}

export interface FollowerStatus {
  readonly tip: MainTip
  /** Best height that the node named last; our tip lags behind it while catching up. */
  readonly nodeHeight: number
  /** What went wrong in the last poll, in plain words; with several sources, where all failed. */
  readonly problem: string | undefined
  readonly sources: readonly SourceStatus[]
  /** Undefined where no Confirms are asked for. */
  readonly confirms: ConfirmStatus | undefined
}

/**
 * Follows the main chain through one or more nodes and keeps its recent blocks: what proposers
 * put into mainHeaders, and proofs for transactions. Consensus trusts nothing of it.
 */
export class MainChainFollower {
  private readonly options: FollowerOptions
  private readonly sources: readonly MainSource[]
  private readonly window: BlockWindow
  private readonly confirms: ConfirmCheck | undefined
  private readonly news = new ConfirmNews()
  private readonly branches: BranchReader
  private released: number
  private problem: string | undefined
  private timer: NodeJS.Timeout | undefined
  private polling: Promise<void> | undefined
  private running = false
  private closing = false

  constructor(options: FollowerOptions) {
    this.options = options
    this.window = new BlockWindow(options.start)
    this.released = options.start.previous.height
    const { confirms } = options
    this.confirms = confirms && new ConfirmCheck(confirms, options.start.previous)
    this.branches = new BranchReader(options, {
      window: this.window,
      confirms: this.confirms,
      released: () => this.released,
      isClosing: () => this.closing,
      onChange: () => options.onChange?.(this),
    })
    const first = { name: 'main node', client: options.client }
    this.sources = [first, ...(options.others ?? [])].map((source) => new MainSource(source))
  }

  /** The block below the oldest one held here. */
  get floor(): MainTip {
    return this.window.floor
  }

  get tip(): MainTip {
    return this.window.tip
  }

  /** Headers up to here may be served and voted for; without Confirms, any. */
  get confirmedHeight(): number {
    return this.confirms?.heightIn(this.window) ?? Number.POSITIVE_INFINITY
  }

  /** The header rules' context for a block after the tip. */
  get tipContext(): HeaderContext {
    return this.window.tipContext
  }

  status(): FollowerStatus {
    const { height, hash } = this.tip
    // A source that failed has not shown that its height is true.
    const good = this.sources.filter((each) => !each.problem)
    const heights = (good.length > 0 ? good : this.sources).map((each) => each.height)
    return {
      tip: { height, hash },
      nodeHeight: Math.max(this.released, ...heights),
      problem: this.problem,
      sources: this.sources.map((source) => source.status()),
      confirms: this.confirms?.status(this.window),
    }
  }

  start(): void {
    if (this.running) return
    this.running = true
    this.closing = false
    this.schedule(0)
  }

  async stop(): Promise<void> {
    this.running = false
    this.closing = true
    clearTimeout(this.timer)
    // Connections end first: a source that stalls would hold the last poll up.
    for (const { client } of this.sources) client.close?.()
    await this.polling?.catch(() => undefined)
  }

  /** One look at the node: takes what is new. Concurrent calls share one poll. */
  poll(): Promise<void> {
    this.polling ??= this.pollOnce().finally(() => {
      this.polling = undefined
    })
    return this.polling
  }

  /**
   * Raw headers with AuxPow that lead on from the given tip, at most `limit`. If that block has
   * left the best chain, they start above the last block that both chains share. Empty when we
   * do not know the block or have nothing newer that counts.
   */
  headersAfter(tip: MainTip, limit = Number.POSITIVE_INFINITY): Uint8Array[] {
    const shared = this.window.sharedHeight(tip)
    if (shared === undefined) return []
    const last = Math.min(shared + limit, this.servedHeight)
    return this.window.between(shared, last).map(({ rawHeader }) => rawHeader)
  }

  /** The block of the best chain at this height, if it is in the window. */
  blockAt(height: number): FollowedBlock | undefined {
    return this.window.blockAt(height)
  }

  /** Whether the block belongs to a time when the main chain ran without its arbiters. */
  isPowAt(height: number): boolean {
    return this.window.isPowAt(height)
  }

  /** Height of the newest block that counts and has been in our best chain for so long. */
  heightKnownFor(ms: number): number {
    return Math.min(this.window.heightKnownFor(ms), this.confirmedHeight)
  }

  /** Whether our view of the main chain contradicts this header at its height. */
  contradicts(header: MainTip): boolean {
    return this.window.contradicts(header)
  }

  /** Memo anchors of the side chain in the window, oldest first. */
  anchors(): MemoAnchorSighting[] {
    return this.window.blocks.flatMap(({ anchors }) => anchors)
  }

  /** Deposits to the side chain in blocks of these heights, both included, oldest first. */
  *deposits(fromHeight: number, toHeight: number): Iterable<TransactionInclusion> {
    const last = Math.min(toHeight, this.tip.height)
    for (let height = Math.max(fromHeight, this.floor.height + 1); height <= last; height++) {
      yield* this.blockAt(height)?.deposits ?? []
    }
  }

  /** A deposit to the side chain in the window, by its id. */
  depositOf(id: InternalHash): TransactionInclusion | undefined {
    const place = this.window.placeOf(id)
    return place?.block.deposits.find(({ index }) => index === place?.index)
  }

  /** Arbiters' anchors of the side chain in the window, oldest first. */
  powAnchors(): PowAnchorSighting[] {
    return this.window.blocks.flatMap(({ powAnchors }) => powAnchors)
  }

  hasTransaction(id: InternalHash): boolean {
    return this.window.hasTransaction(id)
  }

  /** The proof for a transaction in the window; asks the node for its bytes. */
  async findTransaction(id: InternalHash): Promise<TransactionInclusion | undefined> {
    const place = this.window.placeOf(id)
    if (!place) return undefined
    const { block, index } = place
    const raw = await this.rawTransaction(id, block)
    return inclusionOf(block.transactionIds, index, block.header, raw)
  }

  /**
   * The consumers have taken everything up to this height: older blocks may be forgotten. The
   * follower reads at most `windowBlocks` beyond it, so that its memory stays bounded.
   */
  release(height: number): void {
    this.released = Math.max(this.released, Math.min(height, this.tip.height))
    this.window.dropUpTo(this.released - KEPT_BELOW_BLOCKS)
  }

  private get servedHeight(): number {
    const { settleMs = 0 } = this.options.confirms ?? {}
    return settleMs > 0 ? this.heightKnownFor(settleMs) : this.confirmedHeight
  }

  private schedule(delayMs: number): void {
    this.timer = setTimeout(() => {
      this.poll()
        .catch((error: unknown) => this.options.onProblem?.(error))
        .finally(() => {
          if (this.running) this.schedule(this.options.pollMs ?? DEFAULT_POLL_MS)
        })
    }, delayMs)
  }

  /** The bytes of a transaction from whichever source has them. */
  private async rawTransaction(id: InternalHash, block: FollowedBlock): Promise<Uint8Array> {
    let refused: unknown
    const blockHash = toDisplayHash(block.header.hash)
    for (const { client } of this.sources) {
      try {
        const raw = await client.getRawTransaction(toDisplayHash(id), blockHash)
        const decoded = decodeTransaction(raw)
        if (decoded.ok && bytesEqual(decoded.value.id, id)) return raw
        throw new MainBlockRefusedError('MAIN_BLOCK_ROOT', 'the node gave another transaction')
      } catch (error) {
        refused ??= error
      }
    }
    throw refused
  }

  /** Gives each source that is due its turn; rejects where none of them could be read. */
  private async pollOnce(): Promise<void> {
    const nowMs = Date.now()
    const due = dueSources(this.sources, nowMs)
    const failures: unknown[] = []
    for (const source of due) {
      if (this.closing) return
      try {
        await this.branches.takeTurn(source)
        // Before others show branches: what is confirmed is not left for mere work.
        await this.updateConfirms()
        source.succeed()
      } catch (error) {
        failures.push(error)
        if (error instanceof MainForkTooDeepError)
          this.branches.mark(source, true, this.floor.height)
        if (error instanceof MainBlockRefusedError) source.client.refused?.(error)
        const isNews = source.fail(error, Date.now())
        const isAlone = this.sources.length === 1
        if (isNews && !isAlone) this.options.onProblem?.(error)
      }
    }
    const [error] = failures
    const isNobodyLeft = this.sources.every(({ problem }) => problem !== undefined)
    this.problem = isNobodyLeft ? errorText(error) : undefined
    if (isNobodyLeft) throw error
  }

  private async updateConfirms(): Promise<void> {
    if (!this.confirms || this.closing) return
    const sound = this.sources.filter(({ problem }) => problem === undefined)
    await this.confirms.update(this.window, sound)
    const news = this.news.of(this.confirms.status(this.window))
    if (news) this.options.onConfirms?.(news)
  }
}

function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
