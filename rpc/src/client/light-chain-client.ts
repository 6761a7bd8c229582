import { bytesEqual, bytesToHex, formatAddress } from '@ioex/chain/bytes'
import { type ChainHead, headOf, type TrustedEpoch, trustingMs } from '@ioex/chain/light'
import { type NetworkParams, paramsAt } from '@ioex/chain/params'
import type { Indexed, RecordPlace } from '@ioex/chain/state'
import {
  type Account,
  AnchorState,
  type Contract,
  type DepositRecord,
  type Epoch,
  type Globals,
  type InventoryEntry,
  MAIN_HEADERS_KEPT,
  type MainHeaderRecord,
  type Node,
  NodeRole,
  type Peg,
  type Rail,
  type Transaction,
  TransactionBodyType,
  TransactionType,
  type WithdrawalRecord,
} from '@ioex/chain/types'
import type { ResultOf } from '../contract/methods.ts'
import { type ProvenAnchor, readAnchor } from './anchor-reader.ts'
import { EndpointPool } from './endpoint-pool.ts'
import { EpochTrust } from './epoch-trust.ts'
import { type ForkAlarm, HeadFollower } from './head-follower.ts'
import { readInventory } from './inventory-reader.ts'
import { checkOutcome, type FinalOutcome } from './outcome-check.ts'
import { RecordReader } from './record-reader.ts'
import { checkStatement, type StatementView } from './statement-check.ts'
import { createRpcClient, type RpcClient } from './rpc-client.ts'
import { isNodeFailure, RpcError } from './rpc-error.ts'

const COMPARE_MS = 5000
/** One that follows every block asks by long poll; at the tip it asks again and again. */
const MINIMUM_POLL_MS = { blocks: 250, tip: 5000 } as const
const OUTCOME_WAIT_MS = 10_000
/** Records and inventories remembered because they cannot change. */
const SETTLED_KEPT = 256

export interface LightChainClientOptions {
  /** RPC addresses of full nodes, best run by different people; the first one leads. */
  readonly endpoints: readonly string[]
  readonly params: NetworkParams
  /** What is believed at first: genesis, or a newer epoch that an earlier run came to trust. */
  readonly start: TrustedEpoch
  /** A newer epoch is trusted: worth keeping for the next start. */
  readonly onTrust?: (trusted: TrustedEpoch) => void
  /** One endpoint is enough, e.g. a node of one's own. Default: at least two. */
  readonly allowSingleEndpoint?: boolean
  /** Two certified histories exist. The client answers nothing more. */
  readonly onAlarm?: (alarm: ForkAlarm) => void
  /** Makes the error for what the chain refuses; default RpcError. */
  readonly refusal?: (code: string, message: string) => Error
  /** Every block (default), or the newest one at each poll: for a phone or a page. */
  readonly follows?: 'blocks' | 'tip'
  readonly compareMs?: number
  /** Least time between two questions for new headers; default 250 ms, 5 s at the tip. */
  readonly minimumPollMs?: number
  readonly requestTimeoutMs?: number
}

/**
 * The chain as a thin client knows it (PROTOCOL 10): headers final by certificate, through every
 * change of validators, compared between nodes; records and outcomes by proof under them. It
 * takes no node's word; what has no proof (docs/protocol/light-client.md) it asks from two.
 */
export class LightChainClient {
  readonly chainId: Uint8Array
  /** Of genesis, with the forks after it. */
  readonly #schedule: NetworkParams
  readonly #options: LightChainClientOptions
  readonly #pool: EndpointPool
  readonly #follower: HeadFollower
  readonly #reader: RecordReader
  #epoch = 0
  readonly #settledEpochs = new Map<number, Epoch>()
  readonly #inventories = new Map<string, readonly InventoryEntry[]>()

