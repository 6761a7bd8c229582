import type { ChainHead } from '@ioex/chain/light'
import type { NetworkParams } from '@ioex/chain/params'
import type { Indexed } from '@ioex/chain/state'
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

export interface TransactionOutcome {
  readonly height: number
  readonly receipts: readonly Receipt[]
}

/** The chain refused a transaction or a question; `code` is the fault's stable code. */
export class ChainRefusal extends Error {
  override name = 'ChainRefusal'
  readonly code: string
  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/**
 * The chain as a home peer or a client knows it: certified headers and records, asked from at
 * least two full nodes. Fulfilled over JSON-RPC, or in-process by a full node.
 */
export interface ChainClient {
  readonly chainId: Uint8Array
  readonly params: NetworkParams
  head(): Promise<ChainHead>
  /** Base fee of the next block, units per byte, by the word of one node: for caps only. */
  baseFee(): Promise<bigint>
  /** Calls back on each new certified head; returns the way to stop. */
  onHead(listener: (head: ChainHead) => void): () => void
  account(address: Uint8Array): Promise<Account | undefined>
  /** By node key address. */
  node(nodeAddress: Uint8Array): Promise<Indexed<Node> | undefined>
  nodeAt(index: number): Promise<Node | undefined>
  /** Nodes that carry the role bit (NodeRole). */
  nodesByRole(role: number): Promise<Indexed<Node>[]>
  rail(index: number): Promise<Rail | undefined>
  railsOfPayer(payer: Uint8Array): Promise<Indexed<Rail>[]>
  railsOfNode(node: number): Promise<Indexed<Rail>[]>
  contract(index: number): Promise<Contract | undefined>
  contractsOfPayer(payer: Uint8Array): Promise<Indexed<Contract>[]>
  /** Active contracts with slots that nobody stores, or that are under notice. */
  contractsWithOpenSlots(): Promise<Indexed<Contract>[]>
  epoch(epoch: number): Promise<Epoch | undefined>
  globals(): Promise<Readonly<Globals>>
  /** Entries of the node's inventory whose tree has this root: current or still in its ring. */
  inventory(node: number, root: Uint8Array): Promise<readonly InventoryEntry[] | undefined>
  /** Sends a signed transaction; gives its id (hex). Throws ChainRefusal. */
  submit(transaction: Transaction): Promise<string>
  /** Waits until the transaction is final, or throws ChainRefusal EXPIRED after its validUntil. */
  outcome(transactionId: string, validUntil: number): Promise<TransactionOutcome>
}
