import { BlockType } from '../types/block.ts'
import type { Header } from '../types/consensus-objects.ts'
import { type PrunedBlock, PrunedBlockType, transactionsOf } from '../types/pruned-block.ts'
import type { Transaction } from '../types/transactions.ts'
import type { ChainStore, StoredBlock } from './chain-store.ts'

/** A final block as far as it is kept. */
export interface KeptBlock extends Omit<StoredBlock, 'block' | 'reproposals'> {
  readonly header: Header
  /** Where the openings are gone, those that had some have none, and keep their ids. */
  readonly transactions: readonly Transaction[]
  /** What is left of a block whose openings are gone; undefined where it is whole. */
  readonly pruned: PrunedBlock | undefined
}

/** The block at a height, whole or without its openings. */
export async function readBlock(
  store: Pick<ChainStore, 'block' | 'prunedBlock'>,
  height: number,
): Promise<KeptBlock | undefined> {
  const stored = await store.block(height)
  if (stored) {
    const { header, body } = BlockType.deserialize(stored.block)
    return {
      ...stored,
      header,
      transactions: body.transactions as Transaction[],
      pruned: undefined,
    }
  }
  const kept = await store.prunedBlock(height)
  if (!kept) return undefined
  const pruned = PrunedBlockType.deserialize(kept.pruned)
  const transactions = transactionsOf(pruned)
  return { ...kept, header: pruned.header, transactions, pruned }
}
