import type { Logger } from 'pino'
import { formatDuration } from '../output/duration.ts'

/** Where a node is on its way to the tip. */
export interface SyncProgress {
  readonly height: number
  /** Height that a peer proved or this node reached itself. */
  readonly target: number
  /** height / target, 1 at the tip. */
  readonly ratio: number
  /** Over the last minute; 0 where nothing came. */
  readonly blocksPerSecond: number
  /** Until the target, at that speed, while it grows on; undefined where it is never reached. */
  readonly etaSeconds: number | undefined
}

/** How a chain grows, as far as its speed goes. */
export interface WatchedSync {
  readonly height: number
  readonly target: number
}

/** Blocks that a node may lie behind without being said to sync. */
const SYNCED_LAG_BLOCKS = 2
const WINDOW_MS = 60_000
const SAMPLE_MS = 1000
const LOG_MS = 10_000

/** Measures how fast a node catches up, and says so in the log while it does. */
export class SyncWatch {
  readonly #read: () => WatchedSync
  readonly #logger: Logger
  #samples: { readonly atMs: number; readonly height: number; readonly target: number }[] = []
  #loggedMs: number | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(read: () => WatchedSync, logger: Logger) {
    this.#read = read
    this.#logger = logger
  }

  start(): void {
    this.#timer = setInterval(() => this.sample(performance.now()), SAMPLE_MS)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  get isSyncing(): boolean {
    const { height, target } = this.#read()
    return target - height > SYNCED_LAG_BLOCKS
  }

  get progress(): SyncProgress {
    const { height, target } = this.#read()
    const first = this.#samples[0]
    const last = this.#samples.at(-1)
    const seconds = first && last ? (last.atMs - first.atMs) / 1000 : 0
    const speed = (to: number, from: number) => (seconds > 0 ? Math.max(0, to - from) / seconds : 0)
    const blocksPerSecond = first && last ? speed(last.height, first.height) : 0
    const gain = blocksPerSecond - (first && last ? speed(last.target, first.target) : 0)
    const left = Math.max(0, target - height)
    const etaSeconds = left === 0 ? 0 : gain > 0 ? Math.ceil(left / gain) : undefined
    const ratio = target === 0 ? 1 : Math.min(1, height / target)
    return { height, target, ratio, blocksPerSecond, etaSeconds }
  }

  /** Takes one measurement; `nowMs` is of a clock that only goes forward. */
  sample(nowMs: number): void {
    this.#samples.push({ atMs: nowMs, ...this.#read() })
    while ((this.#samples[0]?.atMs ?? nowMs) < nowMs - WINDOW_MS) this.#samples.shift()
    this.#tell(nowMs)
  }

  #tell(nowMs: number): void {
    const wasSyncing = this.#loggedMs !== undefined
    if (!this.isSyncing) {
      if (wasSyncing) this.#logger.info({ height: this.#read().height }, 'synced')
      this.#loggedMs = undefined
      return
    }
    if (this.#loggedMs !== undefined && nowMs - this.#loggedMs < LOG_MS) return
    this.#loggedMs = nowMs
    const { height, target, ratio, blocksPerSecond, etaSeconds } = this.progress
    const left = etaSeconds === undefined ? 'unknown' : formatDuration(etaSeconds * 1000)
    const facts = { height, target, blocksPerSecond: Math.round(blocksPerSecond), etaSeconds }
    const percent = Math.floor(100 * ratio)
    this.#logger.info(facts, `syncing: block ${height} of ${target} (${percent} %), left: ${left}`)
  }
}
