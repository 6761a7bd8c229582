import { ContainerType, ListCompositeType, UnionType, type ValueOf } from '@chainsafe/ssz'
import type { Block } from './block.ts'
import { HeaderType } from './consensus-objects.ts'
import { Bytes32 } from './primitives.ts'
import { keepBodyRoot } from './transaction-roots.ts'
import {
  ClaimSlotType,
  FillType,
  PayloadKind,
  PayloadType,
  ProveType,
  type Transaction,
  type TransactionBody,
  TransactionBodyType,
  TRANSACTIONS_PER_BLOCK_MAX,
  TransactionType,
} from './transactions.ts'

/**
 * A block whose openings are gone (PROTOCOL 11): in each prove, fill and claimSlot the list of
 * openings is replaced by its hash_tree_root. Everything above is a hash tree over fields, so ids,
 * signatures, txRoot and block hash follow from this form as from the whole one. It is a type of
 * its own, so that no reader takes one for the other.
 */
const PrunedPayloadType = new UnionType(
  PayloadType.types.map((type, selector) => {
    switch (selector) {
      case PayloadKind.fill:
        return new ContainerType({ ...FillType.fields, openings: Bytes32 })
      case PayloadKind.prove:
        return new ContainerType({ ...ProveType.fields, openings: Bytes32 })
      case PayloadKind.claimSlot:
        return new ContainerType({ ...ClaimSlotType.fields, openings: Bytes32 })
      default:
        return type
    }
  }),
)
const PrunedBodyType = new ContainerType({
  ...TransactionBodyType.fields,
  payload: PrunedPayloadType,
})
const PrunedTransactionType = new ContainerType({ ...TransactionType.fields, body: PrunedBodyType })
const PrunedTransactionsType = new ListCompositeType(
  PrunedTransactionType,
  TRANSACTIONS_PER_BLOCK_MAX,
)
export const PrunedBlockType = new ContainerType(
  { header: HeaderType, transactions: PrunedTransactionsType },
  { typeName: 'PrunedBlock' },
)
export type PrunedBlock = ValueOf<typeof PrunedBlockType>
/** The part of it beside its header, as nodes serve it. */
export const PrunedBodyPartType = new ContainerType(
  { transactions: PrunedTransactionsType },
  { typeName: 'PrunedBlockBody' },
)

const openingsTypes = new Map<number, { hashTreeRoot(openings: never): Uint8Array }>([
  [PayloadKind.fill, FillType.fields.openings],
  [PayloadKind.prove, ProveType.fields.openings],
  [PayloadKind.claimSlot, ClaimSlotType.fields.openings],
])

/** Whether the transaction carries openings, or carried them before it was pruned. */
export function hasOpenings({ body }: Transaction): boolean {
  return openingsTypes.has(body.payload.selector)
}

/** The block without openings; undefined where it has none, and stays as it is. */
export function pruneBlock({ header, body }: Block): PrunedBlock | undefined {
  if (!body.transactions.some(hasOpenings)) return undefined
  const transactions = body.transactions.map((transaction) => {
    const { payload } = transaction.body
    const type = openingsTypes.get(payload.selector)
    if (!type) return transaction
    const { openings } = payload.value as { openings: unknown }
    const value = { ...payload.value, openings: type.hashTreeRoot(openings as never) }
    return { ...transaction, body: { ...transaction.body, payload: { ...payload, value } } }
  })
  return { header, transactions: transactions as PrunedBlock['transactions'] }
}

/**
 * The transactions of a pruned block as far as they are known: those that had openings have none,
 * and keep their ids. Their bytes are not those that were signed, so they must not be passed on.
 */
export function transactionsOf({ transactions }: PrunedBlock): Transaction[] {
  return transactions.map((pruned) => {
    const { payload } = pruned.body
    if (!openingsTypes.has(payload.selector)) return pruned as unknown as Transaction
    const value = { ...(payload.value as object), openings: [] }
    const body = { ...pruned.body, payload: { ...payload, value } } as unknown as TransactionBody
    keepBodyRoot(body, PrunedBodyType.hashTreeRoot(pruned.body))
    return { body, signature: pruned.signature }
  })
}
