import { randomBytes } from 'node:crypto'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { Result } from '../bytes/result.ts'
import { decodeBlock, type DecodedBlock, encodeDposBlock } from '../elastos/block.ts'
import { filterBlock, matchTransaction } from '../elastos/filtered-block.ts'
import { type InternalHash, toInternalHex } from '../elastos/hash-orientation.ts'
import { encodeMerkleBlock } from '../elastos/merkle-block.ts'
import { addToFilter } from '../elastos/bloom-filter.ts'
import {
  BLOCKS_PER_ANSWER_MAX,
  decodeSideChainFilter,
  FilterKind,
  type InventoryItem,
  InventoryKind,
  type P2pMessage,
  PeerService,
  PROTOCOL_VERSION,
  RejectCode,
  type SideChainFilter,
} from '../elastos/p2p-message.ts'
import { decodeTransaction } from '../elastos/transaction.ts'
import type { BlockNode, MainLedger } from './main-ledger.ts'
import type { MainChainBackend } from './main-chain-rpc-methods.ts'
import { P2pClosedError, P2pLink, P2pViolationError } from '../follower/p2p-link.ts'

const LOOPBACK = '127.0.0.1'
const PEERS_MAX = 125
const DEFAULT_HANDSHAKE_MS = 30_000
/** A peer that says nothing for so long is gone. */
const IDLE_MS = 2 * 60_000
const PING_MS = 30_000
const NO_HASH = new Uint8Array(32) as InternalHash
const ZERO_HASH = '00'.repeat(32)

export interface P2pListenerOptions {
  /** 0 takes a free one. */
  readonly port: number
  /** Address to listen on; loopback unless asked otherwise. */
  readonly host?: string
  readonly magic: number
  readonly handshakeMs?: number
  readonly frameMs?: number
}

/** What the listener serves. */
export type P2pBackend = Pick<
  MainChainBackend,
  'ledger' | 'mempool' | 'readBlock' | 'confirmOf' | 'submitTransaction'
>

/**
 * The P2P side of the built-in main chain, with the habits of an Elastos node towards light
 * clients: handshake, getblocks, getdata, transaction filters, merkle blocks, ping, reject. It
 * takes transactions and no blocks: this chain has one miner.
 */
export class P2pListener {
  readonly #backend: P2pBackend
  readonly #options: P2pListenerOptions
  readonly #server: Server
  readonly #peers = new Set<P2pPeer>()

  private constructor(backend: P2pBackend, options: P2pListenerOptions) {
    this.#backend = backend
    this.#options = options
    this.#server = createServer((socket) => this.#accept(socket))
    this.#server.maxConnections = PEERS_MAX
  }

  static async start(backend: P2pBackend, options: P2pListenerOptions): Promise<P2pListener> {
    const listener = new P2pListener(backend, options)
    await new Promise<void>((resolve, reject) => {
      listener.#server.once('error', reject)
      listener.#server.listen(options.port, options.host ?? LOOPBACK, () => {
        listener.#server.off('error', reject)
        resolve()
      })
    })
    return listener
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get peers(): number {
    return this.#peers.size
  }

  /** Tells every peer of a new best block. */
  announce({ hash }: BlockNode): void {
    const items = [{ kind: InventoryKind.block, hash }]
    for (const peer of this.#peers) peer.tell({ command: 'inv', items })
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      for (const peer of this.#peers) peer.close(new P2pClosedError('the node stops'))
    })
  }

  #accept(socket: Socket): void {
    const peer: P2pPeer = new P2pPeer(socket, this.#backend, this.#options, () =>
      this.#peers.delete(peer),
    )
    this.#peers.add(peer)
  }
}

/** One connected peer. */
class P2pPeer {
  readonly #backend: P2pBackend
  readonly #link: P2pLink
  readonly #port: number
  #handshake: NodeJS.Timeout | undefined
  #idle: NodeJS.Timeout | undefined
  readonly #pings: NodeJS.Timeout
  #isKnown = false
  #hasAcknowledged = false
  #filter: SideChainFilter | undefined

