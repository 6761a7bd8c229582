import {
  addressOf,
  bytesEqual,
  bytesToHex,
  fault,
  fromHex,
  ok,
  publicKeyOf,
  type Result,
  sha256,
  sign,
  signingDigest,
  utf8ToBytes,
} from '@ioex/chain/bytes'
import { assembleCertificate } from '@ioex/chain/consensus'
import { epochOfHeight, isCheckpointHeight, type NetworkParams } from '@ioex/chain/params'
import { rewardRoot } from '@ioex/chain/rules'
import {
  appendHistory,
  createLedger,
  draftOf,
  historyBranch,
  historyRoot,
  type Indexed,
  type Ledger,
  merge,
  type RecordPlace,
  type RewardLeaf,
  StateProver,
  stateRoot,
} from '@ioex/chain/state'
import {
  type Account,
  AccountType,
  BLOCK_RECEIPT,
  NONE,
  type OpenContract,
  blockHash,
  type Certificate,
  type Contract,
  ContractType,
  type DepositRecord,
  decodeTransaction,
  type Epoch,
  EpochType,
  GlobalsType,
  HeaderType,
  type InventoryEntry,
  type Justification,
  JustificationType,
  type Node,
  NodeType,
  type Peg,
  PegType,
  type Rail,
  RailType,
  type Receipt,
  type ReceiptBody,
  ReceiptKind,
  ReceiptListType,
  ReceiptType,
  type Statement,
  StatementType,
  type Transaction,
  transactionId,
  transactionListRoot,
  type Validator,
  validatorSetHash,
  ValidatorType,
  verifyTransaction,
  VoteKind,
  type WithdrawalRecord,
} from '@ioex/chain/types'
import { createPegSource, type PegSource, type WaitingDeposit } from '../peg-source.ts'
import type {
  LedgerBlock,
  LedgerSource,
  ReceiptPage,
  ReceiptPosition,
  ReceiptQuery,
} from '../ledger-source.ts'
import { type Page, pageOfTable, type TablePage } from '../table-page.ts'

export interface MemoryLedgerOptions {
  readonly params: NetworkParams
  /** Secrets of the validators, who sign every block at once; each has power 1. */
  readonly validatorSecrets: readonly Uint8Array[]
  readonly genesis?: string
}

/**
 * A ledger without a network: blocks with true roots, links and finality certificates, plain
 * records that the caller sets, and transfers as the only rule. For tests of servers and clients.
 * Proofs show the records as they stood when the newest block was appended.
 */
export class MemoryLedger implements LedgerSource {
  readonly chainId = sha256(utf8ToBytes('memory ledger'))
  readonly params: NetworkParams
  readonly genesis: string
  readonly accounts = new Map<string, Account>()
  readonly nodeRecords = new Map<number, Node>()
  readonly railRecords = new Map<number, Rail>()
  readonly contractRecords = new Map<number, Contract>()
  readonly epochRecords = new Map<number, Epoch>()
  readonly depositRecords: DepositRecord[] = []
  readonly withdrawalRecords: WithdrawalRecord[] = []
  pegRecord: Peg = PegType.defaultValue()
  /** By main-chain transaction id, hex, internal order. */
  readonly waitingDeposits = new Map<string, WaitingDeposit>()
  readonly rewards = new Map<number, readonly RewardLeaf[]>()
  /** By node index and root (hex). */
  readonly inventories = new Map<string, readonly InventoryEntry[]>()
  readonly globals = GlobalsType.defaultValue()
  readonly validatorRecords: readonly Validator[]
  /** What status() adds to the tip: how far the network is ahead. */
  ahead = 0
  /** Sets by the first epoch in which they decide, newest first. */
  readonly #sets: { readonly from: number; readonly secrets: readonly Uint8Array[] }[]
  #blocks: LedgerBlock[] = []
  #state: Ledger
  #pool: Transaction[] = []
  #listeners = new Set<(block: LedgerBlock) => void>()

  constructor({ params, validatorSecrets, genesis = '{}' }: MemoryLedgerOptions) {
    this.params = params
    this.genesis = genesis
    this.#sets = [{ from: 0, secrets: validatorSecrets }]
    this.#state = createLedger(params, this.chainId)
    this.validatorRecords = validatorSecrets.map(validatorOf)
    this.append([])
  }

