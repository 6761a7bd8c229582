import { bytesEqual } from '../bytes/hex.ts'
import type { Confirm } from '../elastos/confirm.ts'
import {
  type DisplayHash,
  fromDisplayHash,
  type InternalHash,
  toDisplayHash,
} from '../elastos/hash-orientation.ts'
import { MainRpcCode } from '../elastos/main-rpc-code.ts'
import { BLOCKS_PER_ANSWER_MAX, InventoryKind, RejectCode } from '../elastos/p2p-message.ts'
import { decodeTransaction } from '../elastos/transaction.ts'
import { MainForkTooDeepError, MainSourceSlowError } from './follow-errors.ts'
import { MainChainRpcError, MainChainUnreachableError } from './main-chain-client.ts'
import type { MainBlockSource, MainSender } from './main-sources.ts'
import { askForBlock, askForConfirm, type PeerBlock } from './p2p-block.ts'
import { P2pChainView, type ViewBase } from './p2p-chain-view.ts'
import { P2pClosedError, P2pViolationError } from './p2p-link.ts'
import { P2pSession, type P2pSessionOptions } from './p2p-session.ts'

/** A peer may name so many blocks beyond those that it has delivered. */
const AHEAD_MAX = 4 * BLOCKS_PER_ANSWER_MAX
/** Heights that the view keeps: what a follower holds, reads ahead, and may go back. */
const KEPT_HEIGHTS = 16_384
/** Headers read backwards to find where a peer's branch leaves ours. */
const WALK_MAX = 2048
/** Questions for hashes in one look. */
const ROUNDS_MAX = 24
/** One look at the peer's chain gives way to other sources after so long. */
const DEFAULT_LOOK_MS = 30_000
/** Whoever gave something false is not asked again for so long. */
const DEFAULT_BAN_MS = 10 * 60_000
/** Blocks that were read to find a fork are read again by the follower. */
const CACHED_BLOCKS = 16

export interface P2pMainNodeOptions extends P2pSessionOptions {
  /** A block that is trusted; the peer's chain is followed above it. */
  readonly start: ViewBase
  readonly lookMs?: number | undefined
  readonly banMs?: number | undefined
}

/** The peer gave something false a while ago: it is not asked. */
export class P2pBannedError extends Error {
  override name = 'P2pBannedError'
}

/**
 * A main node over its P2P protocol. It names blocks by hash alone, so this keeps a view of its
 * chain by height; whole blocks come through a filter that everything passes.
 */
export class P2pMainNode implements MainBlockSource, MainSender {
  readonly #options: P2pMainNodeOptions
  readonly #view: P2pChainView
  readonly #cache = new Map<string, PeerBlock>()
  /** Highest block delivered: what the peer names beyond it is hearsay, and bounded. */
  #delivered: number
  #session: P2pSession | undefined
  #ban: { readonly untilMs: number; readonly reason: string } | undefined
  #queue: Promise<unknown> = Promise.resolve()
  readonly #closing = new AbortController()

  constructor(options: P2pMainNodeOptions) {
    this.#options = options
    this.#view = new P2pChainView(options.start)
    this.#delivered = options.start.height
  }

  /** Blocks known of the peer's chain, its best one included unless that is far ahead. */
  getBlockCount(): Promise<number> {
    return this.#oneByOne(async (session) => (await this.#look(session)) + 1)
  }

  /** From the last look; only heights above the trusted block. */
  async getBlockHash(height: number): Promise<DisplayHash> {
    const hash = this.#view.at(height)
    if (hash) return toDisplayHash(hash)
    throw new MainSourceSlowError(`the main node shows no block at height ${height}`)
  }

