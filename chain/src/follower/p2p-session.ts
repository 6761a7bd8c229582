import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { OPEN_FILTER } from '../elastos/filtered-block.ts'
import type { InternalHash } from '../elastos/hash-orientation.ts'
import {
  encodeSideChainFilter,
  FilterKind,
  InventoryKind,
  type P2pMessage,
  PeerService,
  type PeerVersion,
  PROTOCOL_VERSION,
} from '../elastos/p2p-message.ts'
import { MainChainUnreachableError } from './main-chain-client.ts'
import { P2pClosedError, P2pLink, P2pViolationError } from './p2p-link.ts'

const DEFAULT_CONNECT_MS = 10_000
const DEFAULT_REQUEST_MS = 15_000
const NO_HASH = new Uint8Array(32) as InternalHash

export interface P2pSessionOptions {
  readonly host: string
  readonly port: number
  readonly magic: number
  /** Connection and handshake together. */
  readonly connectMs?: number | undefined
  /** One question, its answer included. */
  readonly requestMs?: number | undefined
  readonly frameMs?: number | undefined
  /** Ends the connection, also while it is being made. */
  readonly signal?: AbortSignal | undefined
}

/** What goes on until its answer is whole. */
interface Question {
  /** Gives true when nothing more is to come. */
  readonly take: (message: P2pMessage) => boolean
  readonly done: () => void
  readonly fail: (reason: Error) => void
}

/** A connection to a main node after the handshake; one question at a time. */
export class P2pSession {
  readonly peer: PeerVersion
  readonly #link: P2pLink
  readonly #requestMs: number
  #question: Question | undefined
  #problem: Error | undefined

  private constructor(link: P2pLink, peer: PeerVersion, options: P2pSessionOptions) {
    this.#link = link
    this.peer = peer
    this.#requestMs = options.requestMs ?? DEFAULT_REQUEST_MS
  }

  /** Whether the node shows blocks through a filter; one that does not must not be sent any. */
  get hasFilters(): boolean {
    return (this.peer.services & BigInt(PeerService.transactionFilter)) !== 0n
  }

  get isClosed(): boolean {
    return this.#link.isClosed
  }

  /** Connects, says hello, loads the open filter. */
  static async open(options: P2pSessionOptions): Promise<P2pSession> {
    const { host, port } = options
    const socket = connect({ host, port })
    try {
      return await P2pSession.#shakeHands(socket, options)
    } catch (error) {
      socket.destroy()
      if (error instanceof P2pViolationError) throw error
      const reason = error instanceof Error ? error.message : String(error)
      throw new MainChainUnreachableError(
        `the main node at ${host}:${port} does not shake hands: ${reason}`,
        { cause: error },
      )
    }
  }

