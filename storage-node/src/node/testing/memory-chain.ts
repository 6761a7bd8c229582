import { bytesToHex } from '@ioex/chain/bytes'
import type { ChainHead } from '@ioex/chain/light'
import { applyTransaction, beginBlock, inventoryTree } from '@ioex/chain/rules'
import { draftOf, type Indexed } from '@ioex/chain/state'
import { decodeTransaction, encodeTransaction, transactionId } from '@ioex/chain/types'
import type { NetworkParams } from '@ioex/chain/params'
import type {
  Account,
  Contract,
  Epoch,
  Globals,
  InventoryEntry,
  Node,
  Rail,
  Receipt,
  Transaction,
} from '@ioex/chain/types'
import {
  SampleChain,
  type SampleOptions,
} from '../../../../chain/src/rules/testing/sample-chain.ts'
import { type ChainClient, ChainRefusal, type TransactionOutcome } from '../chain-client.ts'

interface Waiter {
  readonly validUntil: number
  readonly promise: PromiseWithResolvers<TransactionOutcome>
}

/**
 * A chain in this process for tests: the production rules over production state, real mined
 * main headers and so real beacons, blocks on a timer or on demand; only consensus is missing.
 */
export class MemoryChain implements ChainClient {
  readonly sample: SampleChain
  readonly #pending = new Map<string, Transaction>()
  readonly #outcomes = new Map<string, TransactionOutcome>()
  readonly #waiters = new Map<string, Waiter[]>()
  readonly #listeners = new Set<(head: ChainHead) => void>()
  readonly receipts: Receipt[] = []
  /** Fault codes of transactions that were refused or dropped. */
  readonly refusals: string[] = []
  #timer: NodeJS.Timeout | undefined
  #soon: NodeJS.Timeout | undefined

  constructor(options: SampleOptions = {}) {
    this.sample = new SampleChain(options)
  }

  get chainId(): Uint8Array {
    return this.sample.chainId
  }

  get params(): NetworkParams {
    return this.sample.params
  }

  /** Makes a block every so often, beside those that submitted transactions cause. */
  start(intervalMs: number): void {
    this.#timer = setInterval(() => this.tick(), intervalMs)
  }