  get peg(): PegSource {
    return createPegSource(this.#state, (id) => this.waitingDeposits.get(bytesToHex(id)))
  }

  /** Makes the pool's transfers and the given receipts into the next final block. */
  append(bodies: readonly ReceiptBody[], options: { certified?: boolean } = {}): LedgerBlock {
    const height = this.#blocks.length
    const transactions = this.#pool
    this.#pool = []
    const paid = transactions.flatMap((each, index) => this.#apply(each, index))
    const left = bodies.map((body) => ({ transaction: BLOCK_RECEIPT, body }))
    const epoch = epochOfHeight(this.params, height)
    const receipts = [...paid, ...left].map((each, index) => ({ height, epoch, index, ...each }))
    if (!this.epochRecords.has(epoch)) this.epochRecords.set(epoch, EpochType.defaultValue())
    this.globals.height = height
    this.globals.epoch = epoch
    const parent = this.#blocks.at(-1)
    if (parent) Object.assign(this.globals, appendHistory(this.globals, parent.hash))
    this.#state = this.#buildState()
    const block = this.#seal(height, transactions, receipts, options.certified ?? true)
    this.#blocks.push(block)
    for (const listener of this.#listeners) listener(block)
    return block
  }

  /** The records as a ledger that proves them. Gaps between indexes are filled. */
  #buildState(): Ledger {
    const ledger = createLedger(this.params, this.chainId)
    const draft = draftOf(ledger)
    const addresses = [...this.accounts.keys()].toSorted()
    for (const [index, address] of addresses.entries()) {
      const next = addresses[(index + 1) % addresses.length] as string
      const account = this.accounts.get(address) as Account
      draft.accounts.set(index, { ...account, nextAddress: fromHex(next) })
    }
    for (const [index, node] of dense(this.nodeRecords, NodeType)) draft.nodes.set(index, node)
    for (const [index, rail] of dense(this.railRecords, RailType)) draft.rails.set(index, rail)
    for (const [index, record] of dense(this.contractRecords, ContractType)) {
      draft.contracts.set(index, record)
    }
    for (const [index, epoch] of dense(this.epochRecords, EpochType)) draft.epochs.set(index, epoch)
    for (const [index, each] of this.validatorRecords.entries()) draft.validators.set(index, each)
    for (const [index, each] of this.depositRecords.entries()) draft.deposits.set(index, each)
    for (const [index, each] of this.withdrawalRecords.entries()) {
      draft.withdrawals.set(index, each)
    }
    draft.setPeg(this.pegRecord)
    draft.setGlobals({ ...this.globals })
    merge(draft)
    return ledger
  }

  #seal(
    height: number,
    transactions: readonly Transaction[],
    receipts: readonly Receipt[],
    isCertified: boolean,
  ): LedgerBlock {
    const parent = this.#blocks.at(-1)
    const ownEpoch = epochOfHeight(this.params, height)
    const header = {
      ...HeaderType.defaultValue(),
      version: this.params.protocolVersion,
      chainId: this.chainId,
      epoch: epochOfHeight(this.params, height),
      view: height,
      height,
      timeMs: 1_700_000_000_000 + height * this.params.blockIntervalMs,
      parentHash: parent?.hash ?? new Uint8Array(32),
      parentView: parent?.header.view ?? 0,
      txRoot: transactionListRoot(transactions),
      receiptRoot: ReceiptListType.hashTreeRoot([...receipts]),
      stateRoot: stateRoot(this.#state),
      historyRoot: historyRoot(this.globals),
      epochDataRoot:
        height > 0 && isCheckpointHeight(this.params, height)
          ? rewardRoot(this.rewardLeaves(epochOfHeight(this.params, height)))
          : new Uint8Array(32),
      validatorsHash: validatorSetHash(this.validatorSet(ownEpoch)),
      nextValidatorsHash: validatorSetHash(this.validatorSet(ownEpoch + 1)),
    }
    const hash = blockHash(header)
    const isSigned = height > 0 && isCertified
    return {
      header,
      hash,
      transactions,
      pruned: undefined,
      receipts,
      certificate: isSigned ? this.certify(header.epoch, header.view, hash) : undefined,
      justification: height === 0 ? undefined : (JustificationType.defaultValue() as Justification),
    }
  }

  /** Others decide from the epoch after the next one on: the next set is named already. */
  changeValidators(secrets: readonly Uint8Array[]): void {
    this.#sets.unshift({ from: this.status().epoch + 2, secrets })
  }

  #secretsOf(epoch: number): readonly Uint8Array[] {
    return this.#sets.find(({ from }) => epoch >= from)?.secrets ?? []
  }

  validatorSet(epoch = 0): { publicKey: Uint8Array; weight: number }[] {
    return this.#secretsOf(epoch).map((secret) => ({ publicKey: publicKeyOf(secret), weight: 1 }))
  }

  /** A finality certificate by the given validators (default: all). */
  certify(
    epoch: number,
    view: number,
    hash: Uint8Array,
    signers: readonly number[] = this.#secretsOf(epoch).map((_, index) => index),
  ): Certificate {
    const statement: Statement = { kind: VoteKind.finalize, epoch, view, hash }
    const digest = signingDigest('vote', this.chainId, StatementType.hashTreeRoot(statement))
    const votes = new Map(
      signers.map((validator) => {
        const signature = sign(digest, this.#secretsOf(epoch)[validator] as Uint8Array)
        return [validator, { statement, validator, signature }]
      }),
    )
    return assembleCertificate(statement, votes, this.#secretsOf(epoch).length)
  }

  fund(address: Uint8Array, balance: bigint): void {
    const account = { ...AccountType.defaultValue(), address, balance }
    this.accounts.set(bytesToHex(address), account)
    this.globals.genesisSupply += balance
  }

  #apply({ body }: Transaction, index: number): { transaction: number; body: ReceiptBody }[] {
    const sender = addressOf(body.sender)
    const from = this.accounts.get(bytesToHex(sender))
    const { payload } = body
    if (from && payload.selector === 2) return this.#open(from, payload.value, index)
    if (!from || payload.selector !== 0) return []
    const { to, amount } = payload.value
    this.accounts.set(bytesToHex(sender), {
      ...from,
      balance: from.balance - amount,
      nonce: from.nonce + 1,
    })
    const before = this.accounts.get(bytesToHex(to))
    const receiver = before ?? { ...AccountType.defaultValue(), address: to }
    this.accounts.set(bytesToHex(to), { ...receiver, balance: receiver.balance + amount })
    const value = { payer: sender, bytes: 0, baseFee: 0n, tip: 0n }
    return [{ transaction: index, body: { selector: ReceiptKind.fee, value } as const }]
  }

  #open(payer: Account, open: OpenContract, transaction: number) {
    const index = Math.max(-1, ...this.contractRecords.keys()) + 1
    const record = { ...ContractType.defaultValue(), ...open, live: true, askEpoch: NONE }
    this.contractRecords.set(index, { ...record, payer: payer.address })
    this.accounts.set(bytesToHex(payer.address), { ...payer, nonce: payer.nonce + 1 })
    const value = { kind: 1, index, generation: 0, owner: payer.address }
    return [{ transaction, body: { selector: ReceiptKind.creation, value } as const }]
  }

  async submit(bytes: Uint8Array): Promise<Result<Uint8Array>> {
    const decoded = decodeTransaction(bytes)
    if (!decoded.ok) return decoded
    const transaction = decoded.value
    const id = transactionId(transaction)
    if (this.isPending(id)) return fault('ALREADY_KNOWN', 'the transaction waits already')
    if (!verifyTransaction(transaction, this.chainId)) {
      return fault('SIGNATURE_INVALID', 'the signature is not the sender’s')
    }
    const account = this.account(addressOf(transaction.body.sender))
    const { payload, nonce } = transaction.body
    if (payload.selector !== 0 && payload.selector !== 2) {
      return fault('SYSTEM_LANE', 'only transfers and contracts are known here')
    }
    if (nonce < (account?.nonce ?? 0)) {
      return fault('NONCE_TOO_LOW', 'the nonce was used: take it from chain_getNonce')
    }
    const balance = account?.balance ?? 0n
    if (payload.selector === 0 && balance < payload.value.amount) {
      return fault('INSUFFICIENT_FUNDS', 'the balance is too small', { balance })
    }
    this.#pool.push(transaction)
    return ok(id)
  }

  get #tip(): LedgerBlock {
    return this.#blocks.at(-1) as LedgerBlock
  }

