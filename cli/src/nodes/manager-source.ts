import { bytesEqual, bytesToHex, type Result } from '@ioex/chain/bytes'
import {
  type ChainManager,
  type FinalizedBlock,
  HistoryProofs,
  readBlock,
} from '@ioex/chain/manager'
import type { FullNodeNetwork } from '@ioex/chain/net'
import { checkpointHeight } from '@ioex/chain/params'
import type { TransactionPool } from '@ioex/chain/pool'
import { nonceOf, setMembers, validatorAt } from '@ioex/chain/rules'
import { type Indexed, StateProver } from '@ioex/chain/state'
import {
  CertificateType,
  JustificationType,
  type InventoryEntry,
  type Rail,
  type Validator,
} from '@ioex/chain/types'
import type {
  CertifiedHeader,
  LedgerBlock,
  LedgerSource,
  LedgerStatus,
  NodeInfo,
  PeerInfo,
  ReceiptPage,
  ReceiptQuery,
  TransactionPlace,
  WaitingDeposit,
} from '@ioex/rpc/server'
import { createPegSource, pageOfTable } from '@ioex/rpc/server'

export interface ManagerSourceParts {
  readonly manager: ChainManager
  readonly pool: TransactionPool
  readonly network: FullNodeNetwork
  /** The genesis file's text. */
  readonly genesis: string
  readonly info: NodeInfo
  /** Height others are known to have reached. */
  targetHeight(): number
  submit(transaction: Uint8Array): Promise<Result<Uint8Array>>
  /** A deposit, by its main-chain id, that the followed main chain shows. */
  waitingDeposit?(id: Uint8Array): WaitingDeposit | undefined
}

/** The ledger as the RPC server reads it, over this process' chain manager. */
export function createManagerSource(parts: ManagerSourceParts): LedgerSource {
  const { manager, pool, network } = parts
  const { ledger } = manager
  const prover = new StateProver(ledger)
  const history = new HistoryProofs(manager.store)
  return {
    chainId: manager.chainId,
    get params() {
      return ledger.params
    },
    genesis: parts.genesis,
    status: () => statusOf(parts),
    nodeInfo: () => parts.info,
    prunedTo: () => manager.store.prunedTo(),
    peers: () => network.peerList() satisfies readonly PeerInfo[],
    block: (height) => blockAt(manager, height),
    heightOfHash: (hash) => manager.store.heightOf(bytesToHex(hash)),
    certifiedHeader: (height) => certifiedHeaderAt(manager, height),
    transactionPlace: (id): Promise<TransactionPlace | undefined> =>
      manager.store.transaction(bytesToHex(id)),
    isPending: (id) => pool.has(bytesToHex(id)),
    account: (address) => at(ledger.accountIndex(address), (index) => ledger.accounts.get(index)),
    nextNonce: (address) => pool.nextNonce(address, nonceOf(ledger, address)),
    nodeAt: (index) => ledger.nodes.get(index),
    nodeByAddress: (address) =>
      at(ledger.nodeIndex(address), (index) => indexed(index, ledger.nodes.get(index))),
    nodes: (page, role) =>
      pageOfTable(ledger.nodes, page, ({ roles }) => role === undefined || (roles & role) !== 0),
    railAt: (index) => ledger.rails.get(index),
    rails: (page, by) => pageOfTable(ledger.rails, page, (rail) => isRailOf(rail, by)),
    contractAt: (index) => ledger.contracts.get(index),
    contracts: (page, by) =>
      pageOfTable(
        ledger.contracts,
        page,
        ({ live, payer }) => live && (by.payer === undefined || bytesEqual(payer, by.payer)),
      ),
    inventory: (node, root) => inventoryOf(parts, node, root),
    epoch: (epoch) => ledger.epochs.get(epoch),
    validators: (epoch) => validatorsOf(parts, epoch),
    state: () => ({ globals: ledger.globals(), peg: ledger.peg() }),
    supplyAt: (height) =>
      height === ledger.globals().height
        ? { ...ledger.globals(), ...ledger.peg() }
        : manager.store.supplyAt(height),
    // Head and state move together, without a pause between: both are of the same block here.
    prove: (places) => ({ at: manager.final, records: places.map((each) => prover.prove(each)) }),
    rewardLeaves: (epoch) => ledger.rewardLeaves(epoch),
    historyBranch: (height, count) => history.branch(height, count),
    peg: createPegSource(ledger, (id) => parts.waitingDeposit?.(id)),
    receipts: (query) => receiptsOf(manager, query),
    receiptById: (id) => manager.store.receipt(bytesToHex(id)),
    submit: (transaction) => parts.submit(transaction),
    onBlock: (listener) => manager.onFinal((block) => listener(announced(block))),
  }
}

