import { bytesToHex, fromHex, type Hex } from '../bytes/hex.ts'
import { paramsAt } from '../params/forks.ts'
import { type Statement, statementOf } from '../rules/statement.ts'
import type { Ledger } from '../state/ledger.ts'
import { type Receipt, ReceiptKind } from '../types/receipts.ts'
import type { ReceiptQuestion } from './audited-node.ts'

/** A node's statement of an epoch that is over, from replayed receipts alone. */
export interface RecomputedStatement {
  /** Address of the node's key. */
  readonly node: Uint8Array
  readonly epoch: number
  readonly statement: Statement
}

/**
 * Statements of the asked nodes and epochs; with both given there is one even if nothing was
 * earned. Epochs not over yet are left out, since their sums still grow.
 */
export function recomputeStatements(
  ledger: Ledger,
  receipts: readonly Receipt[],
  { node: asked, epoch: only }: ReceiptQuestion,
  currentEpoch: number,
): RecomputedStatement[] {
  const statements: RecomputedStatement[] = []
  const groups = byNodeAndEpoch(receipts)
  const both = asked && only !== undefined ? `${bytesToHex(asked)}/${only}` : undefined
  if (both !== undefined && !groups.has(both)) groups.set(both, [])
  for (const [key, own] of groups) {
    const [address, number] = key.split('/') as [Hex, string]
    const epoch = Number(number)
    if (epoch >= currentEpoch || (only !== undefined && epoch !== only)) continue
    const record = ledger.epochs.get(epoch)
    if (!record) continue
    const node = fromHex(address)
    const statement = statementOf(paramsAt(ledger.params, epoch), epoch, record, node, own)
    statements.push({ node, epoch, statement })
  }
  return statements.sort((a, b) => a.epoch - b.epoch)
}

/** Receipts by node and the epoch they count for: a subsidy counts for its source epoch. */
function byNodeAndEpoch(receipts: readonly Receipt[]): Map<string, Receipt[]> {
  const groups = new Map<string, Receipt[]>()
  for (const receipt of receipts) {
    const { body, epoch: booked } = receipt
    if (!('node' in body.value)) continue
    const epoch = body.selector === ReceiptKind.reward ? body.value.epoch : booked
    const key = `${bytesToHex(body.value.node)}/${epoch}`
    const group = groups.get(key)
    if (group) group.push(receipt)
    else groups.set(key, [receipt])
  }
  return groups
}