  getBlockRaw(hash: DisplayHash): Promise<Uint8Array> {
    return this.#oneByOne(async (session) => {
      const block = await this.#block(session, fromDisplayHash(hash))
      const { height } = block.header.header
      // A height that is stated falsely moves nothing: the view must name the block there.
      const named = this.#view.at(height)
      if (named && bytesEqual(named, block.header.hash)) {
        this.#delivered = Math.max(this.#delivered, height)
        this.#view.trim(KEPT_HEIGHTS)
      }
      return block.raw
    })
  }

  getBlockTransactionIds(hash: DisplayHash): Promise<DisplayHash[]> {
    return this.#oneByOne(async (session) => {
      const { transactions } = await this.#block(session, fromDisplayHash(hash))
      if (transactions) return transactions.map(({ id }) => toDisplayHash(id))
      throw new MainChainUnreachableError('the main node does not show the parts of a block')
    })
  }

  getConfirm(hash: DisplayHash): Promise<Confirm | undefined> {
    return this.#oneByOne((session) => askForConfirm(session, fromDisplayHash(hash)))
  }

  /** Of a block where one is named; otherwise only what waits for one. */
  getRawTransaction(txid: DisplayHash, blockHash?: DisplayHash): Promise<Uint8Array> {
    const id = fromDisplayHash(txid)
    return this.#oneByOne(async (session) => {
      if (blockHash === undefined) return waitingTransaction(session, id)
      const { transactions } = await this.#block(session, fromDisplayHash(blockHash))
      const found = transactions?.find((each) => bytesEqual(each.id, id))
      if (found) return found.raw
      throw new MainChainRpcError(MainRpcCode.unknownTransaction, 'unknown transaction')
    })
  }

  /** Resolves when the peer holds the transaction. */
  sendRawTransaction(raw: Uint8Array): Promise<DisplayHash> {
    return this.#oneByOne(async (session) => {
      const decoded = decodeTransaction(raw)
      if (!decoded.ok) {
        throw new MainChainRpcError(MainRpcCode.refused, decoded.fault.message)
      }
      await sendTransaction(session, decoded.value.id, raw)
      return toDisplayHash(decoded.value.id)
    })
  }

  /** The follower found what came from here false. */
  refused(reason: Error): void {
    this.#banFor(reason)
  }

  close(): void {
    this.#closing.abort()
  }

  /** Brings the view up to date; gives the height that the follower may read up to. */
  async #look(session: P2pSession): Promise<number> {
    const deadlineMs = Date.now() + (this.#options.lookMs ?? DEFAULT_LOOK_MS)
    const view = this.#view
    // From below the tip, so that an honest answer is never empty: it confirms the tip at least.
    let drop = 1
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const from = Math.max(view.baseHeight, view.tipHeight - drop)
      const { nodeHeight, hashes } = await session.blocksAfter(view.locator(from), from)
      if (nodeHeight < view.baseHeight || (hashes.length === 0 && from === view.baseHeight)) {
        // It has nothing above the trusted block, and may even lie below it.
        view.replaceFrom(view.baseHeight + 1, [])
        return Math.min(nodeHeight, view.baseHeight)
      }
      if (hashes.length === 0) {
        drop *= 2
        continue
      }
      await this.#join(session, hashes.slice(0, BLOCKS_PER_ANSWER_MAX), deadlineMs)
      this.#delivered = Math.min(this.#delivered, view.tipHeight)
      const isLast = hashes.length < BLOCKS_PER_ANSWER_MAX
      if (isLast || view.tipHeight >= this.#delivered + AHEAD_MAX) return view.tipHeight
      drop = 1
    }
    throw new P2pViolationError('MAIN_PEER_LIST', 'the node lists its blocks without an end')
  }

  /** Puts the hashes where they belong, which only the links of their headers tell. */
  async #join(
    session: P2pSession,
    hashes: readonly InternalHash[],
    deadlineMs: number,
  ): Promise<void> {
    const view = this.#view
    const branch = [...hashes]
    for (let walked = 0; walked <= WALK_MAX; walked++) {
      const first = branch[0] as InternalHash
      const known = view.heightOf(first)
      if (known === view.baseHeight) return view.replaceFrom(known + 1, branch.slice(1))
      if (known !== undefined) return view.replaceFrom(known, branch)
      const { header } = (await this.#block(session, first)).header
      const parent = view.heightOf(header.previous)
      if (parent !== undefined) return view.replaceFrom(parent + 1, branch)
      if (header.height <= view.baseHeight + 1) break
      if (Date.now() > deadlineMs) throw new MainSourceSlowError('the main node answers too slowly')
      branch.unshift(header.previous)
    }
    throw new MainForkTooDeepError(
      `the main node's chain does not hold the block at height ${view.baseHeight}`,
    )
  }

  async #block(session: P2pSession, hash: InternalHash): Promise<PeerBlock> {
    const key = toDisplayHash(hash)
    const cached = this.#cache.get(key)
    if (cached) return cached
    const block = await askForBlock(session, hash)
    if (!block) throw new MainChainRpcError(MainRpcCode.unknownBlock, 'unknown block')
    this.#cache.set(key, block)
    for (const oldest of this.#cache.keys()) {
      if (this.#cache.size <= CACHED_BLOCKS) break
      this.#cache.delete(oldest)
    }
    return block
  }

  #oneByOne<T>(action: (session: P2pSession) => Promise<T>): Promise<T> {
    const result = this.#queue.then(async () => {
      try {
        return await action(await this.#connected())
      } catch (error) {
        if (error instanceof P2pViolationError) this.#banFor(error)
        throw error
      }
    })
    this.#queue = result.catch(() => undefined)
    return result
  }

  async #connected(): Promise<P2pSession> {
    const { signal } = this.#closing
    if (signal.aborted) throw new P2pClosedError('closed')
    if (this.#ban && Date.now() < this.#ban.untilMs) {
      throw new P2pBannedError(`not asked for a while: ${this.#ban.reason}`)
    }
    this.#ban = undefined
    if (this.#session && !this.#session.isClosed) return this.#session
    this.#session = await P2pSession.open({ ...this.#options, signal })
    return this.#session
  }

  #banFor(reason: Error): void {
    const untilMs = Date.now() + (this.#options.banMs ?? DEFAULT_BAN_MS)
    this.#ban = { untilMs, reason: reason.message }
    this.#cache.clear()
    this.#session?.close(reason)
  }
}