function statusOf(parts: ManagerSourceParts): LedgerStatus {
  const { hash, header } = parts.manager.final
  const target = Math.max(header.height, parts.targetHeight())
  return {
    height: header.height,
    hash: Buffer.from(hash, 'hex'),
    timeMs: header.timeMs,
    epoch: header.epoch,
    targetHeight: target,
    baseFee: parts.manager.ledger.globals().baseFee,
    peers: parts.network.peers().length,
    // One block in flight is normal; more means this node is behind.
    syncing: target > header.height + 2,
  }
}

function announced(block: FinalizedBlock): LedgerBlock {
  return { ...block, hash: Buffer.from(block.hash, 'hex'), pruned: undefined }
}

async function blockAt(manager: ChainManager, height: number): Promise<LedgerBlock | undefined> {
  const stored = await readBlock(manager.store, height)
  if (!stored) return undefined
  const { hash, header, transactions, pruned } = stored
  return {
    hash,
    header,
    transactions,
    pruned,
    receipts: await manager.store.receiptsAt(height),
    certificate: stored.certificate && CertificateType.deserialize(stored.certificate),
    justification: height === 0 ? undefined : JustificationType.deserialize(stored.justification),
  }
}

async function certifiedHeaderAt(
  manager: ChainManager,
  height: number,
): Promise<CertifiedHeader | undefined> {
  if (height === manager.final.header.height) return manager.final
  return manager.finalAt(height)
}

function isRailOf(rail: Rail, by: { readonly payer?: Uint8Array; readonly node?: number }) {
  if (!rail.live) return false
  if (by.payer !== undefined && !bytesEqual(rail.payer, by.payer)) return false
  return by.node === undefined || rail.node === by.node
}

function inventoryOf(
  { manager: { ledger } }: ManagerSourceParts,
  node: number,
  root: Uint8Array,
): readonly InventoryEntry[] | undefined {
  const record = ledger.nodes.get(node)
  if (!record) return undefined
  if (bytesEqual(record.inventoryRoot, root)) return ledger.inventory(node)
  const position = record.snapshots.findIndex((snapshot) => bytesEqual(snapshot.root, root))
  return position < 0 ? undefined : ledger.inventorySnapshots(node)[position]
}

/** Records of an epoch's set with the key and the weight that count in that epoch. */
function validatorsOf(
  { manager: { ledger } }: ManagerSourceParts,
  epoch: number,
): Validator[] | undefined {
  return setMembers(ledger, epoch)?.map(({ validator, publicKey, weight }) => ({
    ...validatorAt(ledger, validator),
    consensusKey: publicKey,
    power: weight,
  }))
}

async function receiptsOf(manager: ChainManager, query: ReceiptQuery): Promise<ReceiptPage> {
  const { params } = manager
  const { fromEpoch, toEpoch, from, limit, ...filter } = query
  const height = manager.final.header.height
  return manager.store.receipts(
    {
      ...filter,
      fromHeight:
        fromEpoch === undefined || fromEpoch === 0
          ? 0
          : checkpointHeight(params, fromEpoch - 1) + 1,
      toHeight: toEpoch === undefined ? height : checkpointHeight(params, toEpoch),
    },
    from,
    limit,
  )
}

function at<T>(index: number | undefined, read: (index: number) => T): T | undefined {
  return index === undefined ? undefined : read(index)
}

function indexed<T>(index: number, record: T | undefined): Indexed<T> | undefined {
  return record === undefined ? undefined : { index, record }
}
