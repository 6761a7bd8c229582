import { addressOf, buildSumTree, bytesEqual, bytesToHex, formatAddress } from '@ioex/chain/bytes'
import type { EpochValidator } from '@ioex/chain/consensus'
import type { NetworkParams } from '@ioex/chain/params'
import {
  type Account,
  AccountType,
  type Contract,
  ContractType,
  type Epoch,
  EpochType,
  type InventoryEntry,
  InventoryEntryType,
  type Node,
  NodeRole,
  NodeType,
  type Rail,
  RailType,
  type Transaction,
  TransactionBodyType,
  TransactionType,
  validatorSetHash,
} from '@ioex/chain/types'
import type { ResultOf } from '../contract/methods.ts'
import type { ChainView, HeadView, IndexedRecord, OutcomeView } from './chain-view.ts'
import { EndpointPool } from './endpoint-pool.ts'
import { type ForkAlarm, HeadFollower } from './head-follower.ts'
import { headOf } from './header-chain.ts'
import { checkOutcome } from './outcome-check.ts'
import { decodeRecord, RecordReader } from './record-reader.ts'
import { createRpcClient } from './rpc-client.ts'
import { isNodeFailure, RpcError } from './rpc-error.ts'

const COMPARE_MS = 5000
const MINIMUM_POLL_MS = 250
const OUTCOME_WAIT_MS = 10_000
const NODE_BYTES_MAX = 256 * 1024
const RECORD_BYTES_MAX = 32 * 1024
/** Records of one list that a client reads at most. */
const LIST_ITEMS_MAX = 100_000
const BEACONS_KEPT = 256
const WEIGHT_SUM_LIMIT = 1n << 128n

export interface LightChainClientOptions {
  /** RPC addresses of full nodes, best run by different people; the first one leads. */
  readonly endpoints: readonly string[]
  readonly chainId: Uint8Array
  readonly params: NetworkParams
  /** The genesis validator set, in index order: what all certificates are checked against. */
  readonly validators: readonly EpochValidator[]
  /** One endpoint is enough, e.g. a node of one's own. Default: at least two. */
  readonly allowSingleEndpoint?: boolean
  /** Two certified histories exist. The client answers nothing more. */
  readonly onAlarm?: (alarm: ForkAlarm) => void
  /** Makes the error for what the chain refuses; default RpcError. */
  readonly refusal?: (code: string, message: string) => Error
  readonly compareMs?: number
  readonly minimumPollMs?: number
  readonly requestTimeoutMs?: number
}

/**
 * The chain as a thin client knows it (PROTOCOL 10): headers final by certificate, compared
 * between nodes; outcomes of transactions by proof under them; records by the word of a full
 * node, a beacon by the word of two.
 */
export class LightChainClient implements ChainView {
  readonly chainId: Uint8Array
  readonly params: NetworkParams
  readonly #options: LightChainClientOptions
  readonly #pool: EndpointPool
  readonly #follower: HeadFollower
  readonly #reader: RecordReader
  /** Beacons that two nodes named alike, by epoch, hex. */
  #agreedBeacons = new Map<number, string>()