  constructor(
    socket: Socket,
    backend: P2pBackend,
    options: P2pListenerOptions,
    onGone: () => void,
  ) {
    this.#backend = backend
    this.#port = socket.localPort ?? 0
    this.#link = new P2pLink(socket, {
      magic: options.magic,
      frameMs: options.frameMs,
      onMessage: (message) => this.#hear(message),
      onClose: () => {
        for (const timer of [this.#handshake, this.#idle, this.#pings]) clearTimeout(timer)
        onGone()
      },
    })
    this.#handshake = setTimeout(
      () => this.close(new P2pClosedError('no handshake in time')),
      options.handshakeMs ?? DEFAULT_HANDSHAKE_MS,
    )
    this.#pings = setInterval(() => this.tell(this.#height('ping')), PING_MS)
  }

  /** Says something unasked; before the handshake nothing. */
  tell(message: P2pMessage): void {
    if (this.#hasAcknowledged) this.#link.send(message)
  }

  close(reason: Error): void {
    this.#link.close(reason)
  }

  async #hear(message: P2pMessage): Promise<void> {
    clearTimeout(this.#idle)
    this.#idle = setTimeout(() => this.close(new P2pClosedError('silent too long')), IDLE_MS)
    if (!this.#isKnown) return this.#greet(message)
    switch (message.command) {
      case 'version':
        this.#refuse('version', RejectCode.duplicate, 'duplicate version message')
        return this.close(new P2pViolationError('MAIN_PEER_HANDSHAKE', 'a second version'))
      case 'verack':
        if (this.#hasAcknowledged) {
          return this.close(new P2pViolationError('MAIN_PEER_HANDSHAKE', 'a second verack'))
        }
        clearTimeout(this.#handshake)
        this.#hasAcknowledged = true
        return
      case 'ping':
        return this.#link.send(this.#height('pong'))
      case 'getblocks':
        return this.#listBlocks(message.locator, message.stop)
      case 'getdata':
        return this.#giveData(message.items)
      case 'mempool':
        return this.#listWaiting()
      case 'tx':
        return this.#takeTransaction(message.payload)
      case 'notfound':
        return this.close(new P2pViolationError('MAIN_PEER_NOTFOUND', 'nothing was asked'))
      default:
        return this.#hearFilter(message)
    }
  }

  #greet(message: P2pMessage): void {
    if (message.command !== 'version') {
      this.#refuse(message.command, RejectCode.malformed, 'A version message must precede all')
      return this.close(new P2pViolationError('MAIN_PEER_HANDSHAKE', 'no version first'))
    }
    this.#isKnown = true
    this.#link.send({
      command: 'version',
      version: PROTOCOL_VERSION,
      services: BigInt(PeerService.network | PeerService.transactionFilter | PeerService.bloom),
      timestamp: Math.floor(Date.now() / 1000),
      port: this.#port,
      nonce: randomBytes(8).readBigUInt64LE(),
      height: BigInt(this.#backend.ledger.height),
      relay: true,
      nodeName: undefined,
    })
    this.#link.send({ command: 'verack' })
  }

  #hearFilter(message: P2pMessage): void {
    switch (message.command) {
      case 'txfilter':
        // Only filters of side chains: there are no producers here that others would show.
        if (message.filterKind !== FilterKind.sideChain) break
        return this.#loadFilter(message.data)
      case 'filterload':
        return this.#loadFilter(message.payload)
      case 'filteradd':
        if (!this.#filter) break
        this.#filter = { ...this.#filter, ...addToFilter(this.#filter, message.element) }
        return
      case 'filterclear':
        if (!this.#filter) break
        this.#filter = undefined
        return
      default:
        return
    }
    this.close(new P2pViolationError('MAIN_PEER_FILTER', 'a filter that cannot be'))
  }

  #loadFilter(data: Uint8Array): void {
    const filter = decodeSideChainFilter(data)
    if (filter.ok) this.#filter = filter.value
    else this.close(new P2pViolationError(filter.fault.code, filter.fault.message))
  }

  /** Silence where there is nothing to list, as the real node keeps it. */
  #listBlocks(locator: readonly InternalHash[], stop: InternalHash): void {
    const hashes = hashesAfter(this.#backend.ledger, locator, stop)
    if (hashes.length === 0) return
    const items = hashes.map((hash) => ({ kind: InventoryKind.block, hash }))
    this.#link.send({ command: 'inv', items })
  }

  #listWaiting(): void {
    const filter = this.#filter
    const waiting = this.#backend.mempool
      .all()
      .filter((each) => !filter || matchTransaction(each, filter).isShown)
    if (waiting.length === 0) return
    const items = waiting.map(({ id }) => ({ kind: InventoryKind.transaction, hash: id }))
    this.#link.send({ command: 'inv', items })
  }

  async #giveData(items: readonly InventoryItem[]): Promise<void> {
    const missing: InventoryItem[] = []
    for (const item of items) {
      if (this.#link.isClosed) return
      if (!(await this.#giveItem(item))) missing.push(item)
      await this.#link.drained()
    }
    if (missing.length > 0) this.#link.send({ command: 'notfound', items: missing })
  }

  /** Gives whether it is known. */
  async #giveItem({ kind, hash }: InventoryItem): Promise<boolean> {
    if (kind === InventoryKind.transaction) {
      const waiting = this.#backend.mempool.get(toInternalHex(hash))
      if (waiting) this.#link.send({ command: 'tx', payload: waiting.raw })
      return waiting !== undefined
    }
    const isFiltered = kind === InventoryKind.filteredBlock
    if (!isFiltered && kind !== InventoryKind.block && kind !== InventoryKind.confirmedBlock) {
      return true
    }
    // Without a filter a filtered block is not answered at all.
    if (isFiltered && !this.#filter) return true
    const block = await this.#block(hash)
    if (!block.ok) return false
    if (isFiltered) this.#giveFiltered(block.value)
    else {
      const node = this.#backend.ledger.node(toInternalHex(hash))
      const confirm = node && this.#backend.confirmOf(node)
      const payload = encodeDposBlock({ block: block.value, confirm })
      this.#link.send({ command: 'block', payload })
    }
    return true
  }

  #giveFiltered(block: DecodedBlock): void {
    if (!this.#filter) return
    const { merkleBlock, shown, filter } = filterBlock(block, this.#filter)
    this.#filter = filter
    this.#link.send({ command: 'merkleblock', payload: encodeMerkleBlock(merkleBlock) })
    for (const { raw } of shown) this.#link.send({ command: 'tx', payload: raw })
  }

  async #block(hash: InternalHash): Promise<Result<DecodedBlock>> {
    const node = this.#backend.ledger.node(toInternalHex(hash))
    if (!node) return { ok: false, fault: { code: 'MAIN_BLOCK_UNKNOWN', message: 'unknown' } }
    return decodeBlock(await this.#backend.readBlock(node))
  }

  #takeTransaction(raw: Uint8Array): void {
    const decoded = decodeTransaction(raw)
    if (!decoded.ok) {
      this.#refuse('malformed', RejectCode.malformed, decoded.fault.message)
      return this.close(new P2pViolationError(decoded.fault.code, decoded.fault.message))
    }
    const taken = this.#backend.submitTransaction(decoded.value)
    if (taken.ok) return
    const isKnown = taken.fault.code === 'MAIN_TRANSACTION_KNOWN'
    const code = isKnown ? RejectCode.duplicate : RejectCode.invalid
    this.#refuse('tx', code, `${taken.fault.message} (${taken.fault.code})`, decoded.value.id)
  }

  #refuse(rejected: string, code: number, reason: string, hash = NO_HASH): void {
    this.#link.send({ command: 'reject', rejected, code, reason, hash })
  }

  #height(command: 'ping' | 'pong'): P2pMessage {
    return { command, height: BigInt(this.#backend.ledger.height) }
  }
}

/**
 * Hashes of the best chain above the first locator entry that is known, on whatever branch it
 * lies: the real node counts on from its height and leaves it to the client to look at the links.
 */
function hashesAfter(
  ledger: MainLedger,
  locator: readonly InternalHash[],
  stop: InternalHash,
): InternalHash[] {
  const keys = locator.map(toInternalHex)
  const known = keys.map((key) => ledger.node(key)).find((node) => node !== undefined)
  const start = known?.header.height ?? 0
  const end = Math.min(start + BLOCKS_PER_ANSWER_MAX, ledger.height)
  const stopKey = toInternalHex(stop)
  const hashes: InternalHash[] = []
  for (let height = start + 1; height <= end; height++) {
    const node = ledger.at(height) as BlockNode
    hashes.push(node.hash)
    if (stopKey !== ZERO_HASH && node.key === stopKey) break
  }
  return hashes
}
