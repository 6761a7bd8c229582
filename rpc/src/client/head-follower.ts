import { bytesEqual, type Fault } from '@ioex/chain/bytes'
import {
  type ChainHead,
  checkFinality,
  type FinalHeader,
  headOf,
  verifyHistory,
} from '@ioex/chain/light'
import { blockHash, type Header } from '@ioex/chain/types'
import { HEADERS_MAX } from '../contract/chain-methods.ts'
import type { StateProofsJson } from '../contract/json-forms.ts'
import { decodeCertificate, decodeHeader } from './certified-head.ts'
import type { EndpointPool } from './endpoint-pool.ts'
import type { EpochTrust } from './epoch-trust.ts'
import { type CheckedRun, checkRun, type HeaderEntry } from './header-chain.ts'
import { nextTurn } from './next-turn.ts'
import { readHashes } from './proof-reader.ts'
import type { RpcClient } from './rpc-client.ts'
import { RpcError } from './rpc-error.ts'

/** Headers asked back from the tip at a jump: the newest may not have certificates of their own. */
const JUMP_BACK = 32
const HEADERS_KEPT = 1024
/** How far ahead of our head a node may truthfully be. */
const HEADERS_AHEAD_MAX = 64
const RETRY_MS = 500
const RETRY_MS_MAX = 10_000
/** Blocks that another node may be ahead before it takes the lead. */
const LAG_BLOCKS_MAX = 8
/** Short enough to notice by comparison, soon, that a silent leader hides new blocks. */
const POLL_WAIT_MS = 10_000

/** Two certified histories exist: at least a third of the validators signed both. */
export interface ForkAlarm {
  readonly height: number
  /** Hashes and sources of the two final headers. */
  readonly ours: ChainHead
  readonly theirs: ChainHead
  readonly from: string
}

export interface HeadFollowerOptions {
  readonly pool: EndpointPool
  readonly trust: EpochTrust
  /**
   * blocks: every header, by long poll. tip: only the newest one at each poll, and the ends of the
   * epochs between: a few kilobytes, for a phone or a page (docs/protocol/light-client.md).
   */
  readonly follows: 'blocks' | 'tip'
  /** Least time between two questions to the leading node. */
  readonly minimumPollMs: number
  /** How often the other nodes' heads are compared. */
  readonly compareMs: number
  readonly onAlarm: (alarm: ForkAlarm) => void
}

/** Follows certified headers by long poll and compares them between nodes. */
export class HeadFollower {
  readonly #options: HeadFollowerOptions
  readonly #ending = new AbortController()
  /** Closed or alarmed: the head will not move any more. */
  readonly #stopped = new AbortController()
  readonly #listeners = new Set<(head: ChainHead) => void>()
  #final = new Map<number, FinalHeader>()
  /** Final headers that came with proofs: certified, but not linked to the head. */
  #shown = new Map<number, FinalHeader>()
  #newestHeight = -1
  /** Linked to the head but not yet certified. */
  #pending: HeaderEntry[] = []
  #head: FinalHeader | undefined
  #first = Promise.withResolvers<void>()
  #comparedAt = 0
  #failures = 0
  #alarm: ForkAlarm | undefined
  #running: Promise<void> | undefined