async function waitingTransaction(session: P2pSession, id: InternalHash): Promise<Uint8Array> {
  let raw: Uint8Array | undefined
  const items = [{ kind: InventoryKind.transaction, hash: id }]
  await session.ask(
    [{ command: 'getdata', items }],
    (message) => {
      if (message.command === 'tx') raw = message.payload
      return message.command === 'tx' || message.command === 'notfound'
    },
    'a transaction',
  )
  const decoded = raw && decodeTransaction(raw)
  if (raw && decoded?.ok && bytesEqual(decoded.value.id, id)) return raw
  throw new MainChainRpcError(MainRpcCode.unknownTransaction, 'unknown transaction')
}

/** Sends it, then asks for it back: only a node that took it has it to give. */
async function sendTransaction(
  session: P2pSession,
  id: InternalHash,
  raw: Uint8Array,
): Promise<void> {
  let refusal: MainChainRpcError | undefined
  const items = [{ kind: InventoryKind.transaction, hash: id }]
  await session.ask(
    [
      { command: 'tx', payload: raw },
      { command: 'getdata', items },
    ],
    (message) => {
      if (message.command === 'reject' && bytesEqual(message.hash, id)) {
        const isKnown = message.code === RejectCode.duplicate
        const code = isKnown ? MainRpcCode.duplicate : MainRpcCode.refused
        refusal = new MainChainRpcError(code, message.reason)
      }
      if (message.command === 'notfound') {
        refusal ??= new MainChainRpcError(MainRpcCode.refused, 'the node did not take it')
      }
      return message.command === 'tx' || message.command === 'notfound'
    },
    'a transaction',
  )
  if (refusal) throw refusal
}
