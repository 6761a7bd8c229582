import type { NetworkParams } from '@ioex/chain/params'
import type {
  Account,
  Contract,
  Epoch,
  InventoryEntry,
  Node,
  Rail,
  Receipt,
  Transaction,
} from '@ioex/chain/types'

/** A record with the index it stands at. */
export interface IndexedRecord<T> {
  readonly index: number
  readonly record: T
}

/** The newest certified header, reduced to what clients pace themselves by. */
export interface HeadView {
  readonly height: number
  readonly epoch: number
  readonly timeMs: number
  /** Block hash, hex. */
  readonly hash: string
}

export interface OutcomeView {
  readonly height: number
  readonly receipts: readonly Receipt[]
}

/**
 * The chain as a storage node wants it (its ChainClient interface, which this room does not
 * import): the light client has this shape, and the composition checks that they agree.
 */
export interface ChainView {
  readonly chainId: Uint8Array
  readonly params: NetworkParams
  head(): Promise<HeadView>
  baseFee(): Promise<bigint>
  onHead(listener: (head: HeadView) => void): () => void
  account(address: Uint8Array): Promise<Account | undefined>
  node(nodeAddress: Uint8Array): Promise<IndexedRecord<Node> | undefined>
  nodeAt(index: number): Promise<Node | undefined>
  nodesByRole(role: number): Promise<IndexedRecord<Node>[]>
  rail(index: number): Promise<Rail | undefined>
  railsOfPayer(payer: Uint8Array): Promise<IndexedRecord<Rail>[]>
  railsOfNode(node: number): Promise<IndexedRecord<Rail>[]>
  contract(index: number): Promise<Contract | undefined>
  contractsOfPayer(payer: Uint8Array): Promise<IndexedRecord<Contract>[]>
  contractsWithOpenSlots(): Promise<IndexedRecord<Contract>[]>
  epoch(epoch: number): Promise<Epoch | undefined>
  inventory(node: number, root: Uint8Array): Promise<readonly InventoryEntry[] | undefined>
  submit(transaction: Transaction): Promise<string>
  outcome(transactionId: string, validUntil: number): Promise<OutcomeView>
}