  constructor(options: LightChainClientOptions) {
    const { endpoints, params, start, requestTimeoutMs, follows = 'blocks' } = options
    const { chainId } = start.newest.header
    if (endpoints.length < 2 && !options.allowSingleEndpoint) {
      throw new RpcError('UNREACHABLE', 'give at least two RPC addresses: one node alone may lie')
    }
    this.#options = options
    this.chainId = chainId
    this.#schedule = params
    const timeout = requestTimeoutMs === undefined ? {} : { timeoutMs: requestTimeoutMs }
    this.#pool = new EndpointPool(endpoints.map((url) => createRpcClient({ url, ...timeout })))
    this.#follower = new HeadFollower({
      pool: this.#pool,
      trust: new EpochTrust({
        chain: { chainId, epochBlocks: params.epochBlocks },
        start,
        trustingMs: trustingMs(params),
        aheadMs: params.clockAheadMs,
        onTrust: options.onTrust,
      }),
      follows,
      minimumPollMs: options.minimumPollMs ?? MINIMUM_POLL_MS[follows],
      compareMs: options.compareMs ?? COMPARE_MS,
      onAlarm: options.onAlarm ?? (() => undefined),
    })
    this.#follower.onHead(({ epoch }) => {
      this.#epoch = epoch
    })
    this.#reader = new RecordReader(this.#pool, this.#follower, params.addressPrefix)
  }

  /** Parameters of the epoch that the newest head is in. */
  get params(): NetworkParams {
    return paramsAt(this.#schedule, this.#epoch)
  }

  /** Begins to follow; resolves with the first certified head. */
  async start(): Promise<ChainHead> {
    this.#follower.start()
    return this.head()
  }

  close(): Promise<void> {
    return this.#follower.close()
  }

  get alarm(): ForkAlarm | undefined {
    return this.#follower.alarm
  }

  async head(): Promise<ChainHead> {
    return headOf(await this.#follower.head())
  }

  /** By the word of one node; a sender makes a cap of it, and is charged what the block says. */
  async baseFee(): Promise<bigint> {
    this.#follower.refuseAfterAlarm()
    return BigInt((await this.#pool.ask('chain_getStatus', {})).baseFee)
  }

  onHead(listener: (head: ChainHead) => void): () => void {
    return this.#follower.onHead(listener)
  }

  async account(address: Uint8Array): Promise<Account | undefined> {
    return this.#record<Account>({ table: 'accounts', address })
  }

  async node(nodeAddress: Uint8Array): Promise<Indexed<Node> | undefined> {
    const found = await this.#reader.at({ table: 'nodes', address: nodeAddress })
    return found as Indexed<Node> | undefined
  }

  async nodeAt(index: number): Promise<Node | undefined> {
    return this.#record<Node>({ table: 'nodes', index })
  }

  nodesByRole(role: number): Promise<Indexed<Node>[]> {
    const hasRole = ({ roles }: Node) => (roles & role) !== 0
    return this.#reader.list('nodes_list', { role: roleName(role) }, 'nodes', hasRole)
  }

  async rail(index: number): Promise<Rail | undefined> {
    return this.#record<Rail>({ table: 'rails', index })
  }

  railsOfPayer(payer: Uint8Array): Promise<Indexed<Rail>[]> {
    const isOwn = (rail: Rail) => rail.live && bytesEqual(rail.payer, payer)
    return this.#reader.list('rails_list', { payer: this.#text(payer) }, 'rails', isOwn)
  }

  railsOfNode(node: number): Promise<Indexed<Rail>[]> {
    const isOwn = (rail: Rail) => rail.live && rail.node === node
    return this.#reader.list('rails_list', { node }, 'rails', isOwn)
  }

  async contract(index: number): Promise<Contract | undefined> {
    return this.#record<Contract>({ table: 'contracts', index })
  }

  contractsOfPayer(payer: Uint8Array): Promise<Indexed<Contract>[]> {
    const isOwn = (contract: Contract) => contract.live && bytesEqual(contract.payer, payer)
    return this.#reader.list('contracts_list', { payer: this.#text(payer) }, 'contracts', isOwn)
  }

  /** Active contracts with slots that nobody stores; which slots is for the asker to judge. */
  contractsWithOpenSlots(): Promise<Indexed<Contract>[]> {
    const mayBe = (contract: Contract) => contract.live && contract.active
    return this.#reader.list('contracts_list', { open: true }, 'contracts', mayBe)
  }

  /** An epoch's record never changes once its anchor is FINAL: asked for once. */
  async epoch(epoch: number): Promise<Epoch | undefined> {
    const settled = this.#settledEpochs.get(epoch)
    if (settled) return settled
    const record = await this.#record<Epoch>({ table: 'epochs', index: epoch })
    if (record?.anchorState === AnchorState.final) keep(this.#settledEpochs, epoch, record)
    return record
  }

  /** A main header on record; undefined if the state keeps another height in its place. */
  async mainHeader(height: number): Promise<MainHeaderRecord | undefined> {
    const place = { table: 'mainHeaders', index: height % MAIN_HEADERS_KEPT } as const
    const record = await this.#record<MainHeaderRecord>(place)
    return record?.height === height ? record : undefined
  }

  /** What the validators certified of an epoch's anchor; undefined while the epoch is not over. */
  anchor(epoch: number): Promise<ProvenAnchor | undefined> {
    return readAnchor(this, epoch)
  }

  /** Position of the chain, terms of the supply, recorded tip of the main chain. */
  async globals(): Promise<Globals> {
    const found = await this.#record<Globals>({ table: 'globals', index: 0 })
    if (!found) throw new RpcError('UNAVAILABLE', 'no node shows the state of the chain')
    return found
  }

  /** The peg: reserve, pause, votes. */
  async peg(): Promise<Peg> {
    const found = await this.#record<Peg>({ table: 'peg', index: 0 })
    if (!found) throw new RpcError('UNAVAILABLE', 'no node shows the state of the chain')
    return found
  }

  /**
   * What the ledger recorded of a main-chain transaction (id in internal order), proven. That
   * nothing is recorded has no proof: one node's word.
   */
  async depositOf(mainTransaction: Uint8Array): Promise<Indexed<DepositRecord> | undefined> {
    const question = { mainTransaction: bytesToHex(mainTransaction) }
    const { deposit } = await this.#pool.ask('peg_getDeposit', question)
    if (!deposit) return undefined
    const { index } = deposit
    const record = await this.#record<DepositRecord>({ table: 'deposits', index })
    if (record && bytesEqual(record.mainTransaction, mainTransaction)) return { index, record }
    throw new RpcError('FALSE_PROOF', 'the node named the record of another deposit')
  }

  /** A withdrawal by the id of its transaction, proven; undefined by one node's word. */
  async withdrawalOf(id: Uint8Array): Promise<Indexed<WithdrawalRecord> | undefined> {
    const named = await this.#pool
      .ask('peg_getWithdrawal', { id: bytesToHex(id) })
      .catch((error: unknown) => {
        if (error instanceof RpcError && error.reason === 'NOT_FOUND') return undefined
        throw error
      })
    if (!named) return undefined
    const { index } = named
    const record = await this.#record<WithdrawalRecord>({ table: 'withdrawals', index })
    if (record && bytesEqual(record.id, id)) return { index, record }
    throw new RpcError('FALSE_PROOF', 'the node named the record of another withdrawal')
  }

  async #record<T>(place: RecordPlace): Promise<T | undefined> {
    const found = await this.#reader.at(place)
    return found?.record as T | undefined
  }

  /** The root names the entries, so they are asked for once. */
  async inventory(node: number, root: Uint8Array): Promise<readonly InventoryEntry[] | undefined> {
    const key = bytesToHex(root)
    const known = this.#inventories.get(key)
    if (known) return known
    const entries = await this.#readInventory(node, root)
    if (entries) keep(this.#inventories, key, entries)
    return entries
  }

  async #readInventory(node: number, root: Uint8Array): Promise<InventoryEntry[] | undefined> {
    try {
      return await this.#pool.askAndRead(
        'nodes_getInventory',
        { node, root: bytesToHex(root) },
        (first, client) => readInventory(first, root, client),
      )
    } catch (error) {
      if (error instanceof RpcError && error.reason === 'NOT_FOUND') return undefined
      throw error
    }
  }

  /**
   * A node's statement for an epoch, checked down to certified headers. That a node booked no
   * fees at all has no proof: then the other nodes are asked too.
   */
  async statement(node: Uint8Array, epoch: number): Promise<StatementView> {
    const question = { node: this.#text(node), epoch, prove: true }
    const check = (view: StatementView, client: RpcClient) =>
      checkStatement(view, { params: paramsAt(this.#schedule, epoch), node, epoch }, (shown) =>
        this.#follower.trustHeader(shown, client),
      )
    const first = await this.#pool.askAndRead('rewards_getStatement', question, check)
    if (first.proof?.fee || !first.inputs.closed) return first
    for (const other of this.#pool.others()) {
      try {
        const view = await check(await other.call('rewards_getStatement', question), other)
        if (view.proof?.fee) return view
      } catch (error) {
        if (!isNodeFailure(error)) throw error
      }
    }
    return first
  }

  async submit(transaction: Transaction): Promise<string> {
    this.#follower.refuseAfterAlarm()
    const id = bytesToHex(TransactionBodyType.hashTreeRoot(transaction.body))
    const bytes = bytesToHex(TransactionType.serialize(transaction))
    try {
      await this.#pool.ask('chain_sendTransaction', { transaction: bytes })
    } catch (error) {
      // Asked twice after a lost answer: the first time it was taken.
      if (!(error instanceof RpcError && error.reason === 'ALREADY_KNOWN')) {
        throw this.#refusal(error)
      }
    }
    return id
  }

  async outcome(transactionId: string, validUntil: number): Promise<FinalOutcome> {
    try {
      for (;;) {
        // Taken before the question: every block up to this height was final when it was asked.
        const { height } = await this.head()
        const wait = height > validUntil ? 0 : OUTCOME_WAIT_MS
        const found = await this.#untilPast(validUntil, height, (signal) =>
          this.#askOutcome(transactionId, wait, height, signal),
        )
        if (found) return found
        if (height > validUntil) {
          throw new RpcError('EXPIRED', `no block up to height ${validUntil} took the transaction`)
        }
      }
    } catch (error) {
      throw this.#refusal(error)
    }
  }

  /** Gives a long poll up, with undefined, as soon as the head passes the height. */
  async #untilPast<T>(
    height: number,
    headHeight: number,
    ask: (signal: AbortSignal) => Promise<T | undefined>,
  ): Promise<T | undefined> {
    const past = new AbortController()
    const stop = this.onHead((head) => {
      if (headHeight <= height && head.height > height) past.abort()
    })
    try {
      return await ask(past.signal)
    } catch (error) {
      if (past.signal.aborted && error instanceof RpcError && error.reason === 'ABORTED') {
        return undefined
      }
      throw error
    } finally {
      stop()
    }
  }

  async #askOutcome(
    id: string,
    timeoutMs: number,
    headHeight: number,
    signal: AbortSignal,
  ): Promise<FinalOutcome | undefined> {
    const question = { id, timeoutMs, prove: true }
    const check = async (status: ResultOf<'chain_waitTransaction'>, client: RpcClient) => {
      if (status.state !== 'final' || !status.proof) return undefined
      return checkOutcome(id, status, await this.#follower.trustHeader(status.proof, client))
    }
    const options = { signal }
    const first = await this.#pool.askAndRead('chain_waitTransaction', question, check, options)
    if (first || timeoutMs > 0) return first
    // "Expired" makes the caller send again, so a node that merely hides the block is not enough.
    for (const other of this.#pool.others()) {
      try {
        const { height } = await other.call('chain_getStatus', {})
        if (height < headHeight) continue
        return await check(await other.call('chain_waitTransaction', question), other)
      } catch (error) {
        if (!isNodeFailure(error)) throw error
      }
    }
    return undefined
  }

  #refusal(error: unknown): unknown {
    const { refusal } = this.#options
    if (!(error instanceof RpcError) || isNodeFailure(error) || !refusal) return error
    return refusal(error.reason, error.message)
  }

  #text(address: Uint8Array): string {
    return formatAddress(address, this.params.addressPrefix)
  }
}

/** Remembers what never changes, up to a bound. */
function keep<K, V>(known: Map<K, V>, key: K, value: V): void {
  known.set(key, value)
  const [oldest] = known.keys()
  if (known.size > SETTLED_KEPT && oldest !== undefined) known.delete(oldest)
}

function roleName(role: number): keyof typeof NodeRole {
  const names = Object.keys(NodeRole) as (keyof typeof NodeRole)[]
  const name = names.find((each) => NodeRole[each] === role)
  if (!name) throw new RpcError('INVALID_INPUT', `${role} is not the bit of one role`)
  return name
}