  status() {
    const { header, hash } = this.#tip
    return {
      height: header.height,
      hash,
      timeMs: header.timeMs,
      epoch: header.epoch,
      targetHeight: header.height + this.ahead,
      baseFee: this.params.baseFeePerByte,
      peers: 3,
      syncing: this.ahead > 2,
    }
  }

  nodeInfo() {
    return {
      version: '0.1.0',
      roles: ['validator'],
      peerId: '16Uiu2HAm',
      addresses: ['/ip4/127.0.0.1/tcp/20668'],
      startedAtMs: 1_700_000_000_000,
    }
  }

  prunedTo() {
    return 0
  }

  peers() {
    return [{ peerId: '16Uiu2HAn', addresses: [], direction: 'outbound' as const }]
  }

  block(height: number) {
    return this.#blocks[height]
  }

  certifiedHeader(height: number) {
    return this.#blocks[height]
  }

  heightOfHash(hash: Uint8Array) {
    return this.#blocks.find((block) => bytesEqual(block.hash, hash))?.header.height
  }

  transactionPlace(id: Uint8Array) {
    for (const { header, transactions } of this.#blocks) {
      const index = transactions.findIndex((each) => bytesEqual(transactionId(each), id))
      if (index >= 0) return { height: header.height, index }
    }
    return undefined
  }

  isPending(id: Uint8Array) {
    return this.#pool.some((each) => bytesEqual(transactionId(each), id))
  }

  account(address: Uint8Array) {
    return this.accounts.get(bytesToHex(address))
  }