  constructor(options: HeadFollowerOptions) {
    this.#options = options
    this.#first.promise.catch(() => undefined)
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** The newest certified head; waits for the first one. */
  async head(): Promise<FinalHeader> {
    await this.#first.promise
    this.refuseAfterAlarm()
    return this.#head as FinalHeader
  }

  /** The newest final height that we know of; a proof may have shown one above the head. */
  get newestHeight(): number {
    return this.#newestHeight
  }

  get alarm(): ForkAlarm | undefined {
    return this.#alarm
  }

  refuseAfterAlarm(): void {
    if (!this.#alarm) return
    throw new RpcError(
      'FORK_ALARM',
      `two certified histories exist at height ${this.#alarm.height}: stop and ask the operators`,
    )
  }

  onHead(listener: (head: ChainHead) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** A final header by height, from memory or asked for and checked. */
  async finalHeader(height: number): Promise<FinalHeader> {
    const { header } = await this.head()
    if (height > header.height + HEADERS_AHEAD_MAX) {
      throw new RpcError('BAD_RESPONSE', `height ${height} lies far ahead of the certified head`)
    }
    await this.#reach(height)
    const kept = this.#final.get(height)
    if (kept) return kept
    const { pool, trust } = this.#options
    const range = { from: height, to: height + HEADERS_MAX - 1 }
    const { headers } = await pool.ask('chain_getCertifiedHeaders', range)
    const run = checkRun(headers, height, trust.rulesOf)
    const [first] = run.ok && run.value.finalCount > 0 ? run.value.headers : []
    return first ?? this.#oldHeader(height)
  }

  /** A header of an epoch whose validators we do not know any more: by its place in history. */
  #oldHeader(height: number): Promise<FinalHeader> {
    return this.#options.pool.askAndRead(
      'chain_getHeaderProof',
      { height },
      async ({ header, branch, under }, client) => {
        // Not by history again: that could go on for ever.
        const later = await this.trustHeader(under, client, false)
        const [old, hashes] = [decodeHeader(header), readHashes(branch)]
        if (!old.ok) throw falseProof(client, old.fault)
        if (!hashes.ok) throw falseProof(client, hashes.fault)
        const found = verifyHistory(later, old.value, hashes.value)
        if (!found.ok) throw falseProof(client, found.fault)
        if (found.value.header.height === height) return found.value
        throw new RpcError('FALSE_PROOF', `${client.url} shows another old header`)
      },
    )
  }

  /**
   * The header under which a node proves something: final by its own certificate or by one that
   * comes later. Another one than we know at its height raises the alarm.
   */
  async trustHeader(shown: ShownHeader, client: RpcClient, mayBeOld = true): Promise<FinalHeader> {
    this.refuseAfterAlarm()
    const decoded = decodeHeader(shown.header)
    if (!decoded.ok) throw falseProof(client, decoded.fault)
    const header = decoded.value
    const { height } = header
    if (height !== shown.height) {
      throw new RpcError('FALSE_PROOF', `${client.url} shows a header of another height`)
    }
    const hash = blockHash(header)
    const known = this.#final.get(height) ?? this.#shown.get(height)
    if (known && bytesEqual(known.hash, hash)) return known
    const final = mayBeOld
      ? await this.#certifiedOrOld(shown, header, client)
      : await this.#certified(shown, header, client)
    if (!bytesEqual(final.hash, hash)) {
      throw new RpcError('FALSE_PROOF', `${client.url} shows a header that is not final`)
    }
    const ours = this.#final.get(height) ?? this.#shown.get(height)
    if (ours && !bytesEqual(ours.hash, hash)) {
      this.#raise(ours, final, client.url)
      this.refuseAfterAlarm()
    }
    keep(this.#shown, final)
    this.#newestHeight = Math.max(this.#newestHeight, height)
    return final
  }

  async #certifiedOrOld(
    shown: ShownHeader,
    header: Header,
    client: RpcClient,
  ): Promise<FinalHeader> {
    const isOld = header.epoch <= this.#options.trust.epoch && !this.#rulesOf(header)
    if (isOld) return this.#oldHeader(header.height)
    if (shown.certificate === null) return this.finalHeader(header.height)
    return this.#certified(shown, header, client)
  }

  #rulesOf({ epoch }: Header) {
    return this.#options.trust.rulesOf(epoch)
  }