  stop(): void {
    clearInterval(this.#timer)
    clearTimeout(this.#soon)
  }

  /** Makes one block of what is pending, with the next main header. */
  tick(): void {
    clearTimeout(this.#soon)
    this.#soon = undefined
    const { sample } = this
    const time = Math.max(sample.main.tip.time + 1, Math.floor(this.#timeMs() / 1000) + 1)
    const headers = sample.mainHeaders([sample.main.mine(time)])
    const transactions = [headers]
    const draft = beginBlock(draftOf(sample.ledger), sample.next())
    if (!draft.ok) throw new Error(draft.fault.message)
    applyTransaction(draft.value, headers)
    for (const [id, transaction] of this.#pending) {
      const applied = applyTransaction(draft.value, transaction)
      if (applied.ok) transactions.push(transaction)
      else this.#drop(id, applied.fault.code)
    }
    this.#pending.clear()
    const { receipts } = sample.block(transactions)
    this.receipts.push(...receipts)
    this.#settle(transactions, receipts)
    const head = this.#head()
    for (const listener of this.#listeners) listener(head)
  }

  /** Makes blocks up to the first one of the epoch so many ahead. */
  runEpochs(epochs: number): void {
    const target = this.sample.epoch + epochs
    while (this.sample.epoch < target) this.tick()
  }

  #timeMs(): number {
    return this.sample.ledger.globals().timeMs
  }

  #head(): ChainHead {
    const { sample } = this
    const hash = bytesToHex(sample.hashes.at(-1) as Uint8Array)
    return { height: sample.height, epoch: sample.epoch, timeMs: this.#timeMs(), hash }
  }

  /** A transaction that no longer fits waits on; it may come again, or expires. */
  #drop(id: string, code: string): void {
    this.refusals.push(code)
    for (const { promise } of this.#waiters.get(id) ?? []) {
      promise.reject(new ChainRefusal(code, `the transaction cannot stand any more: ${code}`))
    }
    this.#waiters.delete(id)
  }

  #settle(transactions: readonly Transaction[], receipts: readonly Receipt[]): void {
    const { height } = this.sample
    for (const [index, transaction] of transactions.entries()) {
      const id = bytesToHex(transactionId(transaction))
      const own = receipts.filter((receipt) => receipt.transaction === index)
      const outcome = { height, receipts: own }
      this.#outcomes.set(id, outcome)
      for (const { promise } of this.#waiters.get(id) ?? []) promise.resolve(outcome)
      this.#waiters.delete(id)
    }
    for (const [id, waiters] of this.#waiters) {
      for (const { promise, validUntil } of waiters) {
        if (validUntil < height) promise.reject(new ChainRefusal('EXPIRED', `${id} has expired`))
      }
    }
  }

  head(): Promise<ChainHead> {
    return Promise.resolve(this.#head())
  }

  baseFee(): Promise<bigint> {
    return Promise.resolve(this.sample.ledger.globals().baseFee)
  }

  onHead(listener: (head: ChainHead) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  account(address: Uint8Array): Promise<Account | undefined> {
    const index = this.sample.ledger.accountIndex(address)
    return Promise.resolve(index === undefined ? undefined : this.sample.ledger.accounts.get(index))
  }

  node(nodeAddress: Uint8Array): Promise<Indexed<Node> | undefined> {
    const index = this.sample.ledger.nodeIndex(nodeAddress)
    const record = index === undefined ? undefined : this.sample.ledger.nodes.get(index)
    return Promise.resolve(
      index === undefined || record === undefined ? undefined : { index, record },
    )
  }

  nodeAt(index: number): Promise<Node | undefined> {
    return Promise.resolve(this.sample.ledger.nodes.get(index))
  }

  nodesByRole(role: number): Promise<Indexed<Node>[]> {
    return Promise.resolve(
      entries(this.sample.ledger.nodes).filter(({ record }) => (record.roles & role) !== 0),
    )
  }

  rail(index: number): Promise<Rail | undefined> {
    return Promise.resolve(this.sample.ledger.rails.get(index))
  }

  railsOfPayer(payer: Uint8Array): Promise<Indexed<Rail>[]> {
    const key = bytesToHex(payer)
    const rails = entries(this.sample.ledger.rails)
    return Promise.resolve(
      rails.filter(({ record }) => record.live && bytesToHex(record.payer) === key),
    )
  }

  railsOfNode(node: number): Promise<Indexed<Rail>[]> {
    const rails = entries(this.sample.ledger.rails)
    return Promise.resolve(rails.filter(({ record }) => record.live && record.node === node))
  }

  contract(index: number): Promise<Contract | undefined> {
    return Promise.resolve(this.sample.ledger.contracts.get(index))
  }

  contractsOfPayer(payer: Uint8Array): Promise<Indexed<Contract>[]> {
    const key = bytesToHex(payer)
    const contracts = entries(this.sample.ledger.contracts)
    return Promise.resolve(
      contracts.filter(({ record }) => record.live && bytesToHex(record.payer) === key),
    )
  }

  /** All active ones: whoever asks judges the slots by the rules. */
  contractsWithOpenSlots(): Promise<Indexed<Contract>[]> {
    const contracts = entries(this.sample.ledger.contracts)
    return Promise.resolve(contracts.filter(({ record }) => record.live && record.active))
  }

  globals(): Promise<Readonly<Globals>> {
    return Promise.resolve(this.sample.ledger.globals())
  }

  epoch(epoch: number): Promise<Epoch | undefined> {
    return Promise.resolve(this.sample.ledger.epochs.get(epoch))
  }

  inventory(node: number, root: Uint8Array): Promise<readonly InventoryEntry[] | undefined> {
    const { ledger } = this.sample
    const wanted = bytesToHex(root)
    const lists = [ledger.inventory(node), ...ledger.inventorySnapshots(node)]
    return Promise.resolve(lists.find((list) => bytesToHex(inventoryTree(list).root) === wanted))
  }

  submit(transaction: Transaction): Promise<string> {
    // Through the codec, as over a wire, so that nothing unencodable ever passes.
    const decoded = decodeTransaction(encodeTransaction(transaction))
    if (!decoded.ok) return Promise.reject(refusal(decoded.fault))
    const tried = this.sample.attempt(decoded.value)
    if (!tried.ok) {
      this.refusals.push(tried.fault.code)
      return Promise.reject(refusal(tried.fault))
    }
    const id = bytesToHex(transactionId(decoded.value))
    this.#pending.set(id, decoded.value)
    this.#soon ??= setTimeout(() => this.tick(), 5)
    return Promise.resolve(id)
  }

  outcome(transactionId: string, validUntil: number): Promise<TransactionOutcome> {
    const known = this.#outcomes.get(transactionId)
    if (known) return Promise.resolve(known)
    const promise = Promise.withResolvers<TransactionOutcome>()
    const waiters = this.#waiters.get(transactionId) ?? []
    this.#waiters.set(transactionId, [...waiters, { validUntil, promise }])
    return promise.promise
  }
}

function refusal(fault: { code: string; message: string }): ChainRefusal {
  return new ChainRefusal(fault.code, fault.message)
}

function entries<T>(table: {
  readonly count: number
  get(index: number): Readonly<T> | undefined
}): Indexed<T>[] {
  const found: Indexed<T>[] = []
  for (let index = 0; index < table.count; index++) {
    const record = table.get(index)
    if (record !== undefined) found.push({ index, record })
  }
  return found
}