  constructor(options: LightChainClientOptions) {
    const { endpoints, params, chainId, validators, requestTimeoutMs } = options
    if (endpoints.length < 2 && !options.allowSingleEndpoint) {
      throw new RpcError('UNREACHABLE', 'give at least two RPC addresses: one node alone may lie')
    }
    this.#options = options
    this.chainId = chainId
    this.params = params
    const timeout = requestTimeoutMs === undefined ? {} : { timeoutMs: requestTimeoutMs }
    this.#pool = new EndpointPool(endpoints.map((url) => createRpcClient({ url, ...timeout })))
    this.#follower = new HeadFollower({
      pool: this.#pool,
      rules: {
        chainId,
        epochBlocks: params.epochBlocks,
        validators: [...validators],
        validatorsHash: validatorSetHash([...validators]),
      },
      minimumPollMs: options.minimumPollMs ?? MINIMUM_POLL_MS,
      compareMs: options.compareMs ?? COMPARE_MS,
      onAlarm: options.onAlarm ?? (() => undefined),
    })
    this.#reader = new RecordReader(this.#pool, this.#follower)
  }

  /** Begins to follow; resolves with the first certified head. */
  async start(): Promise<HeadView> {
    this.#follower.start()
    return this.head()
  }

  close(): Promise<void> {
    return this.#follower.close()
  }

  get alarm(): ForkAlarm | undefined {
    return this.#follower.alarm
  }

  async head(): Promise<HeadView> {
    return headOf(await this.#follower.head())
  }

  /** By the word of one node; a sender makes a cap of it, and is charged what the block says. */
  async baseFee(): Promise<bigint> {
    this.#follower.refuseAfterAlarm()
    return BigInt((await this.#pool.ask('chain_getStatus', {})).baseFee)
  }

  onHead(listener: (head: HeadView) => void): () => void {
    return this.#follower.onHead(listener)
  }

  async account(address: Uint8Array): Promise<Account | undefined> {
    const found = await this.#reader.read('chain_getAccount', { address: this.#text(address) })
    if (!found || found.ssz === null) return undefined
    const account = decodeRecord(AccountType, found.ssz, RECORD_BYTES_MAX)
    if (!bytesEqual(account.address, address)) throw otherRecord()
    return account
  }

  async node(nodeAddress: Uint8Array): Promise<IndexedRecord<Node> | undefined> {
    const found = await this.#reader.read('nodes_get', { id: this.#text(nodeAddress) })
    if (!found) return undefined
    const record = decodeRecord(NodeType, found.ssz, NODE_BYTES_MAX)
    if (!bytesEqual(addressOf(record.nodeKey), nodeAddress)) throw otherRecord()
    return { index: found.index, record }
  }

  async nodeAt(index: number): Promise<Node | undefined> {
    const found = await this.#reader.read('nodes_get', { id: index })
    return found && decodeRecord(NodeType, found.ssz, NODE_BYTES_MAX)
  }

  async nodesByRole(role: number): Promise<IndexedRecord<Node>[]> {
    const name = roleName(role)
    const found = await this.#reader.readAll(
      'nodes_list',
      { role: name },
      (page) => page.nodes,
      LIST_ITEMS_MAX,
    )
    return found.map(({ index, ssz }) => ({
      index,
      record: decodeRecord(NodeType, ssz, NODE_BYTES_MAX),
    }))
  }

  async rail(index: number): Promise<Rail | undefined> {
    const found = await this.#reader.read('rails_get', { id: index })
    return found && decodeRecord(RailType, found.ssz, RECORD_BYTES_MAX)
  }

  railsOfPayer(payer: Uint8Array): Promise<IndexedRecord<Rail>[]> {
    return this.#rails({ payer: this.#text(payer) })
  }

  railsOfNode(node: number): Promise<IndexedRecord<Rail>[]> {
    return this.#rails({ node })
  }

  async #rails(by: { payer?: string; node?: number }): Promise<IndexedRecord<Rail>[]> {
    const found = await this.#reader.readAll('rails_list', by, (page) => page.rails, LIST_ITEMS_MAX)
    return found.map(({ index, ssz }) => ({
      index,
      record: decodeRecord(RailType, ssz, RECORD_BYTES_MAX),
    }))
  }

  async contract(index: number): Promise<Contract | undefined> {
    const found = await this.#reader.read('contracts_get', { id: index })
    return found && decodeRecord(ContractType, found.ssz, RECORD_BYTES_MAX)
  }

  async contractsOfPayer(payer: Uint8Array): Promise<IndexedRecord<Contract>[]> {
    const found = await this.#reader.readAll(
      'contracts_list',
      { payer: this.#text(payer) },
      (page) => page.contracts,
      LIST_ITEMS_MAX,
    )
    return found.map(({ index, ssz }) => ({
      index,
      record: decodeRecord(ContractType, ssz, RECORD_BYTES_MAX),
    }))
  }

  async epoch(epoch: number): Promise<Epoch | undefined> {
    const found = await this.#reader.read('chain_getEpoch', { epoch })
    if (!found) return undefined
    const record = decodeRecord(EpochType, found.ssz, RECORD_BYTES_MAX)
    try {
      if (record.beaconHeight > 0) await this.#agreeOnBeacon(epoch, record)
    } catch (error) {
      throw this.#refusal(error)
    }
    return record
  }

  /**
   * A node that answers a challenge opens what the beacon draws: a false beacon would make it
   * miss the true one. So a fixed beacon counts only when a second node names the same.
   */
  async #agreeOnBeacon(epoch: number, { beacon, beaconHeight }: Epoch): Promise<void> {
    const text = `${bytesToHex(beacon)} ${beaconHeight}`
    if (this.#agreedBeacons.get(epoch) === text) return
    for (const other of this.#pool.others()) {
      try {
        const { ssz } = await other.call('chain_getEpoch', { epoch })
        const theirs = decodeRecord(EpochType, ssz, RECORD_BYTES_MAX)
        // Not fixed there yet: that node is only slower.
        if (theirs.beaconHeight === 0) continue
        if (`${bytesToHex(theirs.beacon)} ${theirs.beaconHeight}` !== text) {
          throw new RpcError(
            'RECORD_DISPUTED',
            `two nodes name different beacons of epoch ${epoch}`,
          )
        }
        this.#rememberBeacon(epoch, text)
        return
      } catch (error) {
        if (!isNodeFailure(error) && !(error instanceof RpcError && error.reason === 'NOT_FOUND')) {
          throw error
        }
      }
    }
  }

  #rememberBeacon(epoch: number, text: string): void {
    this.#agreedBeacons.set(epoch, text)
    const [oldest] = this.#agreedBeacons.keys()
    if (this.#agreedBeacons.size > BEACONS_KEPT && oldest !== undefined) {
      this.#agreedBeacons.delete(oldest)
    }
  }

  async inventory(node: number, root: Uint8Array): Promise<readonly InventoryEntry[] | undefined> {
    const entries: InventoryEntry[] = []
    const size = InventoryEntryType.fixedSize as number
    for (;;) {
      const question = { node, root: bytesToHex(root), from: entries.length }
      const page = await this.#reader.read('nodes_getInventory', question)
      if (!page) return undefined
      const before = entries.length
      for (let at = 0; at < page.ssz.length; at += size * 2) {
        entries.push(decodeRecord(InventoryEntryType, page.ssz.slice(at, at + size * 2), size))
      }
      if (page.next === null) return checkInventory(entries, root)
      if (entries.length === before || entries.length > LIST_ITEMS_MAX) {
        throw new RpcError('BAD_RESPONSE', 'the pages of an inventory do not end')
      }
    }
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

  async outcome(transactionId: string, validUntil: number): Promise<OutcomeView> {
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
  ): Promise<OutcomeView | undefined> {
    const question = { id, timeoutMs, prove: true }
    const check = async (status: ResultOf<'chain_waitTransaction'>) => {
      if (status.state !== 'final' || status.height === null) return undefined
      return checkOutcome(id, status, await this.#follower.finalHeader(status.height))
    }
    const options = { signal }
    const first = await this.#pool.askAndRead('chain_waitTransaction', question, check, options)
    if (first || timeoutMs > 0) return first
    // "Expired" makes the caller send again, so a node that merely hides the block is not enough.
    for (const other of this.#pool.others()) {
      try {
        const { height } = await other.call('chain_getStatus', {})
        if (height < headHeight) continue
        return await check(await other.call('chain_waitTransaction', question))
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

/** The answerer of a challenge builds its proofs from these entries, so they must be the tree's. */
function checkInventory(entries: InventoryEntry[], root: Uint8Array): InventoryEntry[] {
  const sum = entries.reduce((total, { weight }) => total + weight, 0n)
  if (sum < WEIGHT_SUM_LIMIT && bytesEqual(buildSumTree(entries).root, root)) return entries
  throw new RpcError('BAD_RESPONSE', 'a node gives inventory entries of another root')
}

function roleName(role: number): keyof typeof NodeRole {
  const names = Object.keys(NodeRole) as (keyof typeof NodeRole)[]
  const name = names.find((each) => NodeRole[each] === role)
  if (!name) throw new RpcError('INVALID_INPUT', `${role} is not the bit of one role`)
  return name
}

function otherRecord(): RpcError {
  return new RpcError('BAD_RESPONSE', 'a node answers with another record than was asked for')
}