  static #shakeHands(socket: Socket, options: P2pSessionOptions): Promise<P2pSession> {
    return new Promise((resolve, reject) => {
      const nonce = randomBytes(8).readBigUInt64LE()
      let peer: PeerVersion | undefined
      let session: P2pSession | undefined
      const onMessage = (message: P2pMessage) => {
        if (session) {
          session.#hear(message)
        } else if (!peer) {
          peer = versionOf(message, nonce)
        } else if (message.command === 'verack') {
          session = new P2pSession(link, peer, options)
          session.#greet()
          clearTimeout(timer)
          resolve(session)
        }
      }
      const onClose = (reason: Error) => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
        if (session) session.#end(reason)
        reject(reason)
      }
      const onAbort = () => link.close(new P2pClosedError('closed'))
      const { magic, frameMs, signal, connectMs = DEFAULT_CONNECT_MS } = options
      const link = new P2pLink(socket, { magic, frameMs, onMessage, onClose })
      const timer = setTimeout(
        () => link.close(new P2pClosedError(`no handshake within ${connectMs} ms`)),
        connectMs,
      )
      signal?.addEventListener('abort', onAbort)
      socket.once('connect', () => link.send(ownVersion(options.port, nonce)))
    })
  }

  /**
   * Sends, then hands every message that comes to `take` until it gives true. A `take` that
   * throws, and an answer that takes too long, end the connection: what comes later would be
   * mistaken for the answer to another question.
   */
  async ask(
    messages: readonly P2pMessage[],
    take: (message: P2pMessage) => boolean,
    what: string,
  ): Promise<void> {
    if (this.#problem) throw this.#problem
    await new Promise<void>((resolve, reject) => {
      const tooLate = new MainChainUnreachableError(
        `the main node does not give ${what} within ${this.#requestMs} ms`,
      )
      const timer = setTimeout(() => this.close(tooLate), this.#requestMs)
      const end = (settle: () => void) => {
        clearTimeout(timer)
        this.#question = undefined
        settle()
      }
      this.#question = { take, done: () => end(resolve), fail: (error) => end(() => reject(error)) }
      for (const message of messages) this.#link.send(message)
    })
  }

  /** Hashes that follow the first block of the locator that the node knows, and its height. */
  async blocksAfter(
    locator: readonly InternalHash[],
    height: number,
  ): Promise<{ readonly nodeHeight: number; readonly hashes: readonly InternalHash[] }> {
    let nodeHeight: number | undefined
    let hashes: readonly InternalHash[] = []
    const take = (message: P2pMessage) => {
      if (message.command === 'pong') nodeHeight = heightOf(message.height)
      if (message.command === 'inv') {
        const blocks = message.items.filter(({ kind }) => BLOCK_KINDS.has(kind))
        // A block that is announced meanwhile comes alone.
        if (blocks.length > hashes.length) hashes = blocks.map(({ hash }) => hash)
      }
      // The pong may overtake the list. A node with nothing to list sends none at all.
      return nodeHeight !== undefined && (hashes.length > 0 || nodeHeight <= height)
    }
    const question = { command: 'getblocks', locator, stop: NO_HASH } as const
    await this.ask([question, { command: 'ping', height: 0n }], take, 'the list of its blocks')
    return { nodeHeight: nodeHeight ?? 0, hashes }
  }

  close(reason: Error): void {
    this.#link.close(reason)
  }

  #greet(): void {
    this.#link.send({ command: 'verack' })
    if (!this.hasFilters) return
    const data = encodeSideChainFilter(OPEN_FILTER)
    this.#link.send({ command: 'txfilter', filterKind: FilterKind.sideChain, data })
  }

  #hear(message: P2pMessage): void {
    if (message.command === 'ping') {
      this.#link.send({ command: 'pong', height: 0n })
    } else if (message.command === 'version') {
      throw new P2pViolationError('MAIN_PEER_HANDSHAKE', 'the node says its version twice')
    } else if (this.#question?.take(message)) {
      this.#question.done()
    }
  }

  #end(reason: Error): void {
    this.#problem = reason
    this.#question?.fail(reason)
  }
}

const BLOCK_KINDS: ReadonlySet<number> = new Set([
  InventoryKind.block,
  InventoryKind.filteredBlock,
  InventoryKind.confirmedBlock,
])

function ownVersion(port: number, nonce: bigint): P2pMessage {
  return {
    command: 'version',
    version: PROTOCOL_VERSION,
    // We serve nothing and have no blocks: nobody is to ask us for any.
    services: 0n,
    timestamp: Math.floor(Date.now() / 1000),
    port,
    nonce,
    height: 0n,
    relay: false,
    nodeName: undefined,
  }
}

function versionOf(message: P2pMessage, ownNonce: bigint): PeerVersion {
  if (message.command !== 'version') {
    throw new P2pViolationError('MAIN_PEER_HANDSHAKE', 'a version comes before all else')
  }
  if (message.nonce === ownNonce) {
    throw new P2pViolationError('MAIN_PEER_SELF', 'this connection leads to ourselves')
  }
  return message
}

function heightOf(height: bigint): number {
  if (height > 0xffff_ffffn) {
    throw new P2pViolationError('MAIN_PEER_HEIGHT', 'the node names an impossible height')
  }
  return Number(height)
}
