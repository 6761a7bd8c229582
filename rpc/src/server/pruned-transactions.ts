import { hasOpenings, type Transaction } from '@ioex/chain/types'
import type { LedgerBlock } from './ledger-source.ts'
import { notFound } from './rpc-fault.ts'

/** Refuses to give out a transaction whose openings are gone: its bytes are not what was signed. */
export function assertWhole(block: LedgerBlock, transaction: Transaction): void {
  if (!block.pruned || !hasOpenings(transaction)) return
  const { height } = block.header
  throw notFound(`the openings of block ${height} are not kept here: ask an archive node`)
}