  nextNonce(address: Uint8Array) {
    const isOwn = ({ body }: Transaction) => bytesEqual(addressOf(body.sender), address)
    return (this.account(address)?.nonce ?? 0) + this.#pool.filter(isOwn).length
  }

  nodeAt(index: number) {
    return this.nodeRecords.get(index)
  }

  nodeByAddress(address: Uint8Array): Indexed<Node> | undefined {
    return page(this.nodeRecords, { from: 0, limit: 1 }, ({ nodeKey }) =>
      bytesEqual(addressOf(nodeKey), address),
    ).items[0]
  }

  nodes(where: Page, role?: number) {
    return page(this.nodeRecords, where, ({ roles }) => role === undefined || (roles & role) > 0)
  }

  railAt(index: number) {
    return this.railRecords.get(index)
  }

  rails(where: Page, { payer, node }: { payer?: Uint8Array; node?: number }) {
    return page(
      this.railRecords,
      where,
      (rail) =>
        rail.live &&
        (payer === undefined || bytesEqual(rail.payer, payer)) &&
        (node === undefined || rail.node === node),
    )
  }

  contractAt(index: number) {
    return this.contractRecords.get(index)
  }

  contracts(where: Page, { payer }: { payer?: Uint8Array }) {
    return page(
      this.contractRecords,
      where,
      (each) => each.live && (payer === undefined || bytesEqual(each.payer, payer)),
    )
  }

  inventory(node: number, root: Uint8Array) {
    return this.inventories.get(`${node} ${bytesToHex(root)}`)
  }

  epoch(epoch: number) {
    return this.epochRecords.get(epoch)
  }

  validators(epoch: number) {
    if (epoch > this.status().epoch + 1) return undefined
    return this.#secretsOf(epoch).map(validatorOf)
  }

  state() {
    return { globals: this.globals, peg: this.#state.peg() }
  }

  supplyAt(height: number) {
    const now = { ...this.globals, ...this.#state.peg() }
    return height === this.status().height ? now : undefined
  }

  prove(places: readonly RecordPlace[]) {
    const prover = new StateProver(this.#state)
    return { at: this.#tip, records: places.map((place) => prover.prove(place)) }
  }

  rewardLeaves(epoch: number) {
    return this.rewards.get(epoch) ?? []
  }

  historyBranch(height: number, count: number) {
    const hashes = this.#blocks.slice(0, count).map(({ hash }) => hash)
    // The stories are shorter than a chunk of the history tree.
    return historyBranch(height, count, hashes, [])
  }

  receipts(query: ReceiptQuery): ReceiptPage {
    const { fromEpoch = 0, toEpoch = Number.POSITIVE_INFINITY, from, limit } = query
    const found = this.#blocks
      .flatMap(({ receipts }) => receipts)
      .filter((each) => each.epoch >= fromEpoch && each.epoch <= toEpoch)
      .filter((each) => !from || isFrom(each, from))
      .filter(({ body }) => isAbout(body, query))
    return { receipts: found.slice(0, limit), next: found[limit] }
  }

  receiptById(id: Uint8Array) {
    return this.#blocks
      .flatMap(({ receipts }) => receipts)
      .find((receipt) => bytesEqual(ReceiptType.hashTreeRoot(receipt), id))
  }

  onBlock(listener: (block: LedgerBlock) => void) {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }
}

function validatorOf(secret: Uint8Array): Validator {
  const consensusKey = publicKeyOf(secret)
  const owner = addressOf(consensusKey)
  return { ...ValidatorType.defaultValue(), owner, payout: owner, consensusKey, power: 1 }
}

function dense<T>(records: ReadonlyMap<number, T>, type: { defaultValue(): T }): [number, T][] {
  const count = Math.max(-1, ...records.keys()) + 1
  return Array.from({ length: count }, (_, index) => [
    index,
    records.get(index) ?? type.defaultValue(),
  ])
}

/** Records of a map in order of their indices, as a table holds them. */
function page<T>(
  records: ReadonlyMap<number, T>,
  where: Page,
  isWanted: (record: Readonly<T>) => boolean,
): TablePage<T> {
  const count = Math.max(-1, ...records.keys()) + 1
  return pageOfTable({ count, get: (index) => records.get(index) }, where, isWanted)
}

function isFrom({ height, index }: Receipt, from: ReceiptPosition): boolean {
  return height === from.height ? index >= from.index : height > from.height
}

function isAbout({ selector, value }: ReceiptBody, query: ReceiptQuery): boolean {
  const about = value as { node?: Uint8Array; rail?: number; contract?: number }
  if (query.kind !== undefined && ReceiptKind[query.kind] !== selector) return false
  if (query.rail !== undefined && about.rail !== query.rail) return false
  if (query.contract !== undefined && about.contract !== query.contract) return false
  return !query.node || (about.node !== undefined && bytesEqual(about.node, query.node))
}