  async #certified(shown: ShownHeader, header: Header, client: RpcClient): Promise<FinalHeader> {
    const { certificate } = shown
    if (certificate === null) {
      throw new RpcError('FALSE_PROOF', `${client.url} shows a header without a certificate`)
    }
    const decoded = decodeCertificate(certificate)
    if (!decoded.ok) throw falseProof(client, decoded.fault)
    const { trust } = this.#options
    // A node that proves a header of an epoch that we have not reached shows us the way there.
    if (header.epoch > trust.epoch) {
      const { height } = header
      await trust.follow([{ height, header: shown.header, certificate }], client)
    }
    const rules = this.#rulesOf(header)
    if (!rules) throw new RpcError('FALSE_PROOF', `${client.url} shows a header of no known set`)
    await nextTurn()
    const final = checkFinality(header, decoded.value, rules)
    if (!final.ok) throw falseProof(client, final.fault)
    return final.value
  }

  async close(): Promise<void> {
    this.#ending.abort()
    this.#stopped.abort()
    this.#first.reject(new RpcError('ABORTED', 'the chain client was closed'))
    await this.#running
  }

  /** Waits until the head has reached the height. */
  #reach(height: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const look = () => {
      if (this.#head && this.#head.header.height >= height) resolve()
    }
    const stop = this.onHead(look)
    const { signal } = this.#stopped
    const end = () => reject(new RpcError('ABORTED', 'the chain client has stopped'))
    signal.addEventListener('abort', end)
    if (signal.aborted) end()
    look()
    return promise.finally(() => {
      stop()
      signal.removeEventListener('abort', end)
    })
  }

  async #run(): Promise<void> {
    const { pool, minimumPollMs } = this.#options
    while (!this.#ending.signal.aborted && !this.#alarm) {
      const leader = pool.leader
      const started = performance.now()
      try {
        await this.#step(leader)
        // Else a node could claim a height, show no header there, and be asked for ever.
        if (!this.#head) throw new RpcError('UNAVAILABLE', `${leader.url} shows no final header`)
        this.#failures = 0
        await this.#compareOthers()
        await this.#pause(minimumPollMs - (performance.now() - started))
      } catch (error) {
        if (!(error instanceof RpcError)) throw error
        pool.failed(leader)
        await this.#pause(Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** this.#failures++))
      }
    }
  }

  /** One question to the leading node: what comes after the head, or near its tip after a gap. */
  async #step(leader: RpcClient): Promise<void> {
    if (this.#options.follows === 'tip') return this.#jump(leader)
    const call = { signal: this.#ending.signal }
    let from = this.#nextHeight()
    const waitMs = from === undefined ? 0 : POLL_WAIT_MS
    if (from === undefined) {
      const { height } = await leader.call('chain_getStatus', {}, call)
      from = Math.max(0, height - JUMP_BACK)
    }
    const range = { from, to: from + HEADERS_MAX - 1, waitMs }
    const reply = await leader.call('chain_getCertifiedHeaders', range, call)
    if (this.#pending.length + reply.headers.length > HEADERS_KEPT) this.#pending = []
    const entries = [...this.#pending, ...reply.headers]
    await this.#options.trust.follow(entries, leader)
    this.#take(leader, entries, from - this.#pending.length)
    if (this.#head && reply.height - this.#head.header.height > 2 * HEADERS_MAX)
      await this.#jump(leader)
  }

  /** After a long sleep: the set is known, so a certificate near the tip needs no links to us. */
  async #jump(leader: RpcClient): Promise<void> {
    const call = { signal: this.#ending.signal }
    const { height } = await leader.call('chain_getStatus', {}, call)
    if (height <= (this.#head?.header.height ?? -1)) return
    let from = height
    const newest = { from, to: from }
    let { headers } = await leader.call('chain_getCertifiedHeaders', newest, call)
    if (!headers[0]?.certificate) {
      from = Math.max(0, height - JUMP_BACK)
      const range = { from, to: from + HEADERS_MAX - 1 }
      headers = (await leader.call('chain_getCertifiedHeaders', range, call)).headers
    }
    await this.#options.trust.follow(headers, leader)
    this.#pending = []
    this.#take(leader, headers, from)
  }

  #nextHeight(): number | undefined {
    if (!this.#head) return undefined
    return this.#head.header.height + this.#pending.length + 1
  }

  #take(leader: RpcClient, entries: readonly HeaderEntry[], from: number): void {
    const run = checkRun(entries, from, this.#options.trust.rulesOf)
    if (!run.ok && run.fault.code === 'EPOCH_UNKNOWN') {
      throw new RpcError('UNAVAILABLE', `${leader.url} lags behind what we know to be final`)
    }
    if (!run.ok) {
      this.#options.pool.lied(leader)
      this.#pending = []
      throw new RpcError('BAD_RESPONSE', `${leader.url}: ${run.fault.message}`)
    }
    const { headers, finalCount } = run.value
    const [first] = headers
    const known = first && this.#final.get(first.header.height - 1)
    if (first && known && !bytesEqual(first.header.parentHash, known.hash)) {
      this.#conflict(leader, known, run.value)
      return
    }
    for (const each of headers.slice(0, finalCount)) this.#remember(each, leader.url)
    this.#pending = this.#head ? entries.slice(finalCount) : []
    const newest = headers[finalCount - 1]
    if (newest && newest.header.height > (this.#head?.header.height ?? -1)) this.#advance(newest)
  }

  #advance(newest: FinalHeader): void {
    this.#head = newest
    this.#newestHeight = Math.max(this.#newestHeight, newest.header.height)
    this.#first.resolve()
    const head = headOf(newest)
    for (const listener of this.#listeners) listener(head)
  }

  #remember(each: FinalHeader, from: string): void {
    const shown = this.#shown.get(each.header.height)
    if (shown && !bytesEqual(shown.hash, each.hash)) this.#raise(shown, each, from)
    keep(this.#final, each)
    this.#options.trust.advance(each)
  }

  /** A run that does not stand on what we know: a lie, or, if it is certified, a fork. */
  #conflict(leader: RpcClient, ours: FinalHeader, { headers, finalCount }: CheckedRun): void {
    this.#pending = []
    const [theirs] = headers
    if (finalCount === 0 || !theirs) {
      this.#options.pool.lied(leader)
      throw new RpcError('BAD_RESPONSE', `${leader.url} gives headers of another history`)
    }
    this.#raise(ours, theirs, leader.url)
  }

  #raise(ours: FinalHeader, theirs: FinalHeader, from: string): void {
    const { height } = theirs.header
    this.#alarm = { height, ours: headOf(ours), theirs: headOf(theirs), from }
    this.#first.resolve()
    this.#stopped.abort()
    this.#options.onAlarm(this.#alarm)
  }

  /** The others must have the same head; one that is ahead takes the lead. */
  async #compareOthers(): Promise<void> {
    const head = this.#head
    const now = performance.now()
    if (!head || this.#alarm || now - this.#comparedAt < this.#options.compareMs) return
    this.#comparedAt = now
    await Promise.all(this.#options.pool.others().map((other) => this.#compare(other, head)))
  }

  async #compare(other: RpcClient, head: FinalHeader): Promise<void> {
    const { height } = head.header
    const { pool, trust } = this.#options
    try {
      const range = { from: height, to: height + HEADERS_MAX - 1 }
      const reply = await other.call('chain_getCertifiedHeaders', range, {
        signal: this.#ending.signal,
      })
      const known = this.#head?.header.height ?? height
      if (reply.height > known + LAG_BLOCKS_MAX) pool.lead(other)
      // Only what our own sets judge: another node must not lead us into its epochs here.
      const judged = reply.headers.filter((entry) => isKnownEpoch(entry, trust))
      const run = checkRun(judged, height, trust.rulesOf)
      const [theirs] = run.ok ? run.value.headers : []
      if (!run.ok && run.fault.code === 'EPOCH_UNKNOWN') return
      if (!run.ok) pool.lied(other)
      else if (!theirs || bytesEqual(theirs.hash, head.hash)) return
      else if (run.value.finalCount > 0) this.#raise(head, theirs, other.url)
    } catch (error) {
      if (!(error instanceof RpcError)) throw error
      pool.failed(other)
    }
  }

  async #pause(ms: number): Promise<void> {
    if (ms <= 0 || this.#ending.signal.aborted) return
    await new Promise<void>((resolve) => {
      const end = () => {
        clearTimeout(timer)
        this.#ending.signal.removeEventListener('abort', end)
        resolve()
      }
      const timer = setTimeout(end, ms)
      this.#ending.signal.addEventListener('abort', end)
    })
  }
}

/** A header as proofs carry it. */
export type ShownHeader = Pick<StateProofsJson, 'height' | 'header' | 'certificate'>

function keep(headers: Map<number, FinalHeader>, each: FinalHeader): void {
  headers.set(each.header.height, each)
  const [oldest] = headers.keys()
  if (headers.size > HEADERS_KEPT && oldest !== undefined) headers.delete(oldest)
}

function isKnownEpoch(entry: HeaderEntry, trust: EpochTrust): boolean {
  const header = decodeHeader(entry.header)
  return !header.ok || header.value.epoch <= trust.epoch
}

function falseProof(client: RpcClient, { message }: Fault): RpcError {
  return new RpcError('FALSE_PROOF', `${client.url}: ${message}`)
}
