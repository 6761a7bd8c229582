import type { Confirm } from '../elastos/confirm.ts'
import type { DisplayHash } from '../elastos/hash-orientation.ts'

/** Arbiters of the main chain's consensus, all with one vote. */
export interface ArbiterSet {
  /** Compressed P-256 keys that are named. */
  readonly keys: readonly Uint8Array[]
  /** How many there are: a main node names no key of those who are out of order. */
  readonly count: number
}

/** What a follower asks of a main node, over JSON-RPC or P2P. Nothing of it is believed. */
export interface MainBlockSource {
  /**
   * Best height + 1. A P2P peer names blocks by hash and in order, so that of a chain far ahead
   * only the next few thousand count until they have been read.
   */
  getBlockCount(): Promise<number>
  /** Of the best chain as it was at the last `getBlockCount`, or now. */
  getBlockHash(height: number): Promise<DisplayHash>
  /**
   * The whole block: header, AuxPow, all transactions. A block through a filter proves what it
   * shows, never that it left nothing out; so no source may give one for this.
   */
  getBlockRaw(hash: DisplayHash): Promise<Uint8Array>
  /** Ids of a block's transactions, in order. */
  getBlockTransactionIds(hash: DisplayHash): Promise<DisplayHash[]>
  /** `blockHash`: where it stands; without it a P2P peer gives only what waits for a block. */
  getRawTransaction(txid: DisplayHash, blockHash?: DisplayHash): Promise<Uint8Array>
  /** The arbiters' Confirm of a block as the node shows it; undefined where it has none. */
  getConfirm?(hash: DisplayHash): Promise<Confirm | undefined>
  /** The arbiters of the node's tip; only JSON-RPC tells. */
  getArbiters?(): Promise<ArbiterSet>
  /** What came from here broke a rule of the main chain. */
  refused?(reason: Error): void
  /** Ends its connections; the source is not used again. */
  close?(): void
}

/** What brings transactions to the main chain. */
export interface MainSender {
  /** Rejects with MainChainRpcError where the node refuses it. */
  sendRawTransaction(raw: Uint8Array): Promise<DisplayHash>
  getRawTransaction(txid: DisplayHash): Promise<Uint8Array>
}

export interface NamedSource {
  /** For logs, e.g. its address. */
  readonly name: string
  readonly client: MainBlockSource
}

/** How a source does. */
export interface SourceStatus {
  readonly name: string
  /** Best height that it named last; -1 before the first answer. */
  readonly height: number
  /** What went wrong in its last turn, in plain words. */
  readonly problem: string | undefined
  /** It stands on another branch than the one with the most work, deeper than usual. */
  readonly contradicts: boolean
}

const BACKOFF_FIRST_MS = 1000
const BACKOFF_MAX_MS = 5 * 60_000
const BACKOFF_DOUBLINGS_MAX = 10

/** One source with what its turns showed. */
export class MainSource {
  readonly name: string
  readonly client: MainBlockSource
  height = -1
  contradicts = false
  /** Tip of a branch that was read whole and has less work than ours: not read again. */
  lesserTip: string | undefined
  #problem: string | undefined
  #failures = 0
  #dueMs = 0

  constructor({ name, client }: NamedSource) {
    this.name = name
    this.client = client
  }

  get problem(): string | undefined {
    return this.#problem
  }

  /** Before this time the others are asked alone. */
  get dueMs(): number {
    return this.#dueMs
  }

  succeed(): void {
    this.#problem = undefined
    this.#failures = 0
    this.#dueMs = 0
  }

  /** Gives whether the failure is news. */
  fail(error: unknown, nowMs: number): boolean {
    const isNews = this.#failures === 0
    const doublings = Math.min(this.#failures, BACKOFF_DOUBLINGS_MAX)
    this.#failures++
    this.#dueMs = nowMs + Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** doublings)
    this.#problem = error instanceof Error ? error.message : String(error)
    return isNews
  }

  status(): SourceStatus {
    const { name, height, problem, contradicts } = this
    return { name, height, problem, contradicts }
  }
}

/** Those whose turn it is; where all of them wait, the one that has waited longest. */
export function dueSources(sources: readonly MainSource[], nowMs: number): readonly MainSource[] {
  const due = sources.filter(({ dueMs }) => dueMs <= nowMs)
  if (due.length > 0) return due
  return [...sources].sort((a, b) => a.dueMs - b.dueMs).slice(0, 1)
}
